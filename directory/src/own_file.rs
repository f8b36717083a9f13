//! Whose the snapshot file is to write: where a process replaces another one, both know the file and
//! only one may change it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The right to write the file.
#[derive(Debug)]
pub(crate) struct OwnFile {
    is_ours: watch::Sender<bool>,
    /// Held while it is written.
    writing: Mutex<()>,
}

impl Default for OwnFile {
    fn default() -> Self {
        Self { is_ours: watch::Sender::new(true), writing: Mutex::default() }
    }
}

impl OwnFile {
    /// Held by whoever writes the file; none if it is somebody else's. Blocks while it is written.
    pub(crate) fn write(&self) -> Option<MutexGuard<'_, ()>> {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_ours().then_some(writing)
    }

    pub(crate) fn is_ours(&self) -> bool {
        *self.is_ours.borrow()
    }

    pub(crate) fn keep(&self) {
        self.is_ours.send_replace(true);
    }

    /// Waits for a write that is under way; after this nothing is written. Blocks.
    pub(crate) fn leave(&self) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_ours.send_replace(false);
    }

    /// Waits until it is ours.
    pub(crate) async fn ours(&self) {
        // The sender is here, so it does not close.
        drop(self.is_ours.subscribe().wait_for(|is_ours| *is_ours).await);
    }
}
