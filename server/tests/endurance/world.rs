//! A world of pipes: a directory, personal servers, played peers, and one clock for all.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use net::clock::Clock;
use net::dial::{ClientStream, Dialer};
use net::drain::Drain;
use net::handshake::{self, ServerStream};
use net::lookup::DirectoryClient;
use net::sim::SimNet;
use net::tls::{CertificateAuthority, ClientTls, ServerTls, SubjectName, TlsMaterial, TrustRoots};
use protocol::directory::{DirectoryRequest, NOT_FOUND, PROMPT, found};
use protocol::{Address, AtSign, Epoch, HostName, Timestamp, VolumeId};
use ring::digest::{SHA512, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey};
use server::{Limits, Server};
use storage::sim::SimDisk;
use storage::{Keyring, MasterKey, Store, Volumes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

const HOST: &str = "localhost";

/// Where the directory is; the identities have the ports behind it.
const DIRECTORY_PORT: u16 = 64;

const DEADLINE: Duration = Duration::from_secs(10);

/// The wall clock of the world: it moves with the runtime's time, and leaps if told to.
pub struct WorldClock {
    began: Instant,
    offset: AtomicI64,
}

/// A clock, a network, a disk, and who is where.
pub struct World {
    pub clock: Arc<WorldClock>,
    pub limits: Limits,
    pub disk: SimDisk,
    network: SimNet,
    book: Book,
    volumes: Mutex<Volumes>,
}

type Book = Arc<Mutex<HashMap<AtSign, Address>>>;

/// A personal server that can be called.
pub struct Running {
    pub server: Arc<Server>,
    drain: Drain,
}

/// What a played server answers to `lookup:`.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<HashMap<String, String>>>);

/// Certificates and keys take long to make: one set for all worlds of a process.
pub struct Keys {
    material: TlsMaterial,
    roots: Arc<TrustRoots>,
    pair: RsaKeyPair,
    pub public: String,
}

pub fn name(text: &str) -> AtSign {
    AtSign::parse(text).unwrap()
}

/// The activation secret of an identity.
pub fn secret(name: &str) -> String {
    format!("the activation secret of {name}")
}

pub fn cram_digest(name: &str, challenge: &str) -> String {
    hex::encode(digest(&SHA512, [&secret(name), challenge].concat().as_bytes()))
}

pub fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let authority = CertificateAuthority::load_or_create(folder.path()).unwrap();
        let material = authority.issue(&[SubjectName::Dns(HostName::parse(HOST).unwrap())]);
        let roots = Arc::new(TrustRoots::from_pem_file(authority.pem_file()).unwrap());
        let key = RsaPrivateKey::new(&mut rand_core::OsRng, 2048).unwrap();
        let public = STANDARD.encode(key.to_public_key().to_public_key_der().unwrap().as_bytes());
        let pair = RsaKeyPair::from_pkcs8(key.to_pkcs8_der().unwrap().as_bytes()).unwrap();
        Keys { material: material.unwrap(), roots, pair, public }
    })
}

impl Keys {
    pub fn sign(&self, text: &str) -> String {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let random = SystemRandom::new();
        self.pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature).unwrap();
        STANDARD.encode(signature)
    }

    fn client_tls(&self, shows_certificate: bool) -> ClientTls {
        ClientTls::new(&self.roots, shows_certificate.then_some(&self.material)).unwrap()
    }
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap();
        Timestamp(self.offset.load(Ordering::SeqCst).saturating_add(passed))
    }
}

impl WorldClock {
    fn at(now: Timestamp) -> Self {
        Self { began: Instant::now(), offset: AtomicI64::new(now.0) }
    }

    /// The wall clock jumps, backwards too; nothing else does.
    pub fn leap(&self, millis: i64) {
        self.offset.fetch_add(millis, Ordering::SeqCst);
    }
}

impl World {
    /// A world on this disk, at this time. Inside a runtime.
    pub fn new(disk: SimDisk, now: Timestamp, limits: Limits) -> Self {
        let network = SimNet::default();
        let book = Book::default();
        serve_directory(&network, Arc::clone(&book));
        let keyring = Keyring::new(MasterKey::from_bytes([7; 32]));
        let files = Arc::new(disk.clone());
        let volumes = Volumes::open(files, "/cell/volumes", "/cell/watermarks", &keyring).unwrap();
        let (clock, volumes) = (Arc::new(WorldClock::at(now)), Mutex::new(volumes));
        Self { clock, limits, disk, network, book, volumes }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Starts an identity's server: a new one, or the one that was stopped.
    pub fn start(&self, name: &str) -> Running {
        let identity = self::name(name);
        let store = self.store(&identity);
        Server::provision(&store, &identity, &secret(name), self.now()).unwrap();
        let dialer = self.dialer(true);
        let directory = DirectoryClient::new(address(DIRECTORY_PORT), dialer.clone());
        let world = server::World::new(
            Arc::clone(&self.clock) as _,
            Arc::new(directory),
            dialer,
            Arc::clone(&keys().roots),
            self.limits.clone(),
        );
        let server = Server::open(identity, store, Arc::new(world)).unwrap();
        let drain = Drain::new();
        let (serving, connections) = (Arc::clone(&server), drain.clone());
        self.listen(name, &drain, move |stream| {
            Arc::clone(&serving).serve(stream, connections.clone())
        });
        Running { server, drain }
    }

    /// Plays a server that says whatever the script does to each line; nothing: silence.
    pub fn play(
        &self,
        name: &str,
        script: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) {
        let script = Arc::new(script);
        self.listen(name, &Drain::new(), move |stream| read_aloud(stream, Arc::clone(&script)));
    }

    pub async fn connect(&self, to: &str, shows_certificate: bool) -> ClientStream {
        self.dialer(shows_certificate).dial(&self.address(to)).await.unwrap()
    }

    fn listen<F>(
        &self,
        name: &str,
        drain: &Drain,
        serve: impl Fn(ServerStream) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut listener = self.network.listen(self.address(name));
        let tls = ServerTls::new(&keys().material).unwrap();
        let connections = drain.clone();
        drain.spawn(async move {
            loop {
                let socket = tokio::select! {
                    biased;
                    () = connections.draining() => break,
                    socket = listener.accept() => socket,
                };
                let Some(socket) = socket else { break };
                if let Ok(stream) = handshake::accept(socket, &tls, DEADLINE).await {
                    connections.spawn(serve(stream));
                }
            }
        });
    }

    fn store(&self, identity: &AtSign) -> Store {
        let mut id = [0; 16];
        for (to, from) in id.iter_mut().zip(identity.bare().bytes()) {
            *to = from;
        }
        let (id, volumes) = (VolumeId::from_bytes(id), self.volumes.lock().unwrap());
        if volumes.exists(id) {
            volumes.open_store(id, identity, Epoch::FIRST).unwrap()
        } else {
            volumes.create(id, identity, Epoch::FIRST).unwrap()
        }
    }

    fn dialer(&self, shows_certificate: bool) -> Dialer {
        let tls = keys().client_tls(shows_certificate);
        Dialer::simulated(tls, self.network.clone(), DEADLINE)
    }

    fn address(&self, name: &str) -> Address {
        let mut book = self.book.lock().unwrap();
        let next = DIRECTORY_PORT + 1 + u16::try_from(book.len()).unwrap();
        book.entry(self::name(name)).or_insert_with(|| address(next)).clone()
    }
}

impl Running {
    /// Ends the server and closes its store; it can be started again.
    pub async fn stop(self) {
        self.drain.start();
        assert!(self.drain.finished(DEADLINE).await, "connections do not end");
        let store = self.server.shut().await.expect("the server does not end");
        tokio::task::spawn_blocking(move || store.close()).await.unwrap().unwrap();
    }
}

impl Shelf {
    pub fn put(&self, key: &str, value: &str) {
        self.0.lock().unwrap().insert(key.to_owned(), value.to_owned());
    }

    /// What a server with nothing but this shelf answers @alice's; it takes every notification.
    pub fn answer(&self, line: &str) -> String {
        match line.split_once(':') {
            None if line == "pol" => "@alice@".to_owned(),
            Some(("from", _)) => "data:proof:_session@alice:challenge\n@".to_owned(),
            Some(("notify", _)) => "data:success\n@alice@".to_owned(),
            Some(("lookup", key)) => match self.0.lock().unwrap().get(key) {
                Some(value) => format!("data:{value}\n@"),
                None => format!("error:AT0015-Exception: {key} does not exist in keystore\n@"),
            },
            _ => "error:AT0003-Exception: invalid command\n@".to_owned(),
        }
    }
}

fn address(port: u16) -> Address {
    Address { host: HostName::parse(HOST).unwrap(), port: NonZeroU16::new(port).unwrap() }
}

fn serve_directory(network: &SimNet, book: Book) {
    let mut listener = network.listen(address(DIRECTORY_PORT));
    let tls = ServerTls::new(&keys().material).unwrap();
    tokio::spawn(async move {
        while let Some(socket) = listener.accept().await {
            let Ok(stream) = handshake::accept(socket, &tls, DEADLINE).await else { continue };
            tokio::spawn(tell_where(stream, Arc::clone(&book)));
        }
    });
}

async fn tell_where(mut stream: ServerStream, book: Book) {
    drop(stream.write_all(PROMPT).await);
    while let Some(line) = read_line(&mut stream).await {
        let answer = match DirectoryRequest::parse(&line) {
            DirectoryRequest::Lookup(name) => {
                let known = book.lock().unwrap().get(&name).map(found);
                known.unwrap_or_else(|| NOT_FOUND.to_vec())
            }
            DirectoryRequest::Exit => return,
            _ => NOT_FOUND.to_vec(),
        };
        drop(stream.write_all(&answer).await);
    }
}

async fn read_aloud(mut stream: ServerStream, script: Arc<impl Fn(&str) -> Option<String>>) {
    drop(stream.write_all(b"@").await);
    while let Some(line) = read_line(&mut stream).await {
        if let Some(answer) = script(String::from_utf8_lossy(&line).trim()) {
            drop(stream.write_all(answer.as_bytes()).await);
        }
    }
}

async fn read_line(stream: &mut ServerStream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        line.push(stream.read_u8().await.ok()?);
        if line.ends_with(b"\n") {
            return Some(line);
        }
    }
}
