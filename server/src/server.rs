//! One personal server while it is awake.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use net::drain::Drain;
use protocol::verb::Operation;
use protocol::{AtSign, Timestamp};
use storage::{Batch, Overseer, Store};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::access_log::AccessLog;
use crate::commit::Ledger;
use crate::draft::Draft;
use crate::expiry;
use crate::limits::{DELIVERIES_MAX, SHUT_DEADLINE};
use crate::lookout::Lookout;
use crate::memory::Memory;
use crate::notify::delivery;
use crate::notify::monitor::Monitors;
use crate::notify::reminder::{Remind, Reminder};
use crate::outbound::{Pool, Proofs};
use crate::records::ACCESS_LOG;
use crate::refusal::Refusal;
use crate::roster::Roster;
use crate::share::Shares;
use crate::signing::SigningPair;
use crate::tally::Tally;
use crate::vitals::Doom;
use crate::world::World;

/// The personal server of one identity. It has no task while nobody is connected and nothing waits
/// to be delivered.
pub struct Server {
    identity: AtSign,
    world: Arc<World>,
    ledger: Ledger,
    monitors: Monitors,
    roster: Arc<Roster>,
    pool: Pool,
    proofs: Proofs,
    access: AccessLog,
    signing: OnceCell<SigningPair>,
    deliveries: Semaphore,
    /// Without a host there is nobody to tell.
    reminder: Option<Box<Reminder>>,
    /// Without one nobody else can open the store.
    lookout: Option<Arc<Lookout>>,
    overseer: Overseer,
    doom: Doom,
    tally: Tally,
    number: usize,
    /// Made with the first command.
    shares: OnceLock<Box<Shares>>,
    memory: Arc<Memory>,
    tasks: Drain,
    /// The day on which copies of others' keys were looked through.
    refreshed: AtomicU64,
    opened: Instant,
}

/// What a host does for a server.
#[derive(Default)]
pub struct Hosting {
    /// Told that something waits to be delivered, before the first who had it wait is answered.
    pub remind: Option<Remind>,
    /// When the opening of the store began, where others can open it with a higher epoch: the server
    /// then gives out nothing that it knows without having looked a short time before.
    pub looked: Option<Instant>,
}

/// Servers that were opened so far.
static OPENED: AtomicUsize = AtomicUsize::new(0);

/// Why a server does not open.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Its store cannot be read.
    #[error("the store of {0} cannot be read")]
    Store(AtSign),
    /// It cannot be written.
    #[error("the store of {identity} cannot be written")]
    Write {
        /// Whose.
        identity: AtSign,
        /// What the store says.
        source: storage::CommitError,
    },
}

impl Server {
    /// Opens the server of `identity` on its store, inside a tokio runtime. Notifications that were
    /// not delivered are tried again from now on.
    ///
    /// # Errors
    /// [`ServerError::Store`] if the store cannot be read.
    pub fn open(
        identity: AtSign,
        store: Store,
        world: Arc<World>,
    ) -> Result<Arc<Self>, ServerError> {
        Self::open_hosted(identity, store, world, Hosting::default())
    }

    /// The same for a host that runs many.
    ///
    /// # Errors
    /// [`ServerError::Store`] if the store cannot be read.
    pub fn open_hosted(
        identity: AtSign,
        store: Store,
        world: Arc<World>,
        hosting: Hosting,
    ) -> Result<Arc<Self>, ServerError> {
        let Hosting { remind, looked } = hosting;
        let lookout = looked.map(|looked| Arc::new(Lookout::new(store.lookout(), looked)));
        let overseer = store.overseer();
        let ledger = Ledger::open(store).map_err(|_| ServerError::Store(identity.clone()))?;
        let access = ledger.access_log().map_err(|_| ServerError::Store(identity.clone()))?;
        let monitors = Monitors::new(ledger.last_commit());
        let memory = Memory::of_one(world.limits.memory_max, &world.memory);
        let server = Arc::new(Self {
            identity,
            world,
            ledger,
            monitors,
            roster: Arc::default(),
            pool: Pool::default(),
            proofs: Proofs::default(),
            access,
            signing: OnceCell::new(),
            deliveries: Semaphore::new(DELIVERIES_MAX),
            reminder: remind.map(|remind| Box::new(Reminder::new(remind))),
            lookout,
            overseer,
            doom: Doom::new(),
            tally: Tally::new(),
            number: OPENED.fetch_add(1, Ordering::Relaxed),
            shares: OnceLock::new(),
            memory,
            tasks: Drain::new(),
            refreshed: AtomicU64::new(u64::MAX),
            opened: Instant::now(),
        });
        server.deliver();
        Ok(server)
    }

    /// Whose server it is.
    #[must_use]
    pub fn identity(&self) -> &AtSign {
        &self.identity
    }

    /// Whether nobody is connected and nothing waits to be delivered, so that it may be shut. Where
    /// the store has stopped, what waits does not count: it is delivered after the next start.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.roster.is_empty()
            && self.tasks.running() == 0
            && (self.is_stopped() || self.ledger.try_queues(|queues| queues.len()) == Some(0))
    }

    /// Whether nobody is connected and nothing is being done, so that it may be shut for the time
    /// being: what waits to be delivered waits for its [`next_try`](Self::next_try).
    #[must_use]
    pub fn may_nap(&self) -> bool {
        self.is_idle() || (self.roster.is_empty() && self.next_try().is_some())
    }

    /// When a delivery that failed is tried again; none while one is tried, or nothing waits, or
    /// somebody is writing.
    #[must_use]
    pub fn next_try(&self) -> Option<Instant> {
        self.ledger.try_queues(|queues| queues.next_try()).flatten()
    }

    /// How many notifications wait to be delivered to others.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.ledger.queues(|queues| queues.len())
    }

    /// Whether notifications wait to be delivered to others, or may: somebody is writing just now.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.ledger.try_queues(|queues| queues.len()).is_none_or(|waiting| waiting > 0)
    }

    /// Whether its store takes no more writes until it is opened again.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.ledger.is_stopped()
    }

    /// What looks for others who have opened the store, if there may be any. It may be kept while the
    /// server is shut.
    #[must_use]
    pub fn lookout(&self) -> Option<&Arc<Lookout>> {
        self.lookout.as_ref()
    }

    /// Whether it was found that the store was opened with a higher epoch elsewhere.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.ledger.is_fenced() || self.lookout.as_ref().is_some_and(|lookout| lookout.is_fenced())
    }

    /// What watches over its store. It may be kept while the server is shut.
    #[must_use]
    pub fn overseer(&self) -> &Overseer {
        &self.overseer
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    pub(crate) fn doom(&self) -> &Doom {
        &self.doom
    }

    /// Whether something that is known here may be given out now.
    pub(crate) async fn holds(&self) -> bool {
        if self.doom.is_set() {
            return false;
        }
        match &self.lookout {
            None => true,
            Some(lookout) => {
                if self.ledger.is_fenced() {
                    lookout.set_fenced();
                }
                lookout.holds().await
            }
        }
    }

    /// Ends everything that it does: connections are closed after the command that they are at,
    /// deliveries are left for the next start. Gives the store back, unless something does not end
    /// within its deadline.
    pub async fn shut(self: Arc<Self>) -> Option<Store> {
        self.tasks.start();
        self.tasks.finished(SHUT_DEADLINE).await;
        let mut server = self;
        let last = Instant::now() + SHUT_DEADLINE;
        loop {
            server = match Arc::try_unwrap(server) {
                Ok(server) => return Some(server.into_store()),
                Err(shared) => shared,
            };
            if Instant::now() > last {
                return None;
            }
            // The connections' tasks belong to whoever accepted them.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn into_store(self) -> Store {
        let due = self.access.due(self.now(), Duration::ZERO);
        let store = self.ledger.into_store();
        if let Ok(Some(bytes)) = due {
            let mut batch = Batch::new();
            batch.put(ACCESS_LOG, &bytes);
            // Nobody waits for it: it goes with the last write of the store, or is lost.
            drop(store.append(batch));
        }
        store
    }

    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Tells it from all others of the process.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn shares(&self) -> &Shares {
        self.shares.get_or_init(|| Box::new(Shares::new()))
    }

    /// What its callers can make it hold.
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.world.clock.now()
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.opened.elapsed()
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn monitors(&self) -> &Monitors {
        &self.monitors
    }

    pub(crate) fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What runs beside the connections; the end of the server waits for it.
    pub(crate) fn tasks(&self) -> &Drain {
        &self.tasks
    }

    /// The signing pair, once it was needed.
    pub(crate) fn signing(&self) -> &OnceCell<SigningPair> {
        &self.signing
    }

    /// Whether copies of others' keys were looked through on this day; from now on they were.
    pub(crate) fn refreshed_today(&self, day: u64) -> bool {
        self.refreshed.swap(day, Ordering::Relaxed) == day
    }

    /// Who came, and what was looked up.
    pub(crate) fn access(&self) -> &AccessLog {
        &self.access
    }

    pub(crate) fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// Waits until the server begins to end.
    pub(crate) async fn ending(&self) {
        self.tasks.draining().await;
    }

    /// Waits for a turn among the deliveries to different receivers.
    pub(crate) async fn delivery_turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed; if it were, the limit would be all that is lost.
        self.deliveries.acquire().await.ok()
    }

    /// Decides and writes, and waits until it is durable.
    pub(crate) async fn write<T>(
        &self,
        decide: impl FnOnce(&mut Draft<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let result = self.ledger.write(&self.identity, self.now(), decide).await?;
        if self.waiting() > 0
            && let Some(reminder) = &self.reminder
        {
            reminder.tell().await?;
        }
        Ok(result)
    }

    /// After a commit: monitors learn of it, and what it queued is delivered.
    pub(crate) fn committed(self: &Arc<Self>, change: Operation) {
        self.monitors.changed(self.ledger.last_commit(), change);
        self.deliver();
    }

    /// After a commit: monitors are told of what came until now.
    pub(crate) fn announce(&self, until: Timestamp) {
        self.ledger
            .announce(until, |notification| self.monitors.publish(notification, &self.memory));
    }

    /// Starts a delivery for each receiver that has none.
    pub(crate) fn deliver(self: &Arc<Self>) {
        for receiver in self.ledger.queues(|queues| queues.claim()) {
            self.tasks.spawn(delivery::run(Arc::clone(self), receiver));
        }
    }

    /// Looks after what has to be done while there are connections, unless somebody does.
    pub(crate) fn keep(self: &Arc<Self>) {
        if self.roster.claim_keeping() {
            self.tasks.spawn(expiry::keep(Arc::clone(self)));
        }
    }

    /// Nobody is there and nothing waits: connections to peers are of no use.
    pub(crate) fn rest(&self) {
        if self.roster.is_empty() {
            self.pool.close_all();
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.identity)
    }
}
