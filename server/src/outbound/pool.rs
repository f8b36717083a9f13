//! The connections to peers that are kept for the next question.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::AtSign;
use tokio::time::Instant;

use super::link::Link;

/// As whom a peer's server knows us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    /// As anybody.
    Open,
    /// As our owner.
    Pol,
}

/// Where a link to one peer lies while nobody uses it. Whoever uses it holds the lock, so that one
/// question at a time is asked.
type Slot = Arc<tokio::sync::Mutex<Option<Link>>>;

#[derive(Default)]
pub(crate) struct Pool {
    slots: Mutex<HashMap<(AtSign, Access), (Slot, Instant)>>,
}

impl Pool {
    /// The place of the link to this peer. The one that was not used for longest makes room.
    pub(crate) fn slot(&self, peer: &AtSign, access: Access, links_max: usize) -> Slot {
        let mut slots = self.slots();
        let key = (peer.clone(), access);
        if !slots.contains_key(&key) && slots.len() >= links_max.max(1) {
            let oldest = slots.iter().min_by_key(|(_, (_, used))| *used);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.map(|key| slots.remove(&key));
        }
        let (slot, used) = slots.entry(key).or_insert_with(|| (Slot::default(), Instant::now()));
        *used = Instant::now();
        Arc::clone(slot)
    }

    /// How many connections are kept or in use.
    pub(crate) fn len(&self) -> usize {
        self.slots().len()
    }

    /// Closes the connections to this peer.
    pub(crate) fn forget(&self, peer: &AtSign) {
        self.slots().retain(|(known, _), _| known != peer);
    }

    /// Closes what was not used for so long.
    pub(crate) fn close_idle(&self, idle_max: Duration) {
        self.slots().retain(|_, (_, used)| used.elapsed() < idle_max);
    }

    /// Closes all that is not in use.
    pub(crate) fn close_all(&self) {
        let mut slots = self.slots();
        slots.clear();
        slots.shrink_to_fit();
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<(AtSign, Access), (Slot, Instant)>> {
        // A table that a panic left half changed is at worst a connection more.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
