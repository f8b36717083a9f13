//! Thousands of personal servers in one process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use net::accept::Gate;
use net::drain::Drain;
use net::telemetry::Metrics;
use net::tls::ServerTls;
use protocol::control::placement::Placement;
use protocol::{AtSign, Epoch, VolumeId};
use server::{Server, World};
use storage::{VolumeSet, Volumes};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::limits;
use crate::reminders::Reminders;

/// How a cell treats its servers.
#[derive(Debug, Clone)]
pub struct CellConfig {
    /// How long a server stays awake that nobody is connected to.
    pub sleep_after: Duration,
}

/// Why a cell could not do what the registrar asked.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The volume could not be made, opened or removed.
    #[error("the volume of {identity} cannot be used")]
    Volume {
        /// Whose.
        identity: AtSign,
        /// What storage said.
        source: storage::OpenError,
    },
    /// The server refused its own store.
    #[error("the server of {identity} cannot be started")]
    Server {
        /// Whose.
        identity: AtSign,
        /// What the server said.
        source: server::ServerError,
    },
    /// What was written for a new server did not become durable.
    #[error("the volume of {identity} cannot be closed")]
    Close {
        /// Whose.
        identity: AtSign,
        /// What storage said.
        source: storage::CommitError,
    },
    /// The cell was told of a newer placement of the same volume.
    #[error("{identity} is placed here with {known:?}, which is newer")]
    Stale {
        /// Whose.
        identity: AtSign,
        /// The epoch that this cell holds.
        known: Epoch,
    },
    /// No server of this volume is placed here.
    #[error("no server with volume {0} is placed in this cell")]
    Unknown(VolumeId),
    /// The cell is shutting down, or the runtime is.
    #[error("the cell is closing")]
    Closing,
    /// The server did not settle or wake in time.
    #[error("the server of {0} did not get ready in time")]
    Slow(AtSign),
}

/// A server that lives here.
#[derive(Debug, Clone)]
pub struct Resident {
    /// Whose.
    pub identity: AtSign,
    /// With which its log is opened.
    pub epoch: Epoch,
}

/// What a cell counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CellCounters {
    /// Servers that live here.
    pub residents: usize,
    /// Of them awake.
    pub awake: usize,
    /// Wakes since the start.
    pub wakes: u64,
    /// Wakes that failed.
    pub wakes_failed: u64,
    /// Sleepers that will be woken because something waits in them.
    pub reminders: usize,
    /// Microseconds spent waking, summed over all wakes.
    pub wake_micros: u64,
}

/// Where a server is in its life. A change of state that takes time leaves a channel that closes
/// when the state has settled.
pub(crate) enum State {
    Asleep,
    Changing(watch::Receiver<()>),
    Awake(Arc<Server>),
}

pub(crate) struct Tenant {
    pub(crate) resident: Resident,
    pub(crate) state: State,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) wakes: AtomicU64,
    pub(crate) wakes_failed: AtomicU64,
    pub(crate) wake_micros: AtomicU64,
}

pub(crate) struct Inner {
    pub(crate) config: CellConfig,
    pub(crate) volumes: Volumes,
    /// Who has something waiting to be delivered.
    pub(crate) waiting: Arc<VolumeSet>,
    pub(crate) world: Arc<World>,
    pub(crate) tls: ServerTls,
    pub(crate) drain: Drain,
    pub(crate) gate: Gate,
    pub(crate) wakes: Semaphore,
    pub(crate) counts: Counts,
    tenants: Mutex<Tenants>,
    runtime: tokio::runtime::Handle,
}

/// All servers of a cell, and which of them are awake: the sleepers' number must cost nothing.
#[derive(Default)]
pub(crate) struct Tenants {
    pub(crate) all: HashMap<VolumeId, Tenant>,
    /// Awake servers, with how many checks in a row found them idle.
    pub(crate) awake: HashMap<VolumeId, u32>,
    /// Sleepers in whom something waits.
    pub(crate) reminders: Reminders,
}

impl Tenants {
    fn forget(&mut self, volume: VolumeId) {
        self.all.remove(&volume);
        self.reminders.forget(volume);
    }
}

impl Inner {
    pub(crate) fn tenants(&self) -> MutexGuard<'_, Tenants> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One cell.
#[derive(Clone)]
pub struct Cell(pub(crate) Arc<Inner>);

impl Cell {
    /// Starts an empty cell on the current runtime. `waiting` is where it remembers, from one start
    /// to the next, who has something waiting to be delivered.
    #[must_use]
    pub fn start(
        config: CellConfig,
        volumes: Volumes,
        waiting: Arc<VolumeSet>,
        world: Arc<World>,
        tls: ServerTls,
        drain: Drain,
    ) -> Self {
        let cell = Self(Arc::new(Inner {
            config,
            volumes,
            waiting,
            world,
            tls,
            drain: drain.clone(),
            gate: Gate::new(limits::GATE),
            wakes: Semaphore::new(limits::WAKES_MAX),
            counts: Counts::default(),
            tenants: Mutex::default(),
            runtime: tokio::runtime::Handle::current(),
        }));
        drain.spawn(crate::wake::put_idle_servers_to_sleep(Arc::clone(&cell.0)));
        cell
    }

    /// Takes note of a server that is placed here; it sleeps until somebody connects, or until its
    /// turn has come to deliver what waits in it.
    ///
    /// # Errors
    /// [`CellError::Stale`] where a newer placement is known.
    pub fn adopt(&self, placement: &Placement) -> Result<(), CellError> {
        let resident = Resident { identity: placement.identity.clone(), epoch: placement.epoch };
        let mut tenants = self.0.tenants();
        if let Some(known) = tenants.all.get(&placement.volume) {
            let newer = known.resident.epoch > placement.epoch;
            let identity = placement.identity.clone();
            let known = known.resident.epoch;
            return if newer { Err(CellError::Stale { identity, known }) } else { Ok(()) };
        }
        tenants.all.insert(placement.volume, Tenant { resident, state: State::Asleep });
        if self.0.waiting.contains(placement.volume) {
            tenants.reminders.set(placement.volume, Instant::now());
        }
        Ok(())
    }

    /// Makes a new server's volume and keys, leaves the owner's activation secret in it, and adopts
    /// it. Doing it again does nothing new.
    ///
    /// # Errors
    /// [`CellError`] where the volume cannot be made.
    pub async fn create(&self, placement: Placement, secret: String) -> Result<(), CellError> {
        let volumes = self.0.volumes.clone();
        let now = self.0.world.clock.now();
        let (identity, volume, epoch) =
            (placement.identity.clone(), placement.volume, placement.epoch);
        let made = self.0.runtime.spawn_blocking(move || {
            let failed = |source| CellError::Volume { identity: identity.clone(), source };
            let store = if volumes.exists(volume) {
                volumes.open_store(volume, &identity, epoch).map_err(failed)?
            } else {
                volumes.create(volume, &identity, epoch).map_err(failed)?
            };
            Server::provision(&store, &identity, &secret, now)
                .map_err(|source| CellError::Server { identity: identity.clone(), source })?;
            store.close().map_err(|source| CellError::Close { identity, source })
        });
        made.await.map_err(|_| CellError::Closing)??;
        self.adopt(&placement)
    }

    /// Ends a server and deletes its volume with its keys. Doing it again does nothing new.
    ///
    /// # Errors
    /// [`CellError`] where the server does not settle or the volume cannot be deleted.
    pub async fn remove(&self, placement: &Placement) -> Result<(), CellError> {
        let identity = placement.identity.clone();
        let settled = crate::wake::settle(&self.0, placement.volume);
        tokio::time::timeout(limits::CLOSE_DEADLINE, settled)
            .await
            .map_err(|_| CellError::Slow(identity.clone()))?;
        self.0.tenants().forget(placement.volume);
        let (volumes, volume) = (self.0.volumes.clone(), placement.volume);
        let waiting = Arc::clone(&self.0.waiting);
        let removed = self.0.runtime.spawn_blocking(move || {
            volumes.remove(volume)?;
            waiting.remove(volume).or_else(|error| {
                // A volume that is nobody's any more is never woken.
                tracing::warn!(%volume, %error, "the note that something waits cannot be removed");
                Ok(())
            })
        });
        removed
            .await
            .map_err(|_| CellError::Closing)?
            .map_err(|source| CellError::Volume { identity, source })
    }

    /// Puts a server to sleep at once if nobody is connected to it; leaves it alone otherwise.
    pub async fn rest(&self, volume: VolumeId) {
        let settled = crate::wake::settle(&self.0, volume);
        // Whoever connected in the meantime keeps it awake, and the idle check comes later anyway.
        let _ = tokio::time::timeout(limits::REST_PATIENCE, settled).await;
    }

    /// Takes a connection that the router accepted. Returns at once; `permit` is held until the
    /// connection ends.
    pub fn deliver(
        &self,
        volume: VolumeId,
        stream: std::net::TcpStream,
        client: SocketAddr,
        permit: impl Send + 'static,
    ) {
        let Ok(place) = self.0.gate.admit(client.ip()) else { return };
        let inner = Arc::clone(&self.0);
        let _entered = self.0.runtime.enter();
        self.0.drain.spawn(async move {
            crate::wake::serve(inner, volume, stream, client).await;
            drop((place, permit));
        });
    }

    /// Adds the connections' figures to the metrics, in a registry that carries the cell's prefix.
    pub fn register(&self, metrics: &mut Metrics) {
        self.0.gate.register(metrics);
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> CellCounters {
        let (residents, awake, reminders) = {
            let tenants = self.0.tenants();
            (tenants.all.len(), tenants.awake.len(), tenants.reminders.len())
        };
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CellCounters {
            residents,
            awake,
            reminders,
            wakes: read(&self.0.counts.wakes),
            wakes_failed: read(&self.0.counts.wakes_failed),
            wake_micros: read(&self.0.counts.wake_micros),
        }
    }

    /// Puts every server to sleep. To be called when the drain has ended its connections.
    pub async fn close(&self) {
        let settled = crate::wake::settle_all(&self.0);
        if tokio::time::timeout(limits::CLOSE_DEADLINE, settled).await.is_err() {
            let awake = self.counters().awake;
            tracing::warn!(awake, "some servers did not settle in time");
        }
    }
}
