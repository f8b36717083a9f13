//! A directory on a loopback port, and a client that sees single TLS records.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod dns;
pub mod https;
pub mod parent;
pub mod schema;

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use directory::limits::{ACCEPT, MISSES};
use directory::{BoxFuture, Directory, FeedAnswer, FeedError, FeedSource, MissLimits, Parent};
use feed::{Signed, SignedSnapshot, SigningKey};
use net::clock::SystemClock;
use net::drain::Drain;
use net::tls::{CertificateAuthority, ServerTls, SubjectName, TrustRoots};
use protocol::control::feed::{Batch, Change, Entry, Snapshot};
use protocol::{Address, AtSign, Epoch, FeedId, HostName, Timestamp};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

pub const SOON: Duration = Duration::from_secs(5);
pub fn the_feed() -> FeedId {
    FeedId::from_bytes([7; 16])
}

/// The registrar's key.
pub fn the_key() -> SigningKey {
    SigningKey::from_seed(&[7; 32]).unwrap()
}

/// A snapshot as the registrar signs it.
pub fn signed_snapshot(snapshot: &Snapshot) -> Vec<u8> {
    SignedSnapshot::of(snapshot, Timestamp(i64::MAX), &the_key()).unwrap().to_bytes()
}

/// A batch as the registrar signs it.
pub fn signed(batch: &Batch) -> Signed {
    Signed::of(batch, &the_key()).unwrap()
}

pub fn name(text: &str) -> AtSign {
    AtSign::parse(text).unwrap()
}

pub fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub fn change(number: u64, identity: &str, at: Option<&str>, epoch: u64) -> Change {
    let epoch = Epoch::from_number(epoch).unwrap();
    Change { number, identity: name(identity), address: at.map(address), epoch }
}

pub fn entry(identity: &str, at: &str) -> Entry {
    Entry { identity: name(identity), address: address(at), epoch: Epoch::FIRST }
}

/// A registrar inside the test: its changes from the first on, and a switch to be out of reach.
#[derive(Clone)]
pub struct Registrar(Arc<Inner>);

struct Inner {
    changes: Mutex<Vec<Change>>,
    newest: watch::Sender<u64>,
    is_away: Mutex<bool>,
}

impl Registrar {
    pub fn new(changes: Vec<Change>) -> Self {
        let newest = watch::Sender::new(changes.len() as u64);
        let is_away = Mutex::new(false);
        Self(Arc::new(Inner { changes: Mutex::new(changes), newest, is_away }))
    }

    pub fn publish(&self, change: Change) {
        let number = change.number;
        self.0.changes.lock().unwrap().push(change);
        self.0.newest.send_replace(number);
    }

    pub fn set_away(&self, is_away: bool) {
        *self.0.is_away.lock().unwrap() = is_away;
    }

    fn check_reach(&self) -> Result<(), FeedError> {
        match *self.0.is_away.lock().unwrap() {
            true => Err(FeedError::Unreachable("away".into())),
            false => Ok(()),
        }
    }

    pub fn snapshot_now(&self) -> Snapshot {
        let changes = self.0.changes.lock().unwrap();
        let mut entries: Vec<Entry> = Vec::new();
        for change in changes.iter() {
            entries.retain(|entry| entry.identity != change.identity);
            entries.extend(change.address.clone().map(|address| Entry {
                identity: change.identity.clone(),
                address,
                epoch: change.epoch,
            }));
        }
        Snapshot { feed: the_feed(), number: changes.len() as u64, entries }
    }

    pub fn batch_after(&self, number: u64) -> Batch {
        let changes = self.0.changes.lock().unwrap();
        let after = changes.iter().filter(|change| change.number > number).cloned().collect();
        Batch {
            feed: the_feed(),
            changes: after,
            newest: changes.len() as u64,
            at: Timestamp(i64::MAX),
        }
    }
}

impl FeedSource for Registrar {
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
        Box::pin(async { self.check_reach().map(|()| signed_snapshot(&self.snapshot_now())) })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>> {
        Box::pin(async {
            self.check_reach()?;
            let snapshot = signed_snapshot(&self.snapshot_now());
            let snapshot = SignedSnapshot::open(&snapshot, &the_key().public()).unwrap();
            Ok(snapshot.signed().clone())
        })
    }

    fn after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
        Box::pin(async move {
            self.check_reach()?;
            if feed != the_feed() {
                return Ok(FeedAnswer::SnapshotNeeded);
            }
            let mut newest = self.0.newest.subscribe();
            drop(timeout(wait, newest.wait_for(|newest| *newest != number)).await);
            self.check_reach()?;
            Ok(FeedAnswer::Batch(signed(&self.batch_after(number))))
        })
    }
}

/// A directory that serves on a port.
pub struct Running {
    pub folder: tempfile::TempDir,
    pub directory: Arc<Directory>,
    pub address: SocketAddr,
    pub drain: Drain,
    pub client: Arc<ClientConfig>,
}

impl Running {
    /// Serves; follows nobody yet.
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap()).await
    }

    /// The same in a folder that an earlier one left.
    pub async fn start_in(folder: tempfile::TempDir) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = CertificateAuthority::load_or_create(folder.path()).unwrap();
        Self::serve(folder, &authority, listener, None, MISSES)
    }

    /// The same with other limits for unknown names.
    pub async fn start_guarded(misses: MissLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = CertificateAuthority::load_or_create(folder.path()).unwrap();
        Self::serve(folder, &authority, listener, None, misses)
    }

    /// The same below a parent, with a certificate of the other's authority.
    pub async fn start_below(parent: Option<Arc<Parent>>, other: &Self) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_with(listener, parent, other).await
    }

    /// The same on a port that has to be free.
    pub async fn start_on(port: u16, other: &Self) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        Self::start_with(listener, None, other).await
    }

    /// The same on this listener.
    pub async fn start_with(
        listener: TcpListener,
        parent: Option<Arc<Parent>>,
        other: &Self,
    ) -> Self {
        let authority = CertificateAuthority::load_or_create(other.folder.path()).unwrap();
        Self::serve(tempfile::tempdir().unwrap(), &authority, listener, parent, MISSES)
    }

    fn serve(
        folder: tempfile::TempDir,
        authority: &CertificateAuthority,
        listener: TcpListener,
        parent: Option<Arc<Parent>>,
        misses: MissLimits,
    ) -> Self {
        let host = HostName::parse("localhost").unwrap();
        let tls = ServerTls::new(&authority.issue(&[SubjectName::Dns(host)]).unwrap()).unwrap();
        let (file, clock) = (folder.path().join("directory.snapshot"), Arc::new(SystemClock));
        let directory = Directory::open_guarded(file, ACCEPT, misses, clock).unwrap();
        let (address, drain) = (listener.local_addr().unwrap(), Drain::new());
        let served = Arc::clone(&directory).serve_below(parent, listener, tls, drain.clone());
        tokio::spawn(served);
        let client = client_config(authority.pem_file().to_owned());
        Self { folder, directory, address, drain, client }
    }

    /// Serves what this registrar tells.
    pub async fn following(registrar: &Registrar) -> Self {
        let running = Self::start().await;
        running.follow(registrar).await;
        running
    }

    /// Serves it from now on.
    pub async fn follow(&self, registrar: &Registrar) {
        let source: Arc<dyn FeedSource> = Arc::new(registrar.clone());
        let directory = Arc::clone(&self.directory);
        tokio::spawn(directory.follow(source, the_key().public(), self.drain.clone()));
        assert!(self.directory.ready(SOON).await);
    }

    /// What it counts, without a prefix.
    pub fn metrics(&self) -> String {
        let mut metrics = net::telemetry::Metrics::default();
        self.directory.register(&mut metrics);
        net::telemetry::encode_metrics(&metrics)
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        let text = self.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix("connections "));
        line.unwrap().parse().unwrap()
    }

    pub fn roots(&self) -> TrustRoots {
        TrustRoots::from_pem_file(&self.folder.path().join("ca.pem")).unwrap()
    }

    /// A client that has read the prompt.
    pub async fn client(&self) -> Client {
        self.client_from("127.0.0.1").await
    }

    pub async fn connect(&self) -> Client {
        self.connect_from("127.0.0.1").await
    }

    /// A client at this loopback address, which has read the prompt.
    pub async fn client_from(&self, source: &str) -> Client {
        let mut client = self.connect_from(source).await;
        assert_eq!(client.record().await.as_deref(), Some(&b"@"[..]));
        client
    }

    pub async fn connect_from(&self, source: &str) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
        let stream = socket.connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::clone(&self.client), name).unwrap();
        let mut client = Client { stream, tls };
        while client.tls.is_handshaking() {
            client.flush().await;
            if client.tls.is_handshaking() {
                assert!(client.take_record().await, "the server closed during the handshake");
            }
        }
        client.flush().await;
        client
    }
}

fn client_config(ca_file: PathBuf) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// Reads one TLS record at a time.
pub struct Client {
    stream: TcpStream,
    tls: ClientConnection,
}

impl Client {
    /// Sends in a record of its own.
    pub async fn send(&mut self, bytes: &[u8]) {
        std::io::Write::write_all(&mut self.tls.writer(), bytes).unwrap();
        self.flush().await;
    }

    /// What the next record of data says; none once the server has closed.
    pub async fn record(&mut self) -> Option<Vec<u8>> {
        timeout(2 * SOON, async {
            loop {
                let mut text = Vec::new();
                // There is no more than what the record brought: the rest would block.
                drop(self.tls.reader().read_to_end(&mut text));
                if !text.is_empty() {
                    return Some(text);
                }
                if !self.take_record().await {
                    return None;
                }
            }
        })
        .await
        .expect("an answer or a close in time")
    }

    /// Asks, and returns the answer's record.
    pub async fn ask(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        self.send(line).await;
        self.record().await
    }

    /// Whether nothing comes for a while.
    pub async fn is_silent(&mut self) -> bool {
        timeout(Duration::from_millis(300), self.stream.peek(&mut [0])).await.is_err()
    }

    async fn flush(&mut self) {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).unwrap();
        }
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn take_record(&mut self) -> bool {
        let mut head = [0; 5];
        if self.stream.read_exact(&mut head).await.is_err() {
            return false;
        }
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        let mut record = head.to_vec();
        record.resize(5 + length, 0);
        self.stream.read_exact(&mut record[5..]).await.unwrap();
        // The TLS library takes a long record in several bites.
        let mut rest = &record[..];
        while !rest.is_empty() {
            self.tls.read_tls(&mut rest).unwrap();
        }
        let state = self.tls.process_new_packets().unwrap();
        !state.peer_has_closed()
    }
}
