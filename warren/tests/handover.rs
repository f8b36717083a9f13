//! `warren directory serve --handover`: the process is replaced again and again while clients ask
//! in every way there is, and nobody notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{self, BufRead, BufReader, Lines, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use feed::SigningKey;
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use testkit::{LineClient, PATIENCE, client_config};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// What a process says of itself.
const IS_FIRST: &str = "(a new process takes over here)";
const TAKES_OVER: &str = "(takes over from the process that runs)";

const ALICE: &str = "localhost:25000";

/// Each client pauses so long between two questions.
const PAUSE: Duration = Duration::from_millis(10);

/// Between two replacements each kind of client gets so many answers.
const ANSWERS_BETWEEN: usize = 15;

/// The files of all processes.
struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn make() -> Self {
        let ground = Self { folder: tempfile::tempdir().unwrap() };
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(ground.path("replica.pem"), made.cert.pem()).unwrap();
        std::fs::write(ground.path("replica.key"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(ground.path("token"), "a token of an operator").unwrap();
        std::fs::write(ground.path("names.tsv"), format!("alice\t{ALICE}\n")).unwrap();
        std::fs::write(ground.path("damaged.snapshot"), "this is no snapshot").unwrap();
        std::fs::DirBuilder::new().mode(0o700).create(ground.path("private")).unwrap();
        let built = Command::new(WARREN)
            .args(["directory", "snapshot", "build", "--from"])
            .arg(ground.path("names.tsv"))
            .arg("--out")
            .arg(ground.path("directory.snapshot"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every port is any free one, or that of the process before.
    fn command(&self) -> Command {
        let mut command = Command::new(WARREN);
        command
            .args(["directory", "serve", "--port", "0", "--https", "127.0.0.1:0"])
            .args(["--dns", "127.0.0.1:0", "--dns-tls", "127.0.0.1:0"])
            .args(["--dns-zone", "dir.example", "--dns-rate", "0"])
            .args(["--metrics", "127.0.0.1:0", "--handover"])
            .arg(self.path("private/handover"))
            .arg("--tls-cert")
            .arg(self.path("replica.pem"))
            .arg("--tls-key")
            .arg(self.path("replica.key"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command
    }

    /// Answers from this file.
    fn serving(&self, snapshot: &str) -> Command {
        let mut command = self.command();
        command.arg("--snapshot").arg(self.path(snapshot));
        command
    }

    /// Follows a registrar, and knows nothing yet.
    fn following(&self, registrar: &TcpListener) -> Command {
        let mut command = self.command();
        let key = SigningKey::from_seed(&[7; 32]).unwrap().public();
        let port = registrar.local_addr().unwrap().port();
        command
            .args(["--registrar", &format!("https://localhost:{port}")])
            .args(["--feed-key", &key.to_string(), "--ca-file"])
            .arg(self.path("replica.pem"))
            .arg("--token-file")
            .arg(self.path("token"))
            .arg("--data-dir")
            .arg(self.path("data"));
        command
    }
}

/// Where a process answers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Addresses {
    line: String,
    https: String,
    dns: String,
    dns_tls: String,
    metrics: String,
}

/// A process that has said where it answers.
struct Process {
    child: Child,
    addresses: Addresses,
    /// What it said about the process before it.
    said: String,
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut all = Vec::new();
        while !all.last().is_some_and(|line: &String| line.starts_with("handover ")) {
            all.push(lines.next().unwrap_or_else(|| panic!("it ended after {all:?}")).unwrap());
        }
        let address = |what: &str| {
            let line = all.iter().find(|line| line.starts_with(what)).unwrap();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        let addresses = Addresses {
            line: address("directory ").replace("127.0.0.1", "localhost"),
            https: address("https "),
            dns: address("dns "),
            dns_tls: address("dns-tls "),
            metrics: address("metrics ").replace("http://", "").replace("/metrics", ""),
        };
        let said = all.pop().unwrap();
        Self { child, addresses, said, _stdout: lines }
    }

    /// Waits until it has ended of itself, in order.
    fn ends(mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return assert!(status.success(), "{status}");
            }
            assert!(start.elapsed() < PATIENCE, "the process that was replaced does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What all clients of a kind did.
#[derive(Default)]
struct Tally {
    took: Mutex<Vec<Duration>>,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    fn answers(&self) -> usize {
        self.took.lock().unwrap().len()
    }

    fn judge(&self, kind: &str) {
        let (mut took, failures) = (self.took.lock().unwrap(), self.failures.lock().unwrap());
        took.sort_unstable();
        let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
        println!(
            "{kind:10} {:6} answers, p50 {:?}, p99 {:?}, slowest {:?}",
            took.len(),
            at(50),
            at(99),
            took.last()
        );
        assert!(failures.is_empty(), "{kind}: {} failed, {failures:#?}", failures.len());
    }
}

/// How a client asks.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// A line connection for each question, without a second try.
    Line,
    /// One line connection for as long as it lasts. Where it has ended, the question is asked on a
    /// new one, where it has to succeed.
    KeptLine,
    Https,
    /// One connection for as long as it lasts.
    KeptHttps,
    DnsUdp,
    DnsTcp,
    DnsTls,
    /// As a load balancer asks.
    Health,
}

const WAYS: [Way; 8] = [
    Way::Line,
    Way::KeptLine,
    Way::Https,
    Way::KeptHttps,
    Way::DnsUdp,
    Way::DnsTcp,
    Way::DnsTls,
    Way::Health,
];

type Tls = StreamOwned<ClientConnection, TcpStream>;

struct Asker {
    to: Addresses,
    config: Arc<ClientConfig>,
    line: Option<LineClient>,
    https: Option<Tls>,
}

impl Asker {
    fn ask(&mut self, way: Way) -> io::Result<()> {
        match way {
            Way::Line => self.connect()?.try_ask("alice").and_then(|answer| is_alice(&answer)),
            Way::KeptLine => {
                if let Some(Ok(answer)) = self.line.as_mut().map(|line| line.try_ask("alice")) {
                    return is_alice(&answer);
                }
                let mut line = self.connect()?;
                let answer = line.try_ask("alice")?;
                self.line = Some(line);
                is_alice(&answer)
            }
            Way::Https => get_alice(&mut self.tls(&self.to.https)?),
            Way::KeptHttps => {
                if let Some(Ok(())) = self.https.as_mut().map(get_alice) {
                    return Ok(());
                }
                let mut https = self.tls(&self.to.https)?;
                get_alice(&mut https)?;
                self.https = Some(https);
                Ok(())
            }
            Way::DnsUdp => {
                let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
                socket.set_read_timeout(Some(PATIENCE))?;
                socket.send_to(&dns_question(), &self.to.dns)?;
                let mut answer = [0; 512];
                let length = socket.recv(&mut answer)?;
                is_dns_answer(&answer[..length])
            }
            Way::DnsTcp => ask_dns(self.tcp(&self.to.dns)?),
            Way::DnsTls => ask_dns(self.tls(&self.to.dns_tls)?),
            Way::Health => {
                let mut stream = self.tcp(&self.to.metrics)?;
                let head = "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
                stream.write_all(head.as_bytes())?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer)?;
                is(answer.starts_with("HTTP/1.1 200 "), &answer)
            }
        }
    }

    fn connect(&self) -> io::Result<LineClient> {
        LineClient::connect_with(&self.to.line, Arc::clone(&self.config))
    }

    fn tcp(&self, address: &str) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    fn tls(&self, address: &str) -> io::Result<Tls> {
        let name = ServerName::try_from("localhost").unwrap();
        let connection = ClientConnection::new(Arc::clone(&self.config), name);
        Ok(StreamOwned::new(connection.map_err(io::Error::other)?, self.tcp(address)?))
    }
}

fn is(good: bool, answer: impl std::fmt::Debug) -> io::Result<()> {
    if good { Ok(()) } else { Err(io::Error::other(format!("{answer:?}"))) }
}

fn is_alice(answer: &str) -> io::Result<()> {
    is(answer.trim().trim_start_matches('@') == ALICE, answer)
}

fn get_alice(stream: &mut Tls) -> io::Result<()> {
    stream.write_all(b"GET /v1/identities/@alice HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    stream.flush()?;
    let mut answer = Vec::new();
    let mut space = [0; 4_096];
    // The body is one line of JSON.
    while !answer.ends_with(b"}") && !answer.ends_with(b"}\n") {
        match stream.read(&mut space)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => answer.extend_from_slice(&space[..length]),
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    is(answer.starts_with("HTTP/1.1 200 ") && answer.contains("25000"), &answer)
}

/// `alice.dir.example. IN TXT`.
fn dns_question() -> Vec<u8> {
    let head = [0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    [&head[..], b"\x05alice\x03dir\x07example\x00\x00\x10\x00\x01"].concat()
}

fn is_dns_answer(answer: &[u8]) -> io::Result<()> {
    let is_one = answer.starts_with(&[0x12, 0x34])
        && answer.get(3).is_some_and(|flags| flags & 0x0f == 0)
        && answer.get(6..8) == Some(&[0, 1]);
    is(is_one, answer)
}

fn ask_dns(mut stream: impl Read + Write) -> io::Result<()> {
    let question = dns_question();
    let length = u16::try_from(question.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], &question].concat())?;
    stream.flush()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer)?;
    is_dns_answer(&answer)
}

/// Clients of every kind that ask until they are told to stop.
struct Load {
    is_over: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
    tallies: Vec<(Way, Arc<Tally>)>,
}

impl Load {
    fn start(to: &Addresses, cert: &Path) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let config = client_config(cert);
        let tallies: Vec<_> = WAYS.map(|way| (way, Arc::<Tally>::default())).into();
        let mut threads = Vec::new();
        for (way, tally) in tallies.clone() {
            let (to, config, is_over) = (to.clone(), Arc::clone(&config), Arc::clone(&is_over));
            let mut asker = Asker { to, config, line: None, https: None };
            threads.push(std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    match asker.ask(way) {
                        Ok(()) => tally.took.lock().unwrap().push(began.elapsed()),
                        Err(error) => tally.failures.lock().unwrap().push(format!("{error:?}")),
                    }
                    std::thread::sleep(PAUSE);
                }
            }));
        }
        Self { is_over, threads, tallies }
    }

    /// Waits until each kind of client has had some more answers.
    fn goes_on(&self) {
        for (way, tally) in &self.tallies {
            let (start, before) = (Instant::now(), tally.answers());
            while tally.answers() < before + ANSWERS_BETWEEN {
                assert!(start.elapsed() < PATIENCE, "{way:?} {:?}", tally.failures.lock().unwrap());
                std::thread::sleep(PAUSE);
            }
        }
    }

    fn judge(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.tallies.iter().for_each(|(way, tally)| tally.judge(&format!("{way:?}")));
    }
}

/// Another process takes the place of this one.
fn replaced(running: Process, command: Command) -> Process {
    let began = Instant::now();
    let next = Process::start(command);
    assert!(next.said.ends_with(TAKES_OVER), "{}", next.said);
    assert_eq!(next.addresses, running.addresses);
    let serves = began.elapsed();
    running.ends();
    println!(
        "the new process serves after {serves:?}, the old one is gone after {:?}",
        began.elapsed()
    );
    next
}

#[test]
fn a_replica_is_replaced_under_load_and_no_question_fails() {
    let ground = Ground::make();
    let mut running = Process::start(ground.serving("directory.snapshot"));
    assert!(running.said.ends_with(IS_FIRST), "{}", running.said);
    let load = Load::start(&running.addresses, &ground.path("replica.pem"));
    load.goes_on();
    for _ in 0..2 {
        running = replaced(running, ground.serving("directory.snapshot"));
        load.goes_on();
    }

    // One with a file that is no good ends, and nothing has happened.
    let damaged = ground.serving("damaged.snapshot").status().unwrap();
    assert_eq!(damaged.code(), Some(1));
    load.goes_on();
    running = replaced(running, ground.serving("directory.snapshot"));
    load.goes_on();

    // One that has the sockets and is not ready yet, for nobody tells it anything.
    let registrar = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut unready = ground.following(&registrar).spawn().unwrap();
    let _asking = registrar.accept().unwrap();
    load.goes_on();
    kill_process(Pid::from_child(&unready), Signal::KILL).unwrap();
    unready.wait().unwrap();
    load.goes_on();
    running = replaced(running, ground.serving("directory.snapshot"));
    load.goes_on();

    // With other options: what both want is taken over, and the rest is as the new one wants it.
    let mut other = ground.serving("directory.snapshot");
    other.args(["--dns", "127.0.0.1:0", "--drain-delay", "1"]);
    running = replaced(running, other);
    load.goes_on();
    load.judge();

    // Killed, it leaves a socket that nobody listens at; the next one needs nobody.
    drop(running);
    assert!(ground.path("private/handover").exists());
    let afresh = Process::start(ground.serving("directory.snapshot"));
    assert!(afresh.said.ends_with(IS_FIRST), "{}", afresh.said);
}
