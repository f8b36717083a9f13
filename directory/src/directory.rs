//! The directory as a whole: what it knows, and how that changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use feed::{
    Checkpoint, Chronicle, Evidence, FeedKey, Forged, Renewal, Signed, SignedSnapshot,
    SnapshotError,
};
use net::clock::{Clock, SystemClock};
use net::gate::{AcceptLimits, Gate};
use net::telemetry::Metrics;
use protocol::control::feed::{Batch, Change};
use protocol::{Address, AtSign, Epoch, FeedId, Timestamp};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::{Instant, timeout};

use crate::apply::{self, Position, Refusal};
use crate::limits::{self, BLOCKS, READY_WAIT, RENEWAL_WAIT};
use crate::metrics::Counts;
use crate::misses::{MissLimits, Misses};
use crate::own_file::OwnFile;
use crate::snapshot_file::{self, Head, SnapshotFileError, Stored};
use crate::table::Table;
use crate::web::Front;

/// One replica of the directory.
pub struct Directory {
    file: PathBuf,
    pub(crate) own_file: OwnFile,
    table: ArcSwap<Table>,
    position: watch::Sender<Option<Position>>,
    heard: watch::Sender<Heard>,
    opened: Instant,
    /// When the registrar last confirmed what is known, in milliseconds since 1970.
    confirmed: AtomicI64,
    /// Held by whoever changes the table, and while it is copied. Lookups never take it.
    writing: Mutex<()>,
    /// Held while the atlas is renewed, and by whoever needs all of it for long: he would keep what
    /// is old in memory.
    turn: Arc<Mutex<()>>,
    /// The same in the registrar's own words, unless it comes from nobody's feed.
    told: std::sync::Mutex<Option<Chronicle>>,
    pub(crate) gate: Gate,
    pub(crate) misses: Misses,
    pub(crate) counts: Counts,
    pub(crate) front: Front,
    clock: Arc<dyn Clock>,
}

/// What has come of asking, since this process began, whether what is known is all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Heard {
    /// Nobody has been asked to the end yet.
    Nothing,
    /// Nobody who carries the feed is of use now.
    Silence,
    /// The registrar has said so.
    Confirmed,
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
    /// The change up to which the registrar has vouched for everything at once; what came since it
    /// has signed change by change.
    pub checkpoint: Option<u64>,
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
        Self::alone(file, |_| Ok(()))
    }

    /// The same, once it was found that this key has signed all of it.
    ///
    /// # Errors
    /// The same, and [`SnapshotFileError::NotSigned`].
    pub fn open_signed(file: &Path, key: &FeedKey) -> Result<Arc<Self>, SnapshotFileError> {
        Self::alone(file, |stored| Ok(stored.check(key)?))
    }

    fn alone(
        file: &Path,
        check: impl FnOnce(&Stored) -> Result<(), SnapshotFileError>,
    ) -> Result<Arc<Self>, SnapshotFileError> {
        let stored = snapshot_file::load(file)?.ok_or(SnapshotFileError::Missing)?;
        check(&stored)?;
        let (file, clock) = (file.to_owned(), Arc::new(SystemClock));
        let directory = Self::new(file, limits::ACCEPT, limits::MISSES, clock);
        directory.start_from(stored)?;
        directory.heard.send_replace(Heard::Confirmed);
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
        let loaded = snapshot_file::load(&directory.file)
            .and_then(|stored| stored.map_or(Ok(()), |stored| directory.start_from(stored)));
        match loaded {
            Ok(()) => {}
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
            own_file: OwnFile::default(),
            table: ArcSwap::default(),
            position: watch::Sender::new(None),
            heard: watch::Sender::new(Heard::Nothing),
            opened: Instant::now(),
            confirmed: AtomicI64::new(i64::MIN),
            writing: Mutex::new(()),
            turn: Arc::default(),
            told: std::sync::Mutex::new(None),
            gate: Gate::with_blocks(limits, BLOCKS),
            misses: Misses::new(misses),
            counts: Counts::default(),
            front: Front::default(),
            clock,
        }
    }

    /// Where this identity is. Before the directory is ready it knows nobody: ask
    /// [`status`](Self::status) first.
    #[must_use]
    pub fn lookup(&self, name: &AtSign) -> Option<Address> {
        self.table.load().lookup(name)
    }

    /// Where this identity is, and under which epoch.
    pub(crate) fn record(&self, name: &AtSign) -> Option<(Address, Epoch)> {
        self.table.load().record(name)
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
            checkpoint: self.told().as_ref().map(|told| told.checkpoint().number),
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
        self.front.register(metrics);
    }

    /// Waits a little, if need be, until a question can be answered; false if it cannot. What was
    /// registered just before a crash may not be in the file yet, so the file alone is trusted only
    /// once the registrar has had its chance to say what came after: until all who carry its words
    /// have been asked in vain, or for a while.
    pub async fn can_answer(&self) -> bool {
        let mut heard = self.heard.subscribe();
        if *heard.borrow() != Heard::Confirmed {
            let (enough, patience) = match *self.position.borrow() {
                Some(_) => (Heard::Silence, READY_WAIT.saturating_sub(self.opened.elapsed())),
                None => (Heard::Confirmed, READY_WAIT),
            };
            // Confirmed or not: what is known by then decides.
            drop(timeout(patience, heard.wait_for(|heard| *heard >= enough)).await);
        }
        self.position.borrow().is_some()
    }

    /// Whether a question can be answered without waiting.
    pub(crate) fn can_answer_now(&self) -> bool {
        let is_known = self.position.borrow().is_some();
        is_known && (*self.heard.borrow() > Heard::Nothing || self.opened.elapsed() >= READY_WAIT)
    }

    /// All who carry the feed have been asked in vain.
    pub(crate) fn heard_nothing(&self) {
        self.heard.send_if_modified(|heard| {
            let is_first = *heard == Heard::Nothing;
            *heard = (*heard).max(Heard::Silence);
            is_first
        });
    }

    pub(crate) fn position(&self) -> watch::Receiver<Option<Position>> {
        self.position.subscribe()
    }

    /// Applies what is new in a batch, or refuses all of it.
    pub(crate) async fn apply(&self, signed: &Signed, batch: &Batch) -> Result<(), Refusal> {
        let _writing = self.writing.lock().await;
        let Some(known) = *self.position.borrow() else {
            return Ok(());
        };
        let table = self.table.load();
        let news = apply::news(known, |name| table.epoch_of(name), batch)?;
        news.iter().for_each(|change| table.change(change));
        if let Some(told) = self.told().as_mut() {
            told.add(signed, batch);
        }
        self.counts.newest.set(batch.newest);
        let number = news.last().map_or(known.number, |last| last.number);
        if !news.is_empty() {
            self.moved_to(Position { number, ..known });
        }
        if number >= batch.newest {
            self.confirm(batch.at);
            self.heard.send_replace(Heard::Confirmed);
        }
        Ok(())
    }

    /// Replaces everything with a snapshot, or refuses it.
    pub(crate) async fn install(&self, snapshot: SignedSnapshot) -> Result<(), Refusal> {
        let _writing = self.writing.lock().await;
        let known = *self.position.borrow();
        let (table, offered) = (self.table.load_full(), snapshot.clone());
        let admit = move || {
            let epoch_of = |name: &[u8]| table.epoch_of_bytes(name);
            apply::admit(known, epoch_of, offered.checkpoint(), offered.atlas())
        };
        // Every name is looked at.
        tokio::task::spawn_blocking(admit).await.map_err(|_| Refusal::Unreadable)??;
        let checkpoint = snapshot.checkpoint();
        let (feed, number) = (checkpoint.feed, checkpoint.number);
        let same = known.filter(|known| known.feed == feed);
        let began = same.map_or(checkpoint.at, |known| known.began);
        let (table, said) = (Table::new(Arc::clone(snapshot.atlas())), checkpoint.at);
        *self.told() = Some(Chronicle::new(snapshot));
        self.replace(table, Position { feed, number, began }, said);
        self.heard.send_replace(Heard::Confirmed);
        Ok(())
    }

    /// What is known, in the registrar's own words.
    pub(crate) fn told(&self) -> MutexGuard<'_, Option<Chronicle>> {
        // Nothing between lock and unlock leaves it half changed.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What leads to the snapshot that this checkpoint speaks of, if that is of use, and the table in
    /// which it is to be shown.
    pub(crate) async fn renewal(
        &self,
        signed: &Signed,
        checkpoint: &Checkpoint,
    ) -> Option<(Arc<Table>, Renewal)> {
        // So that both are of the same snapshot.
        let _writing = self.writing.lock().await;
        let renewal = self.told().as_mut()?.renewal(signed, checkpoint)?;
        Some((self.table.load_full(), renewal))
    }

    /// For whoever works on the whole atlas for long.
    pub(crate) async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// The registrar's word about one name; none if nobody has it or had it lately. While the atlas
    /// is renewed it waits a little for the end of that.
    ///
    /// # Errors
    /// [`SnapshotError`] if what is known was not told by a registrar, is damaged, or is still being
    /// renewed.
    pub async fn evidence(&self, name: &AtSign) -> Result<Option<Evidence>, SnapshotError> {
        match self.evidence_now(name) {
            Err(SnapshotError::Renewed) => {}
            known => return known,
        }
        drop(timeout(RENEWAL_WAIT, self.turn()).await);
        self.evidence_now(name)
    }

    /// The same at once.
    pub(crate) fn evidence_now(&self, name: &AtSign) -> Result<Option<Evidence>, SnapshotError> {
        // A copy, so that nobody waits for the hashing; what changed is looked up first, since what
        // it names may be in the snapshot by then, but not the other way round.
        let changed = self.table.load().changed(name);
        let told = self.told().clone();
        told.ok_or(Forged::Form)?.evidence(name, changed)
    }

    /// Writes what is known to the file, if it is ours; the number that it then has. Blocks.
    ///
    /// # Errors
    /// [`SnapshotFileError`]; the old file is still there then.
    pub(crate) fn save(&self) -> Result<Option<u64>, SnapshotFileError> {
        let _turn = self.turn.blocking_lock();
        let Some(_own) = self.own_file.write() else { return Ok(None) };
        let (told, began, confirmed) = {
            let _writing = self.writing.blocking_lock();
            let Some(at) = *self.position.borrow() else { return Ok(None) };
            let Some(told) = self.told().clone() else { return Ok(None) };
            (told, at.began, Timestamp(self.confirmed.load(Ordering::Relaxed)))
        };
        // Without one the file stays as it is, until there is one.
        let Some(base) = told.base() else { return Ok(None) };
        let (checkpoint, atlas) = (base.checkpoint(), base.atlas());
        let head = Head::of(atlas, checkpoint.feed, checkpoint.number, began, confirmed);
        let signed: Vec<_> =
            std::iter::once(base.signed()).chain(told.batches()).cloned().collect();
        snapshot_file::save(&self.file, &head, atlas, &signed)?;
        Ok(Some(told.number()))
    }

    /// Begins with what a file says. Its signatures were checked before it was written.
    fn start_from(&self, stored: Stored) -> Result<(), SnapshotFileError> {
        let (head, atlas) = (&stored.head, Arc::clone(&stored.atlas));
        let table = Table::new(atlas);
        let told = stored.chronicle()?;
        let mut number = head.number;
        if let Some(told) = &told {
            let change = |change: &Change| {
                table.change(change);
                Ok::<_, Forged>(())
            };
            told.each_change(change).map_err(|_| SnapshotFileError::Damaged("what was signed"))?;
            number = told.number();
        }
        *self.told() = told;
        let position = Position { feed: head.feed, number, began: head.began };
        self.replace(table, position, head.confirmed);
        Ok(())
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
        // Words of the registrar may come in any order, and its clock may be ahead of ours.
        let at = at.0.min(self.clock.now().0);
        let before = self.confirmed.fetch_max(at, Ordering::Relaxed);
        self.counts.confirmed.set(at.max(before) / 1000);
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("status", &self.status()).finish_non_exhaustive()
    }
}
