//! Which volumes this process has open: one log must never have two writers, here least of all.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::VolumeId;

#[derive(Clone, Default)]
pub(crate) struct OpenSet(Arc<Mutex<BTreeSet<VolumeId>>>);

/// The right to have a volume open; gives it back when dropped.
pub(crate) struct OpenMark {
    set: OpenSet,
    volume: VolumeId,
}

impl OpenSet {
    fn volumes(&self) -> MutexGuard<'_, BTreeSet<VolumeId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the right, unless somebody has it.
    pub(crate) fn take(&self, volume: VolumeId) -> Option<OpenMark> {
        self.volumes().insert(volume).then(|| OpenMark { set: self.clone(), volume })
    }
}

impl Drop for OpenMark {
    fn drop(&mut self) {
        self.set.volumes().remove(&self.volume);
    }
}
