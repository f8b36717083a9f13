//! The one place where a server's store is read and written.
//!
//! What decides (the verbs) is synchronous: it reads through a [`View`], or reads and writes through
//! a [`Draft`] under the server's short lock. What waits is here: nothing that was read or written
//! is given out before it is durable. Versions, dates, commit ids and the order of outgoing
//! notifications are settled under the lock, so writers on many connections interleave safely, and
//! their commits share syncs.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::notification::Notification;
use protocol::{AtSign, ErrorCode, Timestamp};
use storage::{Batch, Commit, CommitError, Failure, Seq, Store, SyncJob};

use crate::access_log::AccessLog;
use crate::draft::{Draft, Outcome};
use crate::notify::outbox::Queues;
use crate::records::{self, LAST_NOTIFIED, NEXT_COMMIT, Table};
use crate::refusal::Refusal;
use crate::view::View;

/// Names that begin so are malformed…
const MALFORMED_PREFIX: &[u8] = b"public:cached:";
/// …and so is this one: it lacks its owner.
const MALFORMED: &[u8] = b"public:publickey";

/// A server's store with what is decided under its lock.
pub(crate) struct Ledger {
    store: Store,
    state: Mutex<State>,
    /// What came and was not told to the monitors yet, in the order of the log.
    arrivals: Mutex<VecDeque<Notification>>,
    is_stopped: AtomicBool,
    is_fenced: AtomicBool,
    /// A write found that the store has failed in a way that a new opening may mend.
    pub(crate) is_broken: AtomicBool,
}

/// What the next write counts on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counters {
    pub(crate) next_commit: u64,
    pub(crate) next_serial: u64,
    pub(crate) last_notified: Timestamp,
    pub(crate) notifications: usize,
}

struct State {
    counters: Counters,
    queues: Queues,
}

/// What was read, which must not be given out before it is durable.
#[must_use = "what was read is not durable yet"]
pub(crate) struct Look<T> {
    result: Result<T, Refusal>,
    seen: Option<Seq>,
}

/// What must still happen before a result is given out.
enum Pending {
    Read(Seq),
    Written(Commit, Option<SyncJob>),
}

impl Ledger {
    /// Reads the counters and the queues of a store.
    pub(crate) fn open(store: Store) -> Result<Self, Refusal> {
        remove_malformed(&store)?;
        let counters = Counters::read(&store)?;
        let mut queues = Queues::default();
        queues.apply(View::new(&store).queued()?, &[]);
        let state = Mutex::new(State { counters, queues });
        let (arrivals, is_stopped, is_fenced, is_broken) = Default::default();
        Ok(Self { store, state, arrivals, is_stopped, is_fenced, is_broken })
    }

    /// The counts of the access log as they were stored.
    pub(crate) fn access_log(&self) -> Result<AccessLog, Refusal> {
        AccessLog::read(&mut View::new(&self.store))
    }

    /// How many entries the store has.
    pub(crate) fn len(&self) -> usize {
        self.store.len()
    }

    /// How many bytes its log has.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.store.log_bytes()
    }

    /// Whether the store takes no more writes.
    pub(crate) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Whether a write found that the store was opened elsewhere.
    pub(crate) fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::SeqCst)
    }

    /// Gives the store back.
    pub(crate) fn into_store(self) -> Store {
        self.store
    }

    /// Makes the log smaller if that is worth it. Blocks.
    pub(crate) fn maintain(&self) {
        if let Err(error) = self.store.maintain() {
            tracing::warn!(%error, "the log is not compacted");
        }
    }

    /// The id of the latest commit.
    pub(crate) fn last_commit(&self) -> Option<u64> {
        self.state().counters.next_commit.checked_sub(1)
    }

    /// Looks at the waiting notifications.
    pub(crate) fn queues<T>(&self, look: impl FnOnce(&mut Queues) -> T) -> T {
        look(&mut self.state().queues)
    }

    /// The same for somebody who must not wait; none while somebody writes.
    pub(crate) fn try_queues<T>(&self, look: impl FnOnce(&mut Queues) -> T) -> Option<T> {
        Some(look(&mut self.state.try_lock().ok()?.queues))
    }

    /// Reads, then waits until what was read is durable.
    ///
    /// # Errors
    /// That of `read`, or that the store failed.
    pub(crate) async fn read<T>(
        &self,
        read: impl FnOnce(&mut View<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.settle_look(self.look(read)).await
    }

    /// The part of a read that needs a processor and waits for nothing.
    pub(crate) fn look<T>(
        &self,
        read: impl FnOnce(&mut View<'_>) -> Result<T, Refusal>,
    ) -> Look<T> {
        let mut view = View::new(&self.store);
        let result = read(&mut view);
        Look { result, seen: view.seen() }
    }

    /// The part of a read that waits.
    ///
    /// # Errors
    /// That of the look, or that the store failed.
    pub(crate) async fn settle_look<T>(&self, look: Look<T>) -> Result<T, Refusal> {
        if let Some(seq) = look.seen {
            self.settle(Pending::Read(seq)).await?;
        }
        look.result
    }

    /// Decides and writes in one commit, then waits until it is durable.
    ///
    /// # Errors
    /// That of `decide`, and then nothing is written; or that the store failed.
    pub(crate) async fn write<T>(
        &self,
        identity: &AtSign,
        now: Timestamp,
        decide: impl FnOnce(&mut Draft<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let (result, pending) = self.append(identity, now, decide);
        if let Some(pending) = pending {
            self.settle(pending).await?;
        }
        result
    }

    /// The part of a write that holds the lock.
    fn append<T>(
        &self,
        identity: &AtSign,
        now: Timestamp,
        decide: impl FnOnce(&mut Draft<'_>) -> Result<T, Refusal>,
    ) -> (Result<T, Refusal>, Option<Pending>) {
        let mut state = self.state();
        let State { counters, queues } = &mut *state;
        let mut draft = Draft::new(&self.store, identity, now, queues, *counters);
        let result = decide(&mut draft);
        // A refusal, too, may rest on what is not durable yet.
        let seen = draft.view.seen().map(Pending::Read);
        if result.is_err() {
            return (result, seen);
        }
        let Some(outcome) = draft.finish() else { return (result, seen) };
        let Outcome { counters: new, batch, queued, settled, arrived } = outcome;
        match self.store.append(batch) {
            Ok((commit, job)) => {
                *counters = new;
                queues.apply(queued, &settled);
                self.arrivals().extend(arrived);
                (result, Some(Pending::Written(commit, job)))
            }
            Err(error) => (Err(self.refused(&error)), None),
        }
    }

    async fn settle(&self, pending: Pending) -> Result<(), Refusal> {
        let settled = match pending {
            Pending::Read(seq) => self.store.durable(seq).await,
            Pending::Written(commit, job) => {
                if let Some(job) = job {
                    run(job).await;
                }
                commit.await.map(|_| ())
            }
        };
        settled.map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &CommitError) -> Refusal {
        match error {
            CommitError::Busy => Refusal::new(ErrorCode::InternalException, error.to_string()),
            CommitError::Batch(_) => Refusal::new(ErrorCode::BufferLimit, error.to_string()),
            CommitError::Full => Refusal::new(ErrorCode::DataStore, error.to_string()),
            CommitError::Stopped(_) | CommitError::Closed | CommitError::NeverAppended(_) => {
                match error {
                    CommitError::Stopped(Failure::Fenced { .. }) => {
                        self.is_fenced.store(true, Ordering::SeqCst);
                    }
                    CommitError::Stopped(Failure::Disk(_) | Failure::BrokenOff) => {
                        self.is_broken.store(true, Ordering::Relaxed);
                    }
                    _ => {}
                }
                let is_news = !self.is_stopped.swap(true, Ordering::Relaxed);
                if is_news {
                    let cause = std::error::Error::source(error).map(ToString::to_string);
                    tracing::error!(%error, cause, "the store stopped");
                }
                Refusal::store()
            }
        }
    }

    /// Tells of what came until this time, in the order in which it came, whoever asks first. The
    /// caller's own commit is durable, so what is before it in the log is as well.
    pub(crate) fn announce(&self, until: Timestamp, mut tell: impl FnMut(Notification)) {
        let mut arrivals = self.arrivals();
        while arrivals.front().is_some_and(|first| first.at <= until) {
            if let Some(first) = arrivals.pop_front() {
                tell(first);
            }
        }
        if arrivals.is_empty() {
            arrivals.shrink_to_fit();
        }
    }

    fn arrivals(&self) -> MutexGuard<'_, VecDeque<Notification>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing between lock and unlock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    /// Reads them from a store.
    pub(crate) fn read(store: &Store) -> Result<Self, Refusal> {
        let mut view = View::new(store);
        let next_commit = match view.get(NEXT_COMMIT)? {
            Some(bytes) => records::decode_number(&bytes)?,
            None => 0,
        };
        let last_notified = match view.get(LAST_NOTIFIED)? {
            Some(bytes) => Timestamp(records::decode_number(&bytes)?.cast_signed()),
            None => Timestamp(0),
        };
        let next_serial = view.queued()?.last().map_or(0, |last| last.serial + 1);
        let kept = [Table::Sent, Table::Received].map(|table| view.keys(&table.key(b"")).len());
        let notifications = kept.iter().sum();
        Ok(Self { next_commit, next_serial, last_notified, notifications })
    }
}

/// No command writes such names, but a store that was filled by something else may have them (the
/// protocol's section 4.4). They are not keys, so there is nothing to tell the commit log.
fn remove_malformed(store: &Store) -> Result<(), Refusal> {
    let mut names = store.keys(&Table::Live.key(MALFORMED_PREFIX));
    let exact = Table::Live.key(MALFORMED);
    names.extend(store.keys(&exact).into_iter().filter(|key| **key == *exact));
    if names.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::new();
    for key in &names {
        batch.delete(key).delete(&Table::Spans.key(key));
    }
    tracing::warn!(count = names.len(), "malformed keys are removed");
    store.commit_blocking(batch).map(drop).map_err(|_| Refusal::store())
}

/// Runs the sync on a thread of its own, so that one that hangs holds up none of the runtime's, and
/// its own connection can be told.
async fn run(job: SyncJob) {
    // If the task cannot be joined, the commits that wait for it say what became of them.
    drop(tokio::task::spawn_blocking(move || job.run()).await);
}
