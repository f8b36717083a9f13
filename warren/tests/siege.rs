//! Thousands of slow connections and a flood of handshakes against a replica: those who only ask
//! notice nothing, its memory stays within bounds, and it is itself again at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use testkit::{Replica, build_snapshot, client_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

const ALICE: &[u8] = b"localhost:25000\r\n@";

/// As long as the SDKs wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Each honest client pauses so long between two questions.
const PAUSE: Duration = Duration::from_millis(20);
/// Honest clients of each kind.
const HONEST: usize = 8;

/// Resident memory that a slow connection may take. Most is what TLS keeps of answers that nobody
/// reads.
const BYTES_EACH_MAX: u64 = 64 * 1024;
/// What the program may take besides.
const BYTES_BESIDE_MAX: u64 = 64 << 20;

/// By then all who mean to be slow have been.
const RAMP_MAX: Duration = Duration::from_secs(200);

/// The time that a replica has to be itself again.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);

/// How heavy it is.
#[derive(Clone, Copy)]
struct Siege {
    /// Slow clients.
    connections: usize,
    /// Of those, how many connect at the same time.
    connecting: usize,
    /// Handshakes that the flood keeps under way.
    flood: usize,
    /// For how long, once all are slow.
    hold: Duration,
}

/// The replica under siege: it knows alice from a file.
struct Besieged {
    replica: Replica,
    metrics: SocketAddr,
}

impl Besieged {
    fn start(dir: &Path) -> Self {
        let snapshot = build_snapshot(WARREN, dir, "alice\tlocalhost:25000\n");
        let options = ["--metrics", "127.0.0.1:0", "--snapshot", snapshot.to_str().unwrap()];
        let replica = Replica::start(WARREN, dir, &options);
        Self { metrics: (Ipv4Addr::LOCALHOST, replica.port("metrics")).into(), replica }
    }

    async fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(self.metrics).await.unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    async fn connections(&self) -> usize {
        let text = self.metrics().await;
        let mut lines = text.lines();
        let count = lines.find_map(|l| l.strip_prefix("warren_directory_connections "));
        count.unwrap().parse().unwrap()
    }
}

/// How a client reaches the replica.
#[derive(Clone)]
struct Way {
    replica: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Way {
    async fn connect_from(&self, source: Ipv4Addr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        // A reader that takes little at a time fills what lies before her soon.
        socket.set_recv_buffer_size(4096)?;
        socket.bind((source, 0).into())?;
        socket.connect(self.replica).await
    }

    /// A connection that has read the prompt.
    async fn prompted(&self, source: Ipv4Addr) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.connect_from(source).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let mut stream = connector.connect(name, stream).await?;
        stream.read_exact(&mut [0; 1]).await?;
        Ok(stream)
    }

    /// The first bytes of a handshake, whole.
    fn hello(&self) -> Vec<u8> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut tls = rustls::ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let mut hello = Vec::new();
        tls.write_tls(&mut hello).unwrap();
        hello
    }
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    stream.write_all(b"alice\n").await?;
    stream.flush().await?;
    let mut answer = [0; ALICE.len()];
    stream.read_exact(&mut answer).await?;
    match answer == *ALICE {
        true => Ok(()),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Lookups of honest clients of one kind.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    failed: AtomicUsize,
    slowest_millis: AtomicUsize,
}

impl Tally {
    async fn note(&self, lookup: impl Future<Output = io::Result<()>>) -> bool {
        let began = Instant::now();
        let is_answered = matches!(timeout(PATIENCE, lookup).await, Ok(Ok(())));
        let counter = if is_answered { &self.answered } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        let millis = usize::try_from(began.elapsed().as_millis()).unwrap();
        self.slowest_millis.fetch_max(millis, Ordering::Relaxed);
        is_answered
    }

    fn judge(&self, kind: &str) {
        let (answered, failed) =
            (self.answered.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed));
        let slowest = self.slowest_millis.load(Ordering::Relaxed);
        println!("{kind}: {answered} answered, {failed} failed, the slowest {slowest} ms");
        assert!(answered >= 100, "{kind}: only {answered} were answered");
        assert!(failed * 1000 <= answered + failed, "{kind}: {failed} failed of {answered}");
    }
}

/// Honest clients, on threads that do not serve the attack.
struct Honest {
    runtime: Runtime,
    tasks: Vec<JoinHandle<()>>,
    is_over: Arc<AtomicBool>,
    passing: Arc<Tally>,
    staying: Arc<Tally>,
}

impl Honest {
    fn start(way: &Way) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (is_over, passing, staying) =
            (Arc::<AtomicBool>::default(), Arc::<Tally>::default(), Arc::<Tally>::default());
        let mut tasks = Vec::new();
        for number in 0..HONEST {
            let source = Ipv4Addr::new(127, 1, u8::try_from(number).unwrap(), 1);
            let (way, over, tally) = (way.clone(), Arc::clone(&is_over), Arc::clone(&passing));
            tasks.push(runtime.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    tally.note(async { ask(&mut way.prompted(source).await?).await }).await;
                    sleep(PAUSE).await;
                }
            }));
        }
        for number in 0..HONEST {
            let source = Ipv4Addr::new(127, 1, u8::try_from(number).unwrap(), 2);
            let (way, over, tally) = (way.clone(), Arc::clone(&is_over), Arc::clone(&staying));
            tasks.push(runtime.spawn(async move {
                let mut kept = None;
                while !over.load(Ordering::Relaxed) {
                    let lookup = async {
                        let mut stream = match kept.take() {
                            Some(stream) => stream,
                            None => way.prompted(source).await?,
                        };
                        ask(&mut stream).await?;
                        kept = Some(stream);
                        Ok(())
                    };
                    tally.note(lookup).await;
                    sleep(PAUSE).await;
                }
            }));
        }
        Self { runtime, tasks, is_over, passing, staying }
    }

    fn judge(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.runtime.block_on(async {
            for task in self.tasks {
                task.await.unwrap();
            }
        });
        self.passing.judge("honest clients, a connection for each lookup");
        self.staying.judge("honest clients, one connection for all");
    }
}

/// What a slow client does with its connection; each comes back when it is thrown out.
#[derive(Clone, Copy)]
enum Slow {
    HalfHandshake,
    Drips,
    DoesNotRead,
}

/// Everybody who means ill. Dropping it ends the attack.
struct Attack {
    _runtime: Runtime,
    /// Slow clients that have come as far as being slow, at least once.
    slow: Arc<AtomicUsize>,
    flood: Arc<AtomicUsize>,
}

impl Attack {
    fn start(way: &Way, siege: Siege) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let turns = Arc::new(tokio::sync::Semaphore::new(siege.connecting));
        let (hello, slow): (Arc<[u8]>, _) = (way.hello().into(), Arc::<AtomicUsize>::default());
        for number in 0..siege.connections {
            let kind = [Slow::HalfHandshake, Slow::Drips, Slow::DoesNotRead][number % 3];
            let (way, turns, hello) = (way.clone(), Arc::clone(&turns), Arc::clone(&hello));
            let slow = Arc::clone(&slow);
            runtime.spawn(async move {
                let mut is_first = true;
                loop {
                    let began = || {
                        let first = usize::from(std::mem::take(&mut is_first));
                        slow.fetch_add(first, Ordering::Relaxed);
                    };
                    // Who is refused or thrown out comes back.
                    drop(be_slow(kind, &way, slow_source(number), &turns, &hello, began).await);
                    sleep(Duration::from_secs(1)).await;
                }
            });
        }
        let flood = Arc::new(AtomicUsize::new(0));
        for number in 0..siege.flood {
            let (way, hello, flood) = (way.clone(), Arc::clone(&hello), Arc::clone(&flood));
            let number = u8::try_from(number).unwrap();
            let source = Ipv4Addr::new(127, 20, number % 4, 1 + number / 4);
            runtime.spawn(async move {
                loop {
                    match shake_hands_and_leave(&way, source, &hello).await {
                        Ok(()) => drop(flood.fetch_add(1, Ordering::Relaxed)),
                        Err(_) => sleep(Duration::from_millis(10)).await,
                    }
                }
            });
        }
        Self { _runtime: runtime, slow, flood }
    }
}

/// Eight addresses in four networks: more than that many connections are more than one may have.
fn slow_source(number: usize) -> Ipv4Addr {
    let number = u8::try_from(number % 8).unwrap();
    Ipv4Addr::new(127, 10, number % 4, 1 + number / 4)
}

async fn be_slow(
    kind: Slow,
    way: &Way,
    source: Ipv4Addr,
    turns: &tokio::sync::Semaphore,
    hello: &[u8],
    began: impl FnOnce(),
) -> io::Result<()> {
    let turn = turns.acquire().await.unwrap();
    if let Slow::HalfHandshake = kind {
        let mut stream = way.connect_from(source).await?;
        stream.write_all(&hello[..hello.len() / 2]).await?;
        drop(turn);
        began();
        stream.read_to_end(&mut Vec::new()).await?;
        return Ok(());
    }
    let mut stream = timeout(PATIENCE, way.prompted(source)).await??;
    drop(turn);
    began();
    match kind {
        Slow::DoesNotRead => loop {
            stream.write_all(&b"alice\n".repeat(100)).await?;
        },
        _ => loop {
            stream.write_all(b"a").await?;
            stream.flush().await?;
            sleep(Duration::from_secs(3)).await;
        },
    }
}

/// Makes the replica work, reads what it says, and is gone.
async fn shake_hands_and_leave(way: &Way, source: Ipv4Addr, hello: &[u8]) -> io::Result<()> {
    let mut stream = way.connect_from(source).await?;
    stream.write_all(hello).await?;
    timeout(PATIENCE, stream.read_exact(&mut [0; 256])).await??;
    Ok(())
}

/// As many files as this user may open.
fn raise_limit_of_files() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

/// Lets the attack come to its height, holds it for so long, ends it, and looks what is left.
fn besiege(siege: Siege) {
    let Siege { connections, hold, .. } = siege;
    raise_limit_of_files();
    let scratch = tempfile::tempdir().unwrap();
    let besieged = Besieged::start(scratch.path());
    let replica = &besieged.replica;
    let address = (Ipv4Addr::LOCALHOST, replica.port("directory")).into();
    let way = Way { replica: address, config: client_config(&replica.cert) };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let resident_before = replica.resident_bytes();

    let honest = Honest::start(&way);
    let attack = Attack::start(&way, siege);
    let (mut most, mut resident_most) = (0, 0);
    let mut look = || {
        most = most.max(runtime.block_on(besieged.connections()));
        resident_most = resident_most.max(replica.resident_bytes());
        std::thread::sleep(Duration::from_millis(250));
    };
    let began = Instant::now();
    let slow = || attack.slow.load(Ordering::Relaxed);
    while slow() < connections && began.elapsed() < RAMP_MAX {
        look();
    }
    let (were_slow, ramp) = (slow(), began.elapsed());
    let height = Instant::now();
    while height.elapsed() < hold {
        look();
    }
    let flood = attack.flood.load(Ordering::Relaxed);
    drop(attack);

    let ended = Instant::now();
    let recovered = runtime.block_on(recovery(&besieged, &way, ended));
    println!("{were_slow} were slow after {ramp:?}");
    let (before, most_mib) = (resident_before >> 20, resident_most >> 20);
    println!(
        "{most} connections at most, {flood} handshakes begun and left, \
         resident {before} MiB before, {most_mib} MiB at most, {} MiB after, \
         recovered in {recovered:?}",
        replica.resident_bytes() >> 20
    );
    println!("{}", refusals(&runtime.block_on(besieged.metrics())));
    let resident_max = BYTES_BESIDE_MAX + connections as u64 * BYTES_EACH_MAX;
    honest.judge();
    assert!(were_slow >= connections * 9 / 10, "only {were_slow} of {connections} were slow");
    assert!(resident_most <= resident_max, "{most_mib} MiB resident");
    assert!(recovered <= RECOVERED_WITHIN, "recovered after {recovered:?}");
}

/// How long after the end of the attack those who are not honest are gone, and ten lookups in a row
/// take no time to speak of.
async fn recovery(besieged: &Besieged, way: &Way, ended: Instant) -> Duration {
    let (mut swift, source) = (0, Ipv4Addr::new(127, 2, 0, 1));
    while swift < 10 || besieged.connections().await > 4 * HONEST {
        assert!(ended.elapsed() < 6 * RECOVERED_WITHIN, "{} left", besieged.connections().await);
        let began = Instant::now();
        let lookup = timeout(PATIENCE, async { ask(&mut way.prompted(source).await?).await }).await;
        let is_swift = matches!(lookup, Ok(Ok(()))) && began.elapsed() < Duration::from_millis(250);
        swift = if is_swift { swift + 1 } else { 0 };
    }
    ended.elapsed()
}

fn refusals(metrics: &str) -> String {
    let wanted = ["warren_directory_refused", "warren_directory_closed", "warren_directory_acc"];
    let lines = metrics.lines().filter(|line| wanted.iter().any(|name| line.starts_with(name)));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn honest_clients_do_not_notice_slow_ones_and_a_flood() {
    let hold = Duration::from_secs(5);
    besiege(Siege { connections: 300, connecting: 16, flood: 4, hold });
}

#[test]
fn nor_do_they_notice_ten_thousand() {
    let hold = Duration::from_secs(30);
    besiege(Siege { connections: 10_000, connecting: 128, flood: 64, hold });
}
