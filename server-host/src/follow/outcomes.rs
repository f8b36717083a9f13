//! What was done and is not told yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::VolumeId;
use protocol::control::roster::Done;
use tokio::sync::Notify;

use crate::limits::{REPORT_DONE_MAX, RESIDENTS_MAX};

/// The latest outcome for each volume, until the registrar has it.
#[derive(Default)]
pub(crate) struct Outcomes {
    untold: Mutex<HashMap<VolumeId, Done>>,
    news: Notify,
}

impl Outcomes {
    pub(crate) fn add(&self, done: Done) {
        let mut untold = self.untold();
        // A registrar that takes no reports asks again for what it is not told.
        if untold.len() < RESIDENTS_MAX || untold.contains_key(&done.volume) {
            untold.insert(done.volume, done);
        }
        drop(untold);
        self.news.notify_one();
    }

    /// Waits until there is something that was not there when it was asked last.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// As much as one report holds.
    pub(crate) fn some(&self) -> Vec<Done> {
        self.untold().values().take(REPORT_DONE_MAX).cloned().collect()
    }

    /// The registrar has these. Whether there are more.
    pub(crate) fn told(&self, told: &[Done]) -> bool {
        let mut untold = self.untold();
        for done in told {
            if untold.get(&done.volume) == Some(done) {
                untold.remove(&done.volume);
            }
        }
        !untold.is_empty()
    }

    fn untold(&self) -> MutexGuard<'_, HashMap<VolumeId, Done>> {
        // Each change is one call.
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
