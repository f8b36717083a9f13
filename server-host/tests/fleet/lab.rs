//! Several cells on one folder, as on several machines that see the same path.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use net::clock::{Clock, SystemClock};
use net::dial::{DialPolicy, Dialer};
use net::drain::Drain;
use net::lookup::DirectoryClient;
use net::preface::{self, LinkKey, Preface};
use net::tls::{CertificateAuthority, ClientTls, ServerTls, SubjectName, TlsMaterial, TrustRoots};
use protocol::control::placement::Placement;
use protocol::{Address, AtSign, Epoch, HostName, Term, VolumeId};
use server::{Limits, World};
use server_host::{Cell, CellConfig, Door, Patience};
use storage::{Disk, Keyring, MasterKey, RealDisk, VolumeSet, Volumes};
use testkit::LineClient;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::sync::watch;

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// With which everybody here activates.
pub const SECRET: &str = "secret";

/// The folder that all see, and what they share.
pub struct Swarm {
    folder: tempfile::TempDir,
    ca_file: PathBuf,
    material: TlsMaterial,
    roots: Arc<TrustRoots>,
    scratches: AtomicU64,
}

/// One start of a cell.
pub struct Running {
    pub cell: Cell,
    pub drain: Drain,
    pub door: SocketAddr,
}

pub fn link_key() -> LinkKey {
    LinkKey::parse(&"k".repeat(64)).unwrap()
}

pub fn term(number: u32) -> Term {
    Term::from_number(number).unwrap()
}

/// Where the server of this name is, in the placement with this epoch.
pub fn placement(name: &str, epoch: u64) -> Placement {
    let mut volume = [0; 16];
    volume.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    Placement {
        identity: AtSign::parse(name).unwrap(),
        volume: VolumeId::from_bytes(volume),
        epoch: Epoch::from_number(epoch).unwrap(),
        address: Address::parse("localhost:1").unwrap(),
        port: None,
    }
}

impl Swarm {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::load_or_create(&folder.path().join("tls")).unwrap();
        let host = SubjectName::Dns(HostName::parse("localhost").unwrap());
        let ca_file = authority.pem_file().to_owned();
        let roots = Arc::new(TrustRoots::from_pem_file(&ca_file).unwrap());
        let material = authority.issue(&[host]).unwrap();
        Self { folder, ca_file, material, roots, scratches: AtomicU64::new(0) }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of a server's volume.
    pub fn volume(&self, placement: &Placement) -> PathBuf {
        let id = placement.volume.to_string();
        self.path().join("servers").join(&id[..2]).join(id)
    }

    /// Starts a cell of this term.
    pub async fn start(&self, number: u32) -> Running {
        self.start_with(number, [7; 32]).await
    }

    /// The same with a master key of its own.
    pub async fn start_with(&self, number: u32, master: [u8; 32]) -> Running {
        let scratch = self.scratches.fetch_add(1, Ordering::SeqCst);
        let config = CellConfig {
            sleep_after: Duration::from_secs(60),
            term: Some(term(number)),
            patience: Patience::default(),
        };
        self.start_as(config, master, Arc::new(RealDisk), &format!("marks-{scratch}")).await
    }

    /// What an ended cell's disk did not finish keeps its files for a moment.
    async fn open(
        disk: &Arc<dyn Disk>,
        servers: &Path,
        marks: &Path,
        keyring: &Keyring,
    ) -> Volumes {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let opened = Volumes::open(Arc::clone(disk), servers, marks, keyring);
            if opened.is_ok() || tokio::time::Instant::now() > deadline {
                return opened.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The same on any disk, with watermarks of this name.
    pub async fn start_as(
        &self,
        config: CellConfig,
        master: [u8; 32],
        disk: Arc<dyn Disk>,
        marks: &str,
    ) -> Running {
        let drain = Drain::new();
        let keyring = Keyring::new(MasterKey::from_bytes(master));
        let (servers, marks) = (self.path().join("servers"), self.path().join(marks));
        let volumes = Self::open(&disk, &servers, &marks, &keyring).await;
        let waiting = VolumeSet::open(Arc::new(RealDisk), self.path().join("waiting")).unwrap();
        let tls = ServerTls::new(&self.material).unwrap();
        let world = Arc::new(self.world());
        let cell = Cell::start(config, volumes, Arc::new(waiting), world, tls, drain.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let door =
            Door::new(cell.clone(), watch::channel(true).1, link_key(), Arc::new(SystemClock));
        drain.spawn(door.serve(listener, drain.clone()));
        Running { cell, drain, door: address }
    }

    fn world(&self) -> World {
        let tls = ClientTls::new(&self.roots, Some(&self.material)).unwrap();
        let dialer = Dialer::new(tls, DialPolicy::Any, Duration::from_secs(1));
        let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nowhere = Address::parse(&format!("localhost:{}", nowhere.port())).unwrap();
        let directory = Arc::new(DirectoryClient::new(nowhere, dialer.clone()));
        let clock = Arc::new(SystemClock);
        World::new(clock, directory, dialer, Arc::clone(&self.roots), Limits::default())
    }

    /// A client of a server in this cell, through a router.
    pub async fn client(&self, to: &Running, placement: &Placement) -> std::io::Result<Client> {
        let port = route(to.door, placement.volume).await;
        let ca_file = self.ca_file.clone();
        let connecting = move || LineClient::connect(&format!("localhost:{port}"), &ca_file);
        Ok(Client(Some(tokio::task::spawn_blocking(connecting).await.unwrap()?)))
    }

    /// The owner, logged in.
    pub async fn owner(&self, to: &Running, placement: &Placement) -> Client {
        let (mut client, name) =
            (self.client(to, placement).await.unwrap(), placement.identity.to_string());
        client.with(move |line| line.cram(&name, SECRET)).await;
        client
    }
}

impl Running {
    pub async fn until(&self, what: &str, is_so: impl Fn(&Cell) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !is_so(&self.cell) {
            assert!(tokio::time::Instant::now() < deadline, "{what}: {:?}", self.cell.counters());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends as a process does that is asked to.
    pub async fn end(self) {
        self.cell.stop(&self.drain, PATIENCE).await;
    }
}

/// A client whose blocking calls run where they may block.
pub struct Client(Option<LineClient>);

impl Client {
    async fn with<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(&mut LineClient) -> T + Send + 'static,
    ) -> T {
        let mut line = self.0.take().unwrap();
        let acting = tokio::task::spawn_blocking(move || {
            let done = act(&mut line);
            (line, done)
        });
        let (line, done) = acting.await.unwrap();
        self.0 = Some(line);
        done
    }

    /// The answer; an error if the connection ends without one.
    pub async fn ask(&mut self, command: &str) -> std::io::Result<String> {
        let command = command.to_owned();
        self.with(move |line| line.try_ask(&command)).await
    }
}

/// A router's port that leads to this volume.
async fn route(door: SocketAddr, volume: VolumeId) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, address) = listener.accept().await.unwrap();
        let Ok(mut cell) = tokio::net::TcpStream::connect(door).await else { return };
        let bytes =
            preface::write(&Preface { client: address, volume }, &link_key(), SystemClock.now());
        cell.write_all(&bytes).await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut cell).await;
    });
    port
}
