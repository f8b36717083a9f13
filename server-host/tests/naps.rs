//! A server whose deliveries all fail sleeps between the tries, and is woken for them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use net::clock::{ManualClock, SystemClock};
use net::dial::{DialPolicy, Dialer};
use net::drain::Drain;
use net::lookup::DirectoryClient;
use net::tls::{CertificateAuthority, ClientTls, ServerTls, SubjectName, TrustRoots};
use protocol::control::placement::Placement;
use protocol::{Address, AtSign, Epoch, HostName, VolumeId};
use server::{Limits, World};
use server_host::{Cell, CellConfig, Patience};
use storage::{Keyring, MasterKey, RealDisk, VolumeSet, Volumes};
use testkit::LineClient;

const VOLUME: [u8; 16] = [7; 16];

struct Lab {
    cell: Cell,
    clock: Arc<ManualClock>,
    waiting: Arc<VolumeSet>,
    drain: Drain,
}

/// A cell on this folder whose directory is nowhere.
fn lab(folder: &Path, sleep_after: Duration) -> Lab {
    let authority = CertificateAuthority::load_or_create(&folder.join("tls")).unwrap();
    let material =
        authority.issue(&[SubjectName::Dns(HostName::parse("localhost").unwrap())]).unwrap();
    let roots = Arc::new(TrustRoots::from_pem_file(authority.pem_file()).unwrap());
    let tls = ClientTls::new(&roots, Some(&material)).unwrap();
    let dialer = Dialer::new(tls, DialPolicy::Any, Duration::from_secs(1));
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = Address::parse(&format!("localhost:{}", nowhere.port())).unwrap();
    let directory = Arc::new(DirectoryClient::new(nowhere, dialer.clone()));
    let clock = Arc::new(ManualClock::at(net::clock::Clock::now(&SystemClock)));
    let world = World::new(Arc::clone(&clock) as _, directory, dialer, roots, Limits::default());
    let keyring = Keyring::new(MasterKey::from_bytes([7; 32]));
    let volumes = Volumes::open(
        Arc::new(RealDisk),
        folder.join("volumes"),
        folder.join("watermarks"),
        &keyring,
    )
    .unwrap();
    let waiting = Arc::new(VolumeSet::open(Arc::new(RealDisk), folder.join("waiting")).unwrap());
    let drain = Drain::new();
    let config = CellConfig { sleep_after, term: None, patience: Patience::default() };
    let tls = ServerTls::new(&material).unwrap();
    let cell =
        Cell::start(config, volumes, Arc::clone(&waiting), Arc::new(world), tls, drain.clone());
    Lab { cell, clock, waiting, drain }
}

fn placement() -> Placement {
    Placement {
        identity: AtSign::parse("@alice").unwrap(),
        volume: VolumeId::from_bytes(VOLUME),
        epoch: Epoch::FIRST,
        address: Address::parse("localhost:1").unwrap(),
        port: None,
    }
}

impl Lab {
    /// The owner, connected as if by a router.
    async fn owner(&self, ca_file: &Path) -> LineClient {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ca_file = ca_file.to_owned();
        let connecting = tokio::task::spawn_blocking(move || {
            let mut client =
                LineClient::connect(&format!("localhost:{}", address.port()), &ca_file).unwrap();
            client.cram("@alice", "secret");
            client
        });
        let (stream, client): (TcpStream, SocketAddr) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        self.cell.deliver(VolumeId::from_bytes(VOLUME), stream, client, ());
        connecting.await.unwrap()
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Cell) -> bool) {
        for _ in 0..3_000 {
            if is_so(&self.cell) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}: {:?}", self.cell.counters());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_failing_deliveries_sleeps_and_a_restart_wakes_it_once_to_try() {
    let folder = tempfile::tempdir().unwrap();
    let first = lab(folder.path(), Duration::from_secs(60));
    first.cell.create(placement(), "secret".to_owned()).await.unwrap();
    assert!(first.waiting.is_empty());
    let mut alice = first.owner(&folder.path().join("tls/ca.pem")).await;
    let asked = tokio::task::spawn_blocking(move || alice.ask("notify:id:n:@bob:k@alice:v"));
    assert_eq!(asked.await.unwrap(), "data:n");
    assert_eq!(first.waiting.len(), 1, "noted before the answer");
    // It has waited for long, so the next try is in two minutes: she sleeps at once, not in 60 s.
    first.clock.advance(3_600_000);
    first.until("asleep", |cell| cell.counters().reminders == 1).await;
    assert_eq!(first.cell.counters().awake, 0);
    first.drain.start();
    first.cell.close().await;
    drop(first);

    let second = lab(folder.path(), Duration::from_secs(1));
    second.clock.advance(3_600_000);
    second.cell.adopt(&placement()).unwrap();
    assert_eq!(second.cell.counters().reminders, 1, "found without opening a store");
    second.until("woken", |cell| cell.counters().wakes == 1).await;
    second.until("to be woken again", |cell| cell.counters().reminders == 1).await;
    assert_eq!(second.cell.counters().awake, 0);
    second.clock.advance(48 * 3_600_000);
    // Somebody wakes her: what waits is over, so nothing waits any more.
    drop(second.owner(&folder.path().join("tls/ca.pem")).await);
    assert_eq!(second.cell.counters().reminders, 0);
    second.until("nothing waits", |_| second.waiting.is_empty()).await;
    second.until("asleep for good", |cell| cell.counters().awake == 0).await;
    assert_eq!(second.cell.counters().reminders, 0);
}
