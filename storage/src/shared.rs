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
use crate::pulse::{HeldLog, Progress, Pulse};
use crate::recover::{Recovery, index_of};
use crate::state::State;
use crate::volume::Volume;

/// An open store.
///
/// `log` is held for as long as the disk works, `state` only for moments. Whoever needs both takes
/// `log` first.
pub(crate) struct Shared {
    pub(crate) id: VolumeId,
    pub(crate) epoch: Epoch,
    pub(crate) recovery: Recovery,
    log: Mutex<Log>,
    pub(crate) progress: Progress,
    /// For a look while the log is held.
    outlook: Arc<Volume>,
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
        let outlook = Arc::clone(&log.volume);
        let (log, state) = (Mutex::new(log), Mutex::new(state));
        let progress = Progress::default();
        Arc::new(Self { id, epoch, recovery, log, progress, outlook, state, open_mark })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> HeldLog<'_> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        HeldLog { log, _at_work: self.progress.begin() }
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
        let done = log.commit(&batches);
        self.progress.step();
        match done {
            Ok(()) => {
                let ready = self.state().settle();
                ready.into_values().for_each(Waker::wake);
            }
            Err(failure) => self.stop(log, failure),
        }
        true
    }

    /// Looks whether a higher epoch was opened; then this one stops. A log at which somebody works, or
    /// which hangs, keeps nobody from looking.
    pub(crate) fn check_epoch(&self) -> Result<(), CommitError> {
        self.state().check_health()?;
        self.outlook.look(self.epoch).map_err(|failure| {
            self.stop(&self.log(), failure.clone());
            CommitError::Stopped(failure)
        })
    }

    /// Ends the use of a store that does not get on, from the outside: whoever waits is told so, nothing
    /// that it still does will be acknowledged, and the volume can be opened again, with a higher epoch.
    pub(crate) fn give_up(&self) {
        let waiting = self.state().stop(Failure::GivenUp);
        waiting.into_values().for_each(Waker::wake);
        // Only now: from here on somebody else may have it.
        *self.open_mark.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether there is something to do for the disk, and how much was done; none if the store is held
    /// up for the moment.
    pub(crate) fn pulse(&self) -> Pulse {
        let waits = match self.state.try_lock() {
            Ok(state) => state.flushing.is_some() || !state.pending.is_empty(),
            Err(_) => true,
        };
        self.progress.pulse(waits)
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
