//! One registrar on a simulated disk, with a host that can be told to fail.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use net::clock::ManualClock;
use protocol::control::feed::{Change, Snapshot};
use protocol::{AtSign, Epoch, FeedId, HostName, RegistrationId, Timestamp, VolumeId};
use registrar::{FeedAnswer, OpenError, PortRanges, Registrar, RegistrarConfig, State};
use storage::disk::sim::{Crash, SimDisk};
use storage::{Keyring, MasterKey, Store, Volumes};

use crate::swarm::FakeSwarm;

pub struct World {
    pub disk: SimDisk,
    pub swarm: Arc<FakeSwarm>,
    pub clock: Arc<ManualClock>,
    pub ports: &'static str,
    pub hostname: &'static str,
}

impl World {
    pub fn new() -> Self {
        let world = Self {
            disk: SimDisk::new(),
            swarm: Arc::default(),
            clock: Arc::new(ManualClock::at(Timestamp(1_800_000_000_000))),
            ports: "25000-25199",
            hostname: "localhost",
        };
        drop(world.open());
        world
    }

    pub fn open(&self) -> Arc<Registrar> {
        self.try_open().unwrap()
    }

    pub fn try_open(&self) -> Result<Arc<Registrar>, OpenError> {
        let config = RegistrarConfig {
            hostname: HostName::parse(self.hostname).unwrap(),
            ports: PortRanges::parse(self.ports).unwrap(),
        };
        let key = keyring().derive("activation");
        let (swarm, clock) = (self.swarm.clone(), self.clock.clone());
        Registrar::open(config, self.store(), &key, swarm, clock)
    }

    pub fn store(&self) -> Store {
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
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(future)
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
