//! A thousand sleeping servers whose clients all come at once, through a router to a cell: both as in
//! their processes, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use net::clock::{Clock, SystemClock};
use net::dial::{DialPolicy, Dialer};
use net::drain::Drain;
use net::lookup::DirectoryClient;
use net::preface::LinkKey;
use net::tls::{CertificateAuthority, ClientTls, ServerTls, SubjectName, TrustRoots};
use protocol::control::names::CellId;
use protocol::control::placement::Placement;
use protocol::control::roster::Position;
use protocol::control::routes::{CellPlace, Route, Routes, Target};
use protocol::{Address, AtSign, Epoch, HostName, Term, VolumeId};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use server::{Limits, World};
use server_host::{Cell, CellConfig, Door, Patience};
use storage::{Keyring, MasterKey, RealDisk, VolumeSet, Volumes};
use swarm_router::{Asked, Follower, Forwarder, RouteSource, Router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, watch};
use tokio_rustls::TlsConnector;

const SERVERS: u16 = 1_000;
/// Of them, those whose stores are not what they were.
const SPOILT: u16 = 10;
/// A client who waits longer has not been answered.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where nobody else of this machine listens.
const ADDRESS: [u8; 4] = [127, 0, 94, 1];
const LINK_KEY: &str = "the routers and cells of a swarm know it";

/// Says everything once, and then nothing.
struct Registrar(Mutex<Option<Routes>>);

impl RouteSource for Registrar {
    fn after(&self, _at: Option<Position>, _wait: Duration) -> Asked<'_> {
        let all = self.0.lock().unwrap().take();
        Box::pin(async move {
            match all {
                Some(all) => Ok(all),
                None => std::future::pending().await,
            }
        })
    }
}

fn volume(number: u16) -> VolumeId {
    let mut bytes = [1; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    VolumeId::from_bytes(bytes)
}

/// Ports that are free there.
fn free_ports() -> Vec<u16> {
    let listen = |_| std::net::TcpListener::bind((IpAddr::from(ADDRESS), 0)).unwrap();
    let listeners: Vec<_> = (0..SERVERS).map(listen).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn placement(number: u16) -> Placement {
    Placement {
        identity: AtSign::parse(&format!("@person{number}")).unwrap(),
        volume: volume(number),
        epoch: Epoch::FIRST,
        address: Address::parse("localhost:1").unwrap(),
        port: None,
    }
}

/// A cell on this folder, and the certificate of its authority.
fn cell(folder: &Path, drain: &Drain) -> (Cell, PathBuf) {
    let authority = CertificateAuthority::load_or_create(&folder.join("tls")).unwrap();
    let material =
        authority.issue(&[SubjectName::Dns(HostName::parse("localhost").unwrap())]).unwrap();
    let roots = Arc::new(TrustRoots::from_pem_file(authority.pem_file()).unwrap());
    let tls = ClientTls::new(&roots, Some(&material)).unwrap();
    let dialer = Dialer::new(tls, DialPolicy::Any, Duration::from_secs(1));
    let nowhere = Address::parse("localhost:1").unwrap();
    let directory = Arc::new(DirectoryClient::new(nowhere, dialer.clone()));
    let world = World::new(Arc::new(SystemClock), directory, dialer, roots, Limits::default());
    let keyring = Keyring::new(MasterKey::from_bytes([7; 32]));
    let (disk, places) = (Arc::new(RealDisk), ["volumes", "watermarks"].map(|it| folder.join(it)));
    let volumes = Volumes::open(disk, &places[0], &places[1], &keyring).unwrap();
    let waiting = Arc::new(VolumeSet::open(Arc::new(RealDisk), folder.join("waiting")).unwrap());
    let sleep_after = Duration::from_secs(300);
    let config = CellConfig { sleep_after, term: None, patience: Patience::default() };
    let tls = ServerTls::new(&material).unwrap();
    let cell = Cell::start(config, volumes, waiting, Arc::new(world), tls, drain.clone());
    (cell, authority.pem_file().to_owned())
}

/// The cell behind its door, and a router before it that knows all routes.
async fn serve(cell: &Cell, ports: &[u16], drain: &Drain) -> Arc<Router> {
    let key = LinkKey::parse(LINK_KEY).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (_, is_ready) = watch::channel(true);
    let door = Door::new(cell.clone(), is_ready, key.clone(), Arc::clone(&clock));
    let listener: TcpListener = net::socket::listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = Some(listener.local_addr().unwrap());
    drain.spawn(door.serve(listener, drain.clone()));

    let place = CellPlace { cell: CellId::FIRST, term: Term::from_number(1).unwrap(), address };
    let route = |number| Route {
        label: None,
        port: Some(NonZeroU16::new(ports[usize::from(number)]).unwrap()),
        to: Some(Target { volume: volume(number), cell: CellId::FIRST }),
    };
    let all = Routes {
        upto: Position { run: 1, number: 1 },
        is_whole: true,
        routes: (0..SERVERS).map(route).collect(),
        cells: vec![place],
    };
    let forwarder = Forwarder::new(key, clock, drain.clone());
    let router = Router::start(ADDRESS.into(), Arc::new(forwarder.clone())).unwrap();
    let router = Arc::new(router);
    let follower = Follower::new(Arc::clone(&router), &forwarder);
    let registrar = Arc::new(Registrar(Mutex::new(Some(all))));
    drain.spawn(follower.follow(registrar, drain.clone()));
    let began = Instant::now();
    while router.counters().routes < usize::from(SERVERS) {
        assert!(began.elapsed() < PATIENCE, "{:?}", router.counters());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    router
}

/// Makes all servers, which sleep from then on, and spoils the stores of the first ones.
async fn make(folder: &Path) {
    let drain = Drain::new();
    let (cell, _) = cell(folder, &drain);
    for number in 0..SERVERS {
        cell.create(placement(number), "secret".to_owned()).await.unwrap();
    }
    drain.start();
    cell.close().await;
    for number in 0..SPOILT {
        let name = hex::encode(volume(number).as_bytes());
        let spoilt = spoil(&folder.join("volumes"), &name);
        assert!(spoilt > 0, "no file of {name}");
    }
}

/// Overwrites the beginning of everything that has this in its path; returns how many files it was.
fn spoil(folder: &Path, name: &str) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let spoil_one = |path: PathBuf| match path.is_dir() {
        true => spoil(&path, name),
        false if path.to_str().unwrap().contains(name) => {
            std::fs::write(&path, vec![0x55; 4_096]).unwrap();
            1
        }
        false => 0,
    };
    entries.map(spoil_one).sum()
}

/// What a client hears first, and what she hears when she asks for something.
async fn ask(port: u16, tls: TlsConnector) -> std::io::Result<String> {
    let stream = TcpStream::connect((IpAddr::from(ADDRESS), port)).await?;
    let mut stream = tls.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    stream.write_all(b"noop:0\n").await?;
    let (mut heard, mut bytes) = (Vec::new(), [0; 256]);
    while !heard.contains(&b'\n') {
        match stream.read(&mut bytes).await? {
            0 => break,
            read => heard.extend_from_slice(&bytes[..read]),
        }
    }
    Ok(String::from_utf8(heard).unwrap())
}

/// Comes again as long as she is turned away: a cell whose machine is slower than the crowd needs lets
/// go of handshakes that take long. Returns how often she came.
async fn until_answered(port: u16, tls: &TlsConnector) -> (String, u32) {
    for tries in 1.. {
        match ask(port, tls.clone()).await {
            Ok(heard) if !heard.is_empty() => return (heard, tries),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    unreachable!("she has patience")
}

fn connector(ca_file: &Path) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots);
    TlsConnector::from(Arc::new(config.with_no_client_auth()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_sleepers_all_answer_at_once_and_those_who_cannot_wake_say_so() {
    net::tls::install_provider();
    let folder = tempfile::tempdir().unwrap();
    make(folder.path()).await;

    let (drain, ports) = (Drain::new(), free_ports());
    let (cell, ca_file) = cell(folder.path(), &drain);
    for number in 0..SERVERS {
        cell.adopt(&placement(number)).unwrap();
    }
    let router = serve(&cell, &ports, &drain).await;
    assert_eq!(cell.counters().awake, 0, "all sleep");

    let (tls, all_are_here) = (connector(&ca_file), Arc::new(Barrier::new(SERVERS.into())));
    let clients = (0..SERVERS).map(|number| {
        let (tls, port) = (tls.clone(), ports[usize::from(number)]);
        let all_are_here = Arc::clone(&all_are_here);
        tokio::spawn(async move {
            all_are_here.wait().await;
            let began = Instant::now();
            let answered = tokio::time::timeout(PATIENCE, until_answered(port, &tls)).await;
            let (heard, tries) = answered.unwrap_or_else(|_| panic!("{number} is not answered"));
            (number, heard, tries, began.elapsed())
        })
    });
    let (mut served, mut refused, mut came_again) = (Vec::new(), Vec::new(), 0);
    for client in clients.collect::<Vec<_>>() {
        let (number, heard, tries, took) = client.await.unwrap();
        came_again += tries - 1;
        let is_spoilt = number < SPOILT;
        match is_spoilt {
            true => assert!(heard.starts_with("@error:AT0010-"), "{number}: {heard}"),
            false => assert!(heard.starts_with("@data:ok\n"), "{number}: {heard}"),
        }
        if is_spoilt { &mut refused } else { &mut served }.push(took);
    }
    served.sort();
    refused.sort();
    let (p50, p99) = (served[served.len() / 2], served[served.len() * 99 / 100]);
    println!("first answers: p50 {p50:.1?}, p99 {p99:.1?}; refusals by {:.1?}", refused.last());
    println!("turned away in their handshakes and back again: {came_again}");
    assert_eq!((served.len(), refused.len()), (990, 10));
    let slowest = (*served.last().unwrap()).max(Duration::from_secs(10));
    assert!(*refused.last().unwrap() < slowest * 2, "a refusal takes no longer than a waking");
    drop(router);
    drain.start();
    cell.close().await;
}
