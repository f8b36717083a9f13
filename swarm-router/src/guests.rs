//! Who is connected to which volume, or is about to be: when she is moved to another cell, whoever is
//! on the way to the old one has to turn round.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::VolumeId;
use tokio::sync::watch;

/// Volumes below which nothing is tidied up.
const TIDY_MIN: usize = 1_024;

/// All who are connected, by volume.
#[derive(Debug, Default)]
pub(crate) struct Guests(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// A sender is dropped when its volume is moved.
    volumes: HashMap<VolumeId, watch::Sender<()>>,
    tidy_at: usize,
}

/// One who is connected.
#[derive(Debug, Clone)]
pub(crate) struct Guest(watch::Receiver<()>);

impl Guests {
    pub(crate) fn at(&self, volume: VolumeId) -> Guest {
        let mut state = self.state();
        if state.volumes.len() >= state.tidy_at.max(TIDY_MIN) {
            state.volumes.retain(|_, volume| volume.receiver_count() > 0);
            state.tidy_at = state.volumes.len() * 2;
        }
        Guest(state.volumes.entry(volume).or_default().subscribe())
    }

    /// Parts with all at the volumes that were moved.
    pub(crate) fn part(&self, was_moved: impl Fn(VolumeId) -> bool) {
        self.state().volumes.retain(|volume, _| !was_moved(*volume));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// Returns once her volume is served by another cell, or by none.
    pub(crate) async fn parted(&mut self) {
        while self.0.changed().await.is_ok() {}
    }

    #[cfg(test)]
    pub(crate) fn has_parted(&mut self) -> bool {
        self.0.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_those_who_left_is_bounded() {
        let guests = Guests::default();
        let volume = |number: u32| {
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
            VolumeId::from_bytes(bytes)
        };
        let stays: Vec<_> = (0..2_000).map(|number| guests.at(volume(number))).collect();
        (2_000..9_000).for_each(|number| drop(guests.at(volume(number))));
        assert!(guests.state().volumes.len() <= 4_000);
        guests.part(|moved| moved == volume(7));
        let parted = stays.into_iter().map(|mut stay| stay.has_parted());
        assert_eq!(parted.enumerate().filter(|(_, parted)| *parted).count(), 1);
    }
}
