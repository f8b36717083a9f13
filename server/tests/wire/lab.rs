//! A small world for tests: a directory, personal servers behind real TLS on loopback, clients.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use net::accept::{AcceptLimits, serve_tls};
use net::clock::{Clock, ManualClock, SystemClock};
use net::dial::{DialPolicy, Dialer};
use net::drain::Drain;
use net::lookup::DirectoryClient;
use net::tls::{CertificateAuthority, ClientTls, ServerTls, SubjectName, TlsMaterial, TrustRoots};
use protocol::directory::{DirectoryRequest, NOT_FOUND, PROMPT, found};
use protocol::{Address, AtSign, Epoch, HostName, VolumeId};
use server::{Hosting, Limits, Server, World};
use storage::sim::SimDisk;
use storage::{Keyring, MasterKey, Store, Volumes};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::client::Client;

/// The watermarks of this machine.
const MARKS: &str = "/cell/watermarks";

pub const HOST: &str = "localhost";

const ACCEPT: AcceptLimits = AcceptLimits {
    connections_max: 1000,
    handshakes_max: 100,
    per_address_max: 1000,
    handshake_deadline: Duration::from_secs(10),
};

pub struct Lab {
    folder: TempDir,
    authority: CertificateAuthority,
    roots: Arc<TrustRoots>,
    material: TlsMaterial,
    book: Book,
    directory: Address,
    disk: SimDisk,
    volumes: Mutex<Volumes>,
    ports: Mutex<HashMap<String, u16>>,
    shared: OnceLock<Arc<World>>,
    pub clock: Arc<ManualClock>,
    pub limits: Limits,
}

/// What the directory knows.
type Book = Arc<Mutex<HashMap<AtSign, Address>>>;

/// A personal server that listens.
pub struct Running {
    pub server: Arc<Server>,
    drain: Drain,
}

pub fn name(text: &str) -> AtSign {
    AtSign::parse(text).unwrap()
}

/// The activation secret of an identity.
pub fn secret(name: &str) -> String {
    format!("secret of {name}")
}

impl Lab {
    pub async fn new() -> Self {
        Self::with(|_| ()).await
    }

    pub async fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let mut limits = Limits {
            retry_pause_first: Duration::from_millis(50),
            retry_pause_max: Duration::from_millis(200),
            ..Limits::default()
        };
        change(&mut limits);
        let folder = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::load_or_create(folder.path()).unwrap();
        let material = authority.issue(&[dns(HOST)]).unwrap();
        let roots = Arc::new(TrustRoots::from_pem_file(authority.pem_file()).unwrap());
        let book = Book::default();
        let directory = serve_directory(&material, Arc::clone(&book)).await;
        let disk = SimDisk::new();
        Self {
            folder,
            authority,
            roots,
            material,
            book,
            directory,
            volumes: Mutex::new(volumes(&disk, MARKS)),
            disk,
            ports: Mutex::default(),
            shared: OnceLock::new(),
            clock: Arc::new(ManualClock::at(SystemClock.now())),
            limits,
        }
    }

    /// Starts an identity's server: a new one, or the one that was stopped, on its old port.
    pub async fn start(&self, name: &str) -> Running {
        self.start_with(name, Hosting::default()).await
    }

    /// The same on a store that others may open.
    pub async fn start_watched(&self, name: &str) -> Running {
        self.start_with(name, Hosting { remind: None, looked: Some(Instant::now()) }).await
    }

    async fn start_with(&self, name: &str, hosting: Hosting) -> Running {
        let identity = self::name(name);
        let store = self.store(&identity);
        Server::provision(&store, &identity, &secret(name), self.clock.now()).unwrap();
        let world = Arc::new(self.world(self.client_tls(Some(&self.material))));
        let server = Server::open_hosted(identity.clone(), store, world, hosting).unwrap();
        let port = self.ports.lock().unwrap().get(name).copied().unwrap_or(0);
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        self.ports.lock().unwrap().insert(name.to_owned(), port);
        self.publish(name, HOST, port);
        let drain = Drain::new();
        let (serving, connections) = (Arc::clone(&server), drain.clone());
        drain.spawn(serve_tls(
            listener,
            ServerTls::new(&self.material).unwrap(),
            net::accept::Gate::new(ACCEPT),
            drain.clone(),
            move |stream, _| Arc::clone(&serving).serve(stream, connections.clone()),
        ));
        Running { server, drain }
    }

    /// Opens an identity's server without a listener.
    pub fn open(&self, name: &str) -> Arc<Server> {
        let identity = self::name(name);
        let store = self.store(&identity);
        Server::provision(&store, &identity, &secret(name), self.clock.now()).unwrap();
        let world = self.shared.get_or_init(|| Arc::new(self.world(self.client_tls(None))));
        Server::open(identity, store, Arc::clone(world)).unwrap()
    }

    /// An identity's store, opened.
    pub fn store(&self, identity: &AtSign) -> Store {
        let volumes = self.volumes.lock().unwrap();
        let id = volume(identity);
        if volumes.exists(id) {
            volumes.open_store(id, identity, Epoch::FIRST).unwrap()
        } else {
            volumes.create(id, identity, Epoch::FIRST).unwrap()
        }
    }

    /// Opens an identity's store on another machine, in a higher epoch.
    pub fn take_over(&self, name: &str) {
        let identity = self::name(name);
        let epoch = Epoch::FIRST.next().unwrap();
        let volumes = volumes(&self.disk, "/other/watermarks");
        volumes.take_over(volume(&identity), &identity, epoch).unwrap();
    }

    /// The world of a server that shows this certificate to others.
    fn world(&self, tls: ClientTls) -> World {
        let dialer = Dialer::new(tls, DialPolicy::Any, Duration::from_secs(3));
        let directory = DirectoryClient::new(self.directory.clone(), dialer.clone());
        World::new(
            Arc::clone(&self.clock) as _,
            Arc::new(directory),
            dialer,
            Arc::clone(&self.roots),
            self.limits.clone(),
        )
    }

    /// Has the directory say where an identity is.
    pub fn publish(&self, name: &str, host: &str, port: u16) {
        let host = HostName::parse(host).unwrap();
        let address = Address { host, port: NonZeroU16::new(port).unwrap() };
        self.book.lock().unwrap().insert(self::name(name), address);
    }

    /// The simulated disk under all stores.
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    pub fn port(&self, name: &str) -> u16 {
        self.ports.lock().unwrap()[name]
    }

    /// The certificate of this machine.
    pub fn material(&self) -> &TlsMaterial {
        &self.material
    }

    /// A client without a certificate.
    pub async fn connect(&self, name: &str) -> Client {
        let mut client = self.connect_as(name, None).await;
        assert_eq!(client.greeting().await, "@");
        client
    }

    /// A client that shows a certificate for these host names.
    pub async fn connect_as_host(&self, name: &str, hosts: &[&str]) -> Client {
        let names: Vec<_> = hosts.iter().map(|host| dns(host)).collect();
        let material = self.authority.issue(&names).unwrap();
        let mut client = self.connect_as(name, Some(&material)).await;
        assert_eq!(client.greeting().await, "@");
        client
    }

    /// A client of an authority that nobody trusts.
    pub async fn connect_as_stranger(&self, name: &str) -> Client {
        let folder = self.folder.path().join("stranger");
        let stranger = CertificateAuthority::load_or_create(&folder).unwrap();
        let material = stranger.issue(&[dns(HOST)]).unwrap();
        let mut client = self.connect_as(name, Some(&material)).await;
        assert_eq!(client.greeting().await, "@");
        client
    }

    pub async fn connect_as(&self, name: &str, material: Option<&TlsMaterial>) -> Client {
        let tls = self.client_tls(material);
        let dialer = Dialer::new(tls, DialPolicy::Any, Duration::from_secs(10));
        let address = self.book.lock().unwrap()[&self::name(name)].clone();
        Client::new(dialer.dial(&address).await.unwrap())
    }

    /// A client that has activated the identity's secret: the owner.
    pub async fn owner(&self, name: &str) -> Client {
        let mut client = self.connect(name).await;
        client.cram(name).await;
        client
    }

    fn client_tls(&self, material: Option<&TlsMaterial>) -> ClientTls {
        ClientTls::new(&self.roots, material).unwrap()
    }
}

impl Running {
    /// Ends the server and closes its store; it can be started again.
    pub async fn stop(self) {
        self.drain.start();
        assert!(self.drain.finished(Duration::from_secs(10)).await, "connections do not end");
        let store = self.server.shut().await.expect("the server does not end");
        tokio::task::spawn_blocking(move || store.close()).await.unwrap().unwrap();
    }
}

fn volume(identity: &AtSign) -> VolumeId {
    let mut id = [0; 16];
    id.iter_mut().zip(identity.bare().bytes()).for_each(|(to, from)| *to = from);
    VolumeId::from_bytes(id)
}

fn volumes(disk: &SimDisk, marks: &str) -> Volumes {
    let keyring = Keyring::new(MasterKey::from_bytes([7; 32]));
    Volumes::open(Arc::new(disk.clone()), "/cell/volumes", marks, &keyring).unwrap()
}

fn dns(host: &str) -> SubjectName {
    SubjectName::Dns(HostName::parse(host).unwrap())
}

/// A directory in thirty lines, on a free port.
async fn serve_directory(material: &TlsMaterial, book: Book) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = ServerTls::new(material).unwrap().acceptor();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, book) = (acceptor.clone(), Arc::clone(&book));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                stream.write_all(PROMPT).await.unwrap();
                let mut line = Vec::new();
                while let Ok(byte) = stream.read_u8().await {
                    line.push(byte);
                    if byte != b'\n' {
                        continue;
                    }
                    let answer = match DirectoryRequest::parse(&std::mem::take(&mut line)) {
                        DirectoryRequest::Lookup(name) => {
                            let known = book.lock().unwrap().get(&name).map(found);
                            known.unwrap_or_else(|| NOT_FOUND.to_vec())
                        }
                        DirectoryRequest::Exit => return,
                        _ => NOT_FOUND.to_vec(),
                    };
                    stream.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    Address { host: HostName::parse(HOST).unwrap(), port: NonZeroU16::new(port).unwrap() }
}
