//! Whose each name is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use protocol::{HostLabel, VolumeId};

use crate::route_table::PortState;

/// All names of one router. A name costs its 16 bytes and its volume's.
#[derive(Debug, Default)]
pub struct Names {
    volumes: RwLock<HashMap<HostLabel, VolumeId>>,
    /// Whether anybody listens for them.
    is_served: AtomicBool,
}

impl Names {
    /// Lets a name lead to a volume.
    pub fn open(&self, label: HostLabel, volume: VolumeId) {
        self.write().insert(label, volume);
    }

    /// Ends a name that leads to this volume. Connections that were handed over live on.
    pub fn close(&self, label: HostLabel, volume: VolumeId) {
        let mut names = self.write();
        if names.get(&label) == Some(&volume) {
            names.remove(&label);
        }
    }

    /// Whose a name is.
    #[must_use]
    pub fn get(&self, label: HostLabel) -> Option<VolumeId> {
        self.read().get(&label).copied()
    }

    /// How connections to this name are taken, and for whom.
    pub(crate) fn state(&self, label: HostLabel) -> PortState {
        let volume = self.get(label).filter(|_| self.is_served.load(Ordering::Relaxed));
        volume.map_or(PortState::Closed, PortState::Listener)
    }

    /// From now on somebody listens for them.
    pub(crate) fn serve(&self) {
        self.is_served.store(true, Ordering::Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes over what has changed.
    pub(crate) fn change(&self, changes: &[(HostLabel, Option<VolumeId>)]) {
        if changes.is_empty() {
            return;
        }
        let mut names = self.write();
        for (label, volume) in changes {
            match volume {
                Some(volume) => names.insert(*label, *volume),
                None => names.remove(label),
            };
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<HostLabel, VolumeId>> {
        self.volumes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<HostLabel, VolumeId>> {
        self.volumes.write().unwrap_or_else(PoisonError::into_inner)
    }
}
