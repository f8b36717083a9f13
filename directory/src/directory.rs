//! The directory as a whole: what it knows, and how that changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use atlas::Atlas;
use feed::SignedSnapshot;
use net::clock::{Clock, SystemClock};
use net::gate::{AcceptLimits, Gate};
use net::telemetry::Metrics;
use protocol::control::feed::Batch;
use protocol::{Address, AtSign, FeedId, Timestamp};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use crate::apply::{self, Position, Refusal};
use crate::limits::{self, BLOCKS, READY_WAIT};
use crate::metrics::Counts;
use crate::misses::{MissLimits, Misses};
use crate::snapshot_file::{self, Head, SnapshotFileError};
use crate::table::Table;

/// One replica of the directory.
pub struct Directory {
    file: PathBuf,
    table: ArcSwap<Table>,
    position: watch::Sender<Option<Position>>,
    /// Whether the registrar has confirmed, since this process began, that this is all.
    is_synced: watch::Sender<bool>,
    opened: Instant,
    /// When the registrar last confirmed what is known, in milliseconds since 1970.
    confirmed: AtomicI64,
    /// Held by whoever changes the table, and while it is copied. Lookups never take it.
    writing: Mutex<()>,
    pub(crate) gate: Gate,
    pub(crate) misses: Misses,
    pub(crate) counts: Counts,
    clock: Arc<dyn Clock>,
}

/// What a directory knows about its knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Whether it answers lookups.
    pub ready: bool,
    /// Which feed it follows.
    pub feed: Option<FeedId>,
    /// The last change that it applied.
    pub number: u64,
    /// How long ago the registrar last confirmed that this is all; none before it ever did.
    pub age: Option<Duration>,
    /// Identities with an address.
    pub entries: usize,
}

impl Directory {
    /// Starts from its snapshot file, if there is one that is whole; a damaged one is reported and
    /// ignored, and replaced once the feed has told everything anew.
    ///
    /// # Errors
    /// [`SnapshotFileError::Io`] if the system does not let the file be read.
    pub fn open(snapshot_file: PathBuf) -> Result<Arc<Self>, SnapshotFileError> {
        Self::open_with(snapshot_file, limits::ACCEPT, Arc::new(SystemClock))
    }

    /// Starts from a snapshot file that is all there will be: no feed has to confirm it.
    ///
    /// # Errors
    /// [`SnapshotFileError`] if it is missing or not whole.
    pub fn open_alone(file: &Path) -> Result<Arc<Self>, SnapshotFileError> {
        let (head, atlas) = snapshot_file::load(file)?.ok_or(SnapshotFileError::Missing)?;
        let (file, clock) = (file.to_owned(), Arc::new(SystemClock));
        let directory = Self::new(file, limits::ACCEPT, limits::MISSES, clock);
        directory.start_from(&head, atlas);
        directory.is_synced.send_replace(true);
        Ok(Arc::new(directory))
    }

    /// As [`open`](Self::open), with other limits and another clock.
    ///
    /// # Errors
    /// The same.
    pub fn open_with(
        snapshot_file: PathBuf,
        limits: AcceptLimits,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, SnapshotFileError> {
        Self::open_guarded(snapshot_file, limits, limits::MISSES, clock)
    }

    /// As [`open_with`](Self::open_with), with other limits for unknown names too.
    ///
    /// # Errors
    /// The same.
    pub fn open_guarded(
        snapshot_file: PathBuf,
        limits: AcceptLimits,
        misses: MissLimits,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, SnapshotFileError> {
        let directory = Self::new(snapshot_file, limits, misses, clock);
        match snapshot_file::load(&directory.file) {
            Ok(Some((head, atlas))) => directory.start_from(&head, atlas),
            Ok(None) => {}
            Err(e @ SnapshotFileError::Io(_)) => return Err(e),
            Err(e) => {
                let file = directory.file.display();
                tracing::error!(%file, error = %e, "ignoring the directory's snapshot file");
            }
        }
        Ok(Arc::new(directory))
    }

    fn new(file: PathBuf, limits: AcceptLimits, misses: MissLimits, clock: Arc<dyn Clock>) -> Self {
        Self {
            file,
            table: ArcSwap::default(),
            position: watch::Sender::new(None),
            is_synced: watch::Sender::new(false),
            opened: Instant::now(),
            confirmed: AtomicI64::new(i64::MIN),
            writing: Mutex::new(()),
            gate: Gate::with_blocks(limits, BLOCKS),
            misses: Misses::new(misses),
            counts: Counts::default(),
            clock,
        }
    }

    /// Where this identity is. Before the directory is ready it knows nobody: ask
    /// [`status`](Self::status) first.
    #[must_use]
    pub fn lookup(&self, name: &AtSign) -> Option<Address> {
        self.table.load().lookup(name)
    }

    /// Appends the answer to a lookup; false, and nothing, for a name that nobody has.
    pub(crate) fn answer(&self, name: &AtSign, out: &mut Vec<u8>) -> bool {
        self.table.load().answer(name, out)
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let position = *self.position.borrow();
        let confirmed = self.confirmed.load(Ordering::Relaxed);
        let age = (confirmed != i64::MIN).then(|| self.clock.now().0.saturating_sub(confirmed));
        Status {
            ready: position.is_some(),
            feed: position.map(|p| p.feed),
            number: position.map_or(0, |p| p.number),
            age: age.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))),
            entries: self.table.load().len(),
        }
    }

    /// Waits until it knows anything; false when the deadline came first.
    pub async fn ready(&self, deadline: Duration) -> bool {
        self.reached(0, deadline).await
    }

    /// Waits until it has applied change `number`; false when the deadline came first.
    pub async fn reached(&self, number: u64, deadline: Duration) -> bool {
        let mut position = self.position.subscribe();
        let is_there = |at: &Option<Position>| at.is_some_and(|at| at.number >= number);
        timeout(deadline, position.wait_for(is_there)).await.is_ok_and(|there| there.is_ok())
    }

    /// Adds its figures to the metrics, in a registry that carries its prefix.
    pub fn register(&self, metrics: &mut Metrics) {
        self.counts.register(metrics);
        self.gate.register(metrics);
    }

    /// Waits a little, if need be, until a question can be answered; false if it cannot. What was
    /// registered just before a crash may not be in the file yet, so the file alone is trusted only
    /// once the registrar has had its chance to say what came after.
    pub(crate) async fn can_answer(&self) -> bool {
        let mut is_synced = self.is_synced.subscribe();
        if !*is_synced.borrow() {
            let patience = match *self.position.borrow() {
                Some(_) => READY_WAIT.saturating_sub(self.opened.elapsed()),
                None => READY_WAIT,
            };
            // Synced or not: what is known by then decides.
            drop(timeout(patience, is_synced.wait_for(|synced| *synced)).await);
        }
        self.position.borrow().is_some()
    }

    pub(crate) fn position(&self) -> watch::Receiver<Option<Position>> {
        self.position.subscribe()
    }

    /// Applies what is new in a batch, or refuses all of it.
    pub(crate) async fn apply(&self, batch: &Batch) -> Result<(), Refusal> {
        let _writing = self.writing.lock().await;
        let Some(known) = *self.position.borrow() else {
            return Ok(());
        };
        let table = self.table.load();
        let news = apply::news(known, |name| table.epoch_of(name), batch)?;
        news.iter().for_each(|change| table.change(change));
        self.counts.newest.set(batch.newest);
        let number = news.last().map_or(known.number, |last| last.number);
        if !news.is_empty() {
            self.moved_to(Position { number, ..known });
        }
        if number >= batch.newest {
            self.confirm(self.clock.now());
            self.is_synced.send_replace(true);
        }
        Ok(())
    }

    /// Replaces everything with a snapshot, or refuses it.
    pub(crate) async fn install(&self, snapshot: &SignedSnapshot) -> Result<(), Refusal> {
        let _writing = self.writing.lock().await;
        let known = *self.position.borrow();
        let (table, checkpoint) = (self.table.load(), snapshot.checkpoint());
        apply::admit(known, |name| table.epoch_of_bytes(name), checkpoint, snapshot.atlas())?;
        let (feed, number) = (checkpoint.feed, checkpoint.number);
        let same = known.filter(|known| known.feed == feed);
        let began = same.map_or(checkpoint.at, |known| known.began);
        let table = Table::new(Atlas::clone(snapshot.atlas()));
        self.replace(table, Position { feed, number, began }, self.clock.now());
        self.is_synced.send_replace(true);
        Ok(())
    }

    /// Merges what changed into the atlas, writes the snapshot file, and tells up to which change
    /// it goes. Blocks; lookups go on, and so do changes but for the moment of a copy.
    pub(crate) fn save(&self) -> Result<Option<u64>, SnapshotFileError> {
        let (table, recent, at, confirmed) = {
            let _writing = self.writing.blocking_lock();
            let Some(at) = *self.position.borrow() else { return Ok(None) };
            let table = self.table.load_full();
            let recent = table.recent();
            (table, recent, at, Timestamp(self.confirmed.load(Ordering::Relaxed)))
        };
        let atlas = table.merge(recent)?;
        let head = Head::of(&atlas, at.feed, at.number, at.began, confirmed);
        snapshot_file::save(&self.file, &head, &atlas)?;
        Ok(Some(at.number))
    }

    /// Takes over what a snapshot file says.
    fn start_from(&self, head: &Head, atlas: Atlas) {
        let position = Position { feed: head.feed, number: head.number, began: head.began };
        self.replace(Table::new(atlas), position, head.confirmed);
    }

    fn replace(&self, table: Table, position: Position, confirmed: Timestamp) {
        self.table.store(Arc::new(table));
        self.counts.newest.set(position.number);
        self.confirm(confirmed);
        self.moved_to(position);
    }

    fn moved_to(&self, position: Position) {
        self.counts.number.set(position.number);
        let entries = self.table.load().len();
        self.counts.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.position.send_replace(Some(position));
    }

    fn confirm(&self, at: Timestamp) {
        self.confirmed.store(at.0, Ordering::Relaxed);
        self.counts.confirmed.set(at.0 / 1000);
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("status", &self.status()).finish_non_exhaustive()
    }
}
