//! One registrar on a simulated disk or in PostgreSQL, with a host that can be told to fail.

use std::future::Future;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use net::clock::ManualClock;
use protocol::control::feed::{Change, Snapshot};
use protocol::{AtSign, Epoch, FeedId, RegistrationId, Timestamp, VolumeId};
use registrar::{
    Addressing, FeedAnswer, OpenError, PortRanges, PostgresTarget, Probe, Registrar,
    RegistrarConfig, State, Store,
};
use storage::disk::sim::{Crash, SimDisk};
use storage::{Keyring, MasterKey, Volumes};

use crate::swarm::FakeSwarm;

/// Makes a world without names.
pub type NewWorld<'a> = &'a dyn Fn() -> World;

/// Names what holds whatever the store is: each is a test on the embedded one here, and all of them
/// run on PostgreSQL in `postgres`.
macro_rules! on_each_store {
    ($($name:ident,)*) => {
        mod embedded {
            $(#[test]
            fn $name() {
                super::$name(&crate::world::World::new);
            })*
        }

        pub const ON_EACH_STORE: &[(&str, fn(crate::world::NewWorld<'_>))] =
            &[$((stringify!($name), $name),)*];
    };
}

pub struct World {
    pub disk: SimDisk,
    pub swarm: Arc<FakeSwarm>,
    pub clock: Arc<ManualClock>,
    pub ports: &'static str,
    pub hostname: &'static str,
    /// Where the store is, if it is not on the disk.
    pub database: Option<PostgresTarget>,
    /// Machines that have taken the store over.
    pub starts: AtomicU32,
}

impl World {
    pub fn new() -> Self {
        let world = Self::unopened();
        drop(world.open());
        world
    }

    /// With its store in this database.
    pub fn in_database(url: &str) -> Self {
        let target = PostgresTarget { place: url.parse().unwrap(), tls: None };
        Self { database: Some(target), ..Self::unopened() }
    }

    fn unopened() -> Self {
        Self {
            disk: SimDisk::new(),
            swarm: Arc::default(),
            clock: Arc::new(ManualClock::at(Timestamp(1_800_000_000_000))),
            ports: "25000-25199",
            hostname: "localhost",
            database: None,
            starts: AtomicU32::new(0),
        }
    }

    pub fn open(&self) -> Arc<Registrar> {
        self.try_open().unwrap()
    }

    /// Of a world with names.
    fn name_port(&self) -> Option<NonZeroU16> {
        self.hostname.starts_with('*').then(|| NonZeroU16::new(443)).flatten()
    }

    fn config(&self) -> RegistrarConfig {
        RegistrarConfig {
            addressing: Addressing::new(self.hostname.parse().unwrap(), self.name_port()).unwrap(),
            ports: PortRanges::parse(self.ports).unwrap(),
        }
    }

    pub fn try_open(&self) -> Result<Arc<Registrar>, OpenError> {
        let config = self.config();
        let key = keyring().derive("activation");
        let (swarm, clock) = (self.swarm.clone(), self.clock.clone());
        Registrar::open(config, self.store(), &key, swarm, clock)
    }

    /// As on a machine that has not seen the store before, in an epoch of its own.
    pub fn open_fleet(&self, probe: Arc<dyn Probe>) -> Arc<Registrar> {
        let store = match &self.database {
            None => self.store_taken_over().into(),
            Some(_) => self.store(),
        };
        let key = keyring().derive("activation");
        Registrar::open_fleet(self.config(), store, &key, probe, self.clock.clone()).unwrap()
    }

    fn store_taken_over(&self) -> storage::Store {
        let (id, name) = (VolumeId::from_bytes([9; 16]), name("@registrar"));
        let mark = format!("/data/mark{}", self.starts.fetch_add(1, Ordering::Relaxed));
        let disk = Arc::new(self.disk.clone());
        let volumes = Volumes::open(disk, "/data/volumes", &mark, &keyring()).unwrap();
        let highest = volumes.highest_epoch(id, &name).unwrap().unwrap();
        volumes.take_over(id, &name, highest.next().unwrap()).unwrap()
    }

    /// Runs a test's future as [`run`] does. A pause takes no time where everything is in the
    /// process; the clock of a database does not wait for ours.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        match &self.database {
            None => run(future),
            Some(_) => runtime(false).block_on(future),
        }
    }

    pub fn store(&self) -> Store {
        match &self.database {
            None => self.embedded_store().into(),
            Some(target) => Store::postgres(target.clone()).unwrap(),
        }
    }

    fn embedded_store(&self) -> storage::Store {
        let (root, marks) = (Path::new("/data/volumes"), Path::new("/data/watermarks"));
        let disk = Arc::new(self.disk.clone());
        let volumes = Volumes::open(disk, root, marks, &keyring()).unwrap();
        let (id, name) = (VolumeId::from_bytes([9; 16]), name("@registrar"));
        if volumes.exists(id) {
            volumes.open_store(id, &name, Epoch::FIRST).unwrap()
        } else {
            volumes.create(id, &name, Epoch::FIRST).unwrap()
        }
    }

    /// The world as a restart finds it. The host did not fall with the registrar.
    pub fn after(&self, crash: Crash) -> Self {
        self.swarm.heal();
        Self {
            disk: self.disk.crash(crash),
            swarm: self.swarm.clone(),
            clock: self.clock.clone(),
            database: self.database.clone(),
            starts: AtomicU32::new(self.starts.load(Ordering::Relaxed)),
            ..*self
        }
    }
}

fn keyring() -> Keyring {
    Keyring::new(MasterKey::from_bytes([7; 32]))
}

/// Runs a test's future on a runtime of its own, in which pauses take no time. When it returns,
/// every task that it left behind is gone, as after a crash.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    runtime(true).block_on(future)
}

fn runtime(is_paused: bool) -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(is_paused).build().unwrap()
}

pub fn name(text: &str) -> AtSign {
    AtSign::parse(text).unwrap()
}

pub fn id(byte: u8) -> RegistrationId {
    RegistrationId::from_bytes([byte; 16])
}

pub async fn state(registrar: &Registrar, who: &str) -> Option<State> {
    registrar.show(&name(who)).await.unwrap().map(|identity| identity.state)
}

pub async fn snapshot(registrar: &Registrar) -> Snapshot {
    registrar.feed_snapshot().await.unwrap()
}

/// Every change from the first on.
pub async fn changes(registrar: &Registrar) -> Vec<Change> {
    let feed = snapshot(registrar).await.feed;
    match changes_after(registrar, feed, 0).await {
        FeedAnswer::Batch(batch) => batch.changes,
        FeedAnswer::SnapshotNeeded => panic!("the first change is gone"),
    }
}

pub async fn changes_after(registrar: &Registrar, feed: FeedId, number: u64) -> FeedAnswer {
    registrar.feed_after(feed, number, Duration::ZERO).await
}
