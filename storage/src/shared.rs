//! An open store as its handle, its futures and its jobs see it, and how what is pending gets to the
//! disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use protocol::{Epoch, VolumeId};

use crate::batch::Batch;
use crate::error::{CommitError, Failure, with_causes};
use crate::limits::SYNCS_A_JOB_MAX;
use crate::log::Log;
use crate::open_set::OpenMark;
use crate::recover::{Recovery, index_of};
use crate::state::State;

/// An open store.
///
/// `log` is held for as long as the disk works, `state` only for moments. Whoever needs both takes
/// `log` first.
pub(crate) struct Shared {
    pub(crate) id: VolumeId,
    pub(crate) epoch: Epoch,
    pub(crate) recovery: Recovery,
    pub(crate) log: Mutex<Log>,
    state: Mutex<State>,
    /// Dropped on closing, so that the volume can be opened again.
    pub(crate) open_mark: Mutex<Option<OpenMark>>,
}

impl Shared {
    pub(crate) fn new(
        epoch: Epoch,
        recovery: Recovery,
        log: Log,
        state: State,
        open_mark: OpenMark,
    ) -> Arc<Self> {
        let (id, open_mark) = (log.volume.id, Mutex::new(Some(open_mark)));
        let (log, state) = (Mutex::new(log), Mutex::new(state));
        Arc::new(Self { id, epoch, recovery, log, state, open_mark })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes and syncs until nothing is pending. The caller has the duty, and is rid of it then.
    pub(crate) fn lead(&self, log: &mut Log) {
        while self.write_pending(log) {}
    }

    /// The same for a limited time: whoever leads has a client of its own that waits.
    pub(crate) fn lead_for_a_while(&self, log: &mut Log) {
        let mut syncs = 0;
        while self.write_pending(log) {
            syncs += 1;
            if syncs < SYNCS_A_JOB_MAX {
                continue;
            }
            // Woken, they find that nobody leads, and one of them does. If nobody waits for what
            // is pending, it has to be written all the same.
            let waiting = self.state().hand_over();
            if !waiting.is_empty() {
                waiting.into_values().for_each(Waker::wake);
                return;
            }
        }
    }

    /// One write and one sync for all that is pending; false if nothing was.
    pub(crate) fn write_pending(&self, log: &mut Log) -> bool {
        let Some(batches) = self.take_pending() else { return false };
        match log.commit(&batches) {
            Ok(()) => {
                let ready = self.state().settle();
                ready.into_values().for_each(Waker::wake);
            }
            Err(failure) => self.stop(log, failure),
        }
        true
    }

    /// Looks whether a higher epoch was opened; then this one stops.
    pub(crate) fn check_epoch(&self) -> Result<(), CommitError> {
        let log = self.log();
        self.state().check_health()?;
        log.look().map_err(|failure| {
            self.stop(&log, failure.clone());
            CommitError::Stopped(failure)
        })
    }

    fn take_pending(&self) -> Option<Arc<Vec<Batch>>> {
        let mut state = self.state();
        if state.flushing.is_none() {
            return state.take_pending();
        }
        // Whoever wrote these never came back, and nobody knows how far they got.
        let waiting = state.stop(Failure::BrokenOff);
        drop(state);
        waiting.into_values().for_each(Waker::wake);
        None
    }

    /// Stops the store after a failed write, and goes back to what is durable.
    pub(crate) fn stop(&self, log: &Log, failure: Failure) {
        tracing::error!(volume = %self.id, error = %with_causes(&failure), "a store stopped writing");
        // What was written beyond the durable end was never acknowledged. It stays until the next
        // opening: a higher epoch may have read it meanwhile, and gone on from there.
        let waiting = self.state().stop(failure);
        waiting.into_values().for_each(Waker::wake);
        self.rebuild_index(log);
    }

    /// Reads the index anew from what is durable.
    fn rebuild_index(&self, log: &Log) {
        let segments = Arc::clone(&self.state().segments);
        match index_of(&segments, &log.at) {
            Ok(index) => {
                let mut state = self.state();
                (state.index, state.index_is_true) = (index, true);
            }
            Err(error) => {
                tracing::error!(volume = %self.id, error = %with_causes(&error), "a stopped store cannot be read");
            }
        }
    }
}
