//! Thousands of personal servers in one process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use net::accept::Gate;
use net::drain::Drain;
use net::telemetry::Metrics;
use net::tls::ServerTls;
use protocol::control::placement::Placement;
use protocol::control::roster::IllServer;
use protocol::{AtSign, Epoch, Term, VolumeId};
use server::{Server, World};
use storage::{VolumeSet, Volumes};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::error::CellError;
use crate::health::{Illness, Patience};
use crate::limits;
use crate::reminders::Reminders;
use crate::shelf::Shelf;
use crate::usage::Usage;

/// How a cell treats its servers.
#[derive(Debug, Clone)]
pub struct CellConfig {
    /// How long a server stays awake that nobody is connected to.
    pub sleep_after: Duration,
    /// Which start of the cell this is, where other processes may open the same volumes; none where
    /// there are no others.
    pub term: Option<Term>,
    /// When a server is given up that does not get on.
    pub patience: Patience,
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
    /// Servers that were found to run elsewhere, since the start.
    pub fenced: u64,
    /// Servers that did not get on and were started again, since the start.
    pub restarts: u64,
    /// Of the servers, those that are left asleep because that happened too often.
    pub quarantined: usize,
    /// Open connections.
    pub connections: usize,
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

/// Whether a server may be woken.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Welcome,
    /// It runs elsewhere, until the registrar places it here anew.
    Fenced,
    /// It is about to be forgotten.
    Leaving,
}

pub(crate) struct Tenant {
    pub(crate) resident: Resident,
    pub(crate) state: State,
    pub(crate) standing: Standing,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) wakes: AtomicU64,
    pub(crate) wakes_failed: AtomicU64,
    pub(crate) fenced: AtomicU64,
    pub(crate) restarts: AtomicU64,
    pub(crate) wake_micros: AtomicU64,
}

pub(crate) struct Inner {
    pub(crate) config: CellConfig,
    pub(crate) shelf: Shelf,
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
    /// Those that did not get on.
    pub(crate) ill: HashMap<VolumeId, Illness>,
    /// What was given up and may still hang.
    pub(crate) lost: Vec<Weak<Server>>,
    /// What they used and is not told yet.
    pub(crate) usage: Usage,
}

impl Tenants {
    fn forget(&mut self, volume: VolumeId) {
        self.all.remove(&volume);
        self.ill.remove(&volume);
        self.reminders.forget(volume);
    }
}

impl Inner {
    pub(crate) fn tenants(&self) -> MutexGuard<'_, Tenants> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Her store was opened elsewhere; she is not woken here until she is placed here anew.
    pub(crate) fn count_fence(&self, tenant: &mut Tenant) {
        if tenant.standing == Standing::Welcome {
            tenant.standing = Standing::Fenced;
            self.counts.fenced.fetch_add(1, Ordering::Relaxed);
        }
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
            shelf: Shelf::new(volumes, config.term),
            config,
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
        if cell.0.shelf.is_shared() {
            drain.spawn(crate::looks::keep_looking(Arc::clone(&cell.0)));
        }
        drain.spawn(crate::health::keep_well(Arc::clone(&cell.0)));
        drain.spawn(crate::wake::put_idle_servers_to_sleep(Arc::clone(&cell.0)));
        cell
    }

    /// Takes note of a server that is placed here; it sleeps until somebody connects, or until its
    /// turn has come to deliver what waits in it. If it was here under an older placement, it is put
    /// down, and the next connection wakes it under the new one.
    ///
    /// # Errors
    /// [`CellError::Stale`] where a newer placement is known.
    pub fn adopt(&self, placement: &Placement) -> Result<(), CellError> {
        let resident = resident(placement);
        let mut tenants = self.0.tenants();
        if let Some(tenant) = tenants.all.get(&placement.volume) {
            let known = tenant.resident.epoch;
            if known > resident.epoch {
                return Err(CellError::Stale { identity: resident.identity, known });
            }
            if known == resident.epoch && tenant.standing != Standing::Leaving {
                return Ok(());
            }
            crate::settle::begin_settling(&self.0, &mut tenants, placement.volume);
            tenants.ill.remove(&placement.volume);
            if let Some(tenant) = tenants.all.get_mut(&placement.volume) {
                (tenant.resident, tenant.standing) = (resident, Standing::Welcome);
            }
            return Ok(());
        }
        let tenant = Tenant { resident, state: State::Asleep, standing: Standing::Welcome };
        tenants.all.insert(placement.volume, tenant);
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
        let (resident, volume) = (resident(&placement), placement.volume);
        if self.0.shelf.is_shared() {
            match self.known(volume) {
                Some(known) if known > resident.epoch => {
                    return Err(CellError::Stale { identity: resident.identity, known });
                }
                Some(known) if known == resident.epoch && self.0.shelf.has_opened(volume) => {
                    return Ok(());
                }
                Some(_) => self.release(volume).await,
                None => {}
            }
        }
        let (shelf, now) = (self.0.shelf.clone(), self.0.world.clock.now());
        let making = move || shelf.make(volume, &resident, &secret, now);
        let made = self.0.runtime.spawn_blocking(making);
        made.await.map_err(|_| CellError::Closing)??;
        self.adopt(&placement)
    }

    /// Ends a server and deletes its volume with its keys. Doing it again does nothing new.
    ///
    /// # Errors
    /// [`CellError`] where the server does not settle or the volume cannot be deleted.
    pub async fn remove(&self, placement: &Placement) -> Result<(), CellError> {
        let (resident, volume) = (resident(placement), placement.volume);
        if let Some(known) = self.known(volume).filter(|known| *known > resident.epoch) {
            return Err(CellError::Stale { identity: resident.identity, known });
        }
        if self.0.shelf.is_shared() {
            self.release(volume).await;
        } else {
            let settled = crate::settle::settle(&self.0, volume);
            tokio::time::timeout(limits::CLOSE_DEADLINE, settled)
                .await
                .map_err(|_| CellError::Slow(resident.identity.clone()))?;
            self.0.tenants().forget(volume);
        }
        let (shelf, waiting) = (self.0.shelf.clone(), Arc::clone(&self.0.waiting));
        let removed = self.0.runtime.spawn_blocking(move || {
            shelf.remove(volume, &resident)?;
            if let Err(error) = waiting.remove(volume) {
                // A volume that is nobody's any more is never woken.
                tracing::warn!(%volume, %error, "the note that something waits cannot be removed");
            }
            Ok(())
        });
        removed.await.map_err(|_| CellError::Closing)?
    }

    /// Ends a server, whoever is connected to it, forgets it and leaves its volume alone.
    pub async fn release(&self, volume: VolumeId) {
        if let Some(tenant) = self.0.tenants().all.get_mut(&volume) {
            tenant.standing = Standing::Leaving;
        }
        crate::settle::put_down(&self.0, volume).await;
        let mut tenants = self.0.tenants();
        let standing = tenants.all.get(&volume).map(|tenant| tenant.standing);
        if standing == Some(Standing::Leaving) {
            tenants.forget(volume);
        }
    }

    /// Whether a server of this volume lives here.
    #[must_use]
    pub fn has(&self, volume: VolumeId) -> bool {
        self.0.tenants().all.contains_key(&volume)
    }

    /// Everybody who lives here.
    #[must_use]
    pub fn volumes(&self) -> Vec<VolumeId> {
        self.0.tenants().all.keys().copied().collect()
    }

    fn known(&self, volume: VolumeId) -> Option<Epoch> {
        self.0.tenants().all.get(&volume).map(|tenant| tenant.resident.epoch)
    }

    /// Puts a server to sleep at once if nobody is connected to it; leaves it alone otherwise.
    pub async fn rest(&self, volume: VolumeId) {
        let settled = crate::settle::settle(&self.0, volume);
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

    /// Those of the servers that did not get on lately.
    #[must_use]
    pub fn ill(&self) -> Vec<IllServer> {
        self.0.tenants().ill()
    }

    /// Adds the connections' figures to the metrics, in a registry that carries the cell's prefix.
    pub fn register(&self, metrics: &mut Metrics) {
        self.0.gate.register(metrics);
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> CellCounters {
        let (residents, awake, reminders, quarantined) = {
            let tenants = self.0.tenants();
            let Tenants { all, awake, reminders, .. } = &*tenants;
            (all.len(), awake.len(), reminders.len(), tenants.quarantined())
        };
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        CellCounters {
            residents,
            awake,
            reminders,
            quarantined,
            restarts: read(&self.0.counts.restarts),
            connections: self.0.gate.connections(),
            fenced: read(&self.0.counts.fenced),
            wakes: read(&self.0.counts.wakes),
            wakes_failed: read(&self.0.counts.wakes_failed),
            wake_micros: read(&self.0.counts.wake_micros),
        }
    }

    /// Accepts nobody, lets those who are here finish, and puts every server to sleep.
    pub async fn stop(&self, drain: &Drain, deadline: Duration) {
        drain.start();
        if !drain.finished(deadline).await {
            tracing::warn!(tasks = drain.running(), "some connections were cut");
        }
        self.close().await;
    }

    /// Puts every server to sleep. To be called when the drain has ended its connections.
    pub async fn close(&self) {
        let settled = crate::settle::settle_all(&self.0);
        if tokio::time::timeout(limits::CLOSE_DEADLINE, settled).await.is_err() {
            let awake = self.counters().awake;
            tracing::warn!(awake, "some servers did not settle in time");
        }
    }
}

fn resident(placement: &Placement) -> Resident {
    Resident { identity: placement.identity.clone(), epoch: placement.epoch }
}
