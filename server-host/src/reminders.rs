//! Servers that sleep although something waits to be delivered, and when to wake them.
//!
//! A notification waits in its sender's store, and only its sender's server delivers it; so somebody
//! has to wake her. What has to be remembered is kept in two places:
//!
//! * **That something waits**: in a durable set of volumes ([`storage::VolumeSet`]). A volume is in
//!   it before the first notification that waits is acknowledged, and leaves it when its server goes
//!   to sleep and nothing waits any more. So after a crash it holds everybody who has something
//!   waiting, and at worst some who have not: they are woken in vain, once. Nobody's store has to be
//!   opened to know.
//! * **When to try again**: here, in memory. A server all of whose deliveries pause is put to sleep,
//!   and woken when the first pause is over. After a start everybody in the set is due at once, and
//!   some are woken in each round; the pauses themselves follow from how long a notification has
//!   waited, so they need no memory.
//!
//! So a receiver that stays down costs each sender a short wake now and then, and no more.

use std::collections::{BTreeSet, HashMap};

use protocol::VolumeId;
use tokio::time::Instant;

/// When which sleeping server is to be woken.
#[derive(Debug, Default)]
pub(crate) struct Reminders {
    due: BTreeSet<(Instant, VolumeId)>,
    at: HashMap<VolumeId, Instant>,
}

impl Reminders {
    /// Wakes the server at this time, and not at the one that was said before.
    pub(crate) fn set(&mut self, volume: VolumeId, at: Instant) {
        self.forget(volume);
        self.due.insert((at, volume));
        self.at.insert(volume, at);
    }

    /// Does not wake it.
    pub(crate) fn forget(&mut self, volume: VolumeId) {
        if let Some(at) = self.at.remove(&volume) {
            self.due.remove(&(at, volume));
        }
    }

    /// Those whose time has come, those who have waited longest first, and not more than so many.
    pub(crate) fn take_due(&mut self, now: Instant, max: usize) -> Vec<VolumeId> {
        let due = self.due.iter().take_while(|(at, _)| *at <= now).take(max);
        let volumes: Vec<_> = due.map(|(_, volume)| *volume).collect();
        volumes.iter().for_each(|volume| self.forget(*volume));
        volumes
    }

    /// How many are to be woken.
    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn whoever_is_due_is_taken_once_the_longest_waiting_first() {
        let now = Instant::now();
        let later = |seconds| now + Duration::from_secs(seconds);
        let volume = |number| VolumeId::from_bytes([number; 16]);
        let mut reminders = Reminders::default();
        reminders.set(volume(1), later(2));
        reminders.set(volume(2), later(1));
        reminders.set(volume(3), later(1));
        reminders.set(volume(3), later(9));
        reminders.set(volume(4), later(1));
        reminders.forget(volume(4));
        assert_eq!(reminders.len(), 3);
        assert_eq!(reminders.take_due(now, 9), []);
        assert_eq!(reminders.take_due(later(5), 1), [volume(2)]);
        assert_eq!(reminders.take_due(later(5), 9), [volume(1)]);
        assert_eq!(reminders.take_due(later(5), 9), []);
        assert_eq!(reminders.take_due(later(9), 9), [volume(3)]);
        assert_eq!(reminders.len(), 0);
    }
}
