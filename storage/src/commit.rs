//! Waiting for the disk: futures without a runtime, and the job that somebody has to run.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use protocol::Epoch;

use crate::error::{CommitError, Failure, Seq};
#[cfg(doc)]
use crate::limits::SYNCS_A_JOB_MAX;
use crate::shared::Shared;

/// The proof that a batch is on stable storage. Only a finished sync makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurableAck {
    seq: Seq,
    epoch: Epoch,
}

impl DurableAck {
    /// The batch's number.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The epoch it was written in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }
}

/// Resolves when an appended batch is durable, or never will be. Dropping it changes nothing for the
/// batch.
#[must_use = "a batch may be acknowledged only when this has resolved"]
pub struct Commit(Waiting);

/// Resolves when everything up to some batch is durable, or never will be.
#[must_use = "it does nothing unless it is waited for"]
pub struct Durable(Waiting);

/// The duty to write what is pending: one write and one sync for all of it, again until nothing is
/// pending, or until it is somebody else's turn. It blocks, so run it where blocking is allowed, and
/// soon.
///
/// Dropped without being run, it leaves the duty to the next append, or to whoever polls a
/// [`Commit`] next.
#[must_use = "nothing becomes durable until it is run"]
pub struct SyncJob {
    shared: Arc<Shared>,
    running: bool,
}

impl SyncJob {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), running: false }
    }

    /// Writes and syncs until nothing is pending, at most [`SYNCS_A_JOB_MAX`] times, waking whoever
    /// waits. Errors go to those.
    pub fn run(mut self) {
        self.running = true;
        let shared = Arc::clone(&self.shared);
        shared.lead_for_a_while(&mut shared.log());
        // From here on there is nothing to hand back.
        self.running = false;
    }
}

impl Drop for SyncJob {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let waiting = if self.running {
            // A panic on the way: how far it got is unknown.
            state.stop(Failure::BrokenOff)
        } else if state.led && state.flushing.is_none() && !state.pending.is_empty() {
            state.led = false;
            // Woken, they find that nobody leads, and one of them does.
            std::mem::take(&mut state.waiters)
        } else {
            return;
        };
        drop(state);
        waiting.into_values().for_each(Waker::wake);
    }
}

impl Commit {
    pub(crate) fn new(shared: &Arc<Shared>, seq: u64) -> Self {
        Self(Waiting::new(shared, seq))
    }

    /// The number that the batch has got.
    #[must_use]
    pub fn seq(&self) -> Seq {
        Seq(self.0.seq)
    }
}

impl Durable {
    pub(crate) fn new(shared: &Arc<Shared>, seq: u64) -> Self {
        Self(Waiting::new(shared, seq))
    }
}

impl Future for Commit {
    type Output = Result<DurableAck, CommitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (seq, epoch) = (Seq(self.0.seq), self.0.shared.epoch);
        self.0.poll(cx).map(|done| done.map(|()| DurableAck { seq, epoch }))
    }
}

impl Future for Durable {
    type Output = Result<(), CommitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx)
    }
}

/// One place in the row of those who wait.
struct Waiting {
    shared: Arc<Shared>,
    seq: u64,
    place: Option<u64>,
}

impl Waiting {
    fn new(shared: &Arc<Shared>, seq: u64) -> Self {
        Self { shared: Arc::clone(shared), seq, place: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CommitError>> {
        let mut state = self.shared.state();
        if let Some(outcome) = state.outcome(self.seq) {
            return Poll::Ready(outcome);
        }
        if state.led {
            let place = self.place.unwrap_or(state.next_waiter);
            state.next_waiter += u64::from(self.place.is_none());
            self.place = Some(place);
            let replaced = state.waiters.insert((self.seq, place), cx.waker().clone());
            // A waker may be the last to hold a task, and a task may hold one of these.
            drop(state);
            drop(replaced);
            return Poll::Pending;
        }
        // Somebody dropped the duty. It is a moment's work, and nobody else is sure to come.
        state.led = true;
        drop(state);
        SyncJob::new(&self.shared).run();
        let state = self.shared.state();
        Poll::Ready(state.outcome(self.seq).unwrap_or(Err(CommitError::Closed)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            let waker = self.shared.state().waiters.remove(&(self.seq, place));
            drop(waker);
        }
    }
}

impl Shared {
    /// Lets nothing more in and writes what is pending. The volume can be opened again then.
    pub(crate) fn close(&self) -> Result<(), CommitError> {
        self.state().begin_closing();
        let mut log = self.log();
        self.lead(&mut log);
        let outcome = match self.state().finish_closing() {
            Some(outcome) => outcome,
            None => return Ok(()),
        };
        let closed = match &outcome {
            Ok(()) => log.close(),
            Err(_) => log.watermarks.sync(),
        };
        *self.open_mark.lock().unwrap_or_else(PoisonError::into_inner) = None;
        outcome.and(closed.map_err(|error| CommitError::Stopped(error.into())))
    }
}

/// Waits on this thread.
pub(crate) fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match Pin::new(&mut future).poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
