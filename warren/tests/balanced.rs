//! Three replicas behind HAProxy as plain TCP: each is stopped and started again while clients ask,
//! then each is replaced in place, and nobody notices.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::net::TcpStream;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use testkit::{Endpoints, LineClient, PATIENCE, Ports, Warren, client_config};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// HAProxy asks so often, and believes the second "no".
const CHECK_EVERY: Duration = Duration::from_millis(200);
/// Longer than that takes.
const DRAIN_DELAY: &str = "2";

/// Clients of each kind.
const CLIENTS: usize = 4;
/// Each pauses so long between two questions.
const PAUSE: Duration = Duration::from_millis(5);

/// One replica, which can be stopped and started again on its ports.
struct Replica {
    command: Command,
    port: u16,
    health_port: u16,
    child: Option<Child>,
}

impl Replica {
    fn prepare(dir: &Path, number: u16, ports: &Ports, warren: &Endpoints) -> Self {
        let (port, health_port) = (ports.first + 2 * number, ports.first + 2 * number + 1);
        let mut command = Command::new(WARREN);
        command
            .args(["directory", "serve", "--port", &port.to_string()])
            .args(["--metrics", &format!("127.0.0.1:{health_port}")])
            .args(["--drain-delay", DRAIN_DELAY, "--registrar", &warren.registrar])
            .arg("--ca-file")
            .arg(&warren.ca_file)
            .arg("--token-file")
            .arg(&warren.admin_token_file)
            .args(["--feed-key", &warren.feed_key])
            .arg("--tls-cert")
            .arg(dir.join("replica.pem"))
            .arg("--tls-key")
            .arg(dir.join("replica.key"))
            .arg("--data-dir")
            .arg(dir.join(format!("replica{number}")))
            .arg("--handover")
            .arg(dir.join(format!("private/replica{number}")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(File::create(dir.join(format!("replica{number}.log"))).unwrap()));
        Self { command, port, health_port, child: None }
    }

    /// Starts it, and waits until it says that it is ready.
    fn start(&mut self) {
        self.child = Some(self.command.spawn().unwrap());
        let start = Instant::now();
        while health(self.health_port) != Some(200) {
            assert!(start.elapsed() < PATIENCE, "replica on {} is not ready", self.port);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM; waits until it has ended of itself.
    fn stop(&mut self) {
        let child = self.child.take().unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        self.ends(child);
    }

    /// Starts a new process in its place; the one before ends of itself.
    fn upgrade(&mut self) {
        let before = self.child.replace(self.command.spawn().unwrap()).unwrap();
        self.ends(before);
        assert_eq!(health(self.health_port), Some(200));
    }

    fn ends(&self, mut child: Child) {
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return assert!(status.success(), "{status}");
            }
            assert!(start.elapsed() < PATIENCE, "replica on {} does not end", self.port);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The status that `/readyz` answers with; none if nobody answers.
fn health(port: u16) -> Option<u16> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let request = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

struct HaProxy {
    child: Child,
    address: String,
}

impl HaProxy {
    fn start(dir: &Path, port: u16, replicas: &[Replica]) -> Self {
        use std::fmt::Write;
        let mut text = format!(
            "global\n    maxconn 4000\n\
             defaults\n    mode tcp\n    timeout connect 2s\n    timeout client 60s\n\
             \x20   timeout server 60s\n    timeout check 1s\n    retries 3\n\
             \x20   option redispatch 1\n\
             frontend directory\n    bind 127.0.0.1:{port}\n    default_backend replicas\n\
             backend replicas\n    balance roundrobin\n    option httpchk GET /readyz\n",
        );
        for (number, replica) in replicas.iter().enumerate() {
            writeln!(
                text,
                "    server replica{number} 127.0.0.1:{} check port {} inter {}ms fall 2 rise 2",
                replica.port,
                replica.health_port,
                CHECK_EVERY.as_millis()
            )
            .unwrap();
        }
        let config = dir.join("haproxy.cfg");
        std::fs::write(&config, text).unwrap();
        let log = File::create(dir.join("haproxy.log")).unwrap();
        let child = Command::new("haproxy")
            .arg("-db")
            .arg("-f")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .expect("haproxy is installed: see .ci/run");
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "haproxy does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, address: format!("localhost:{port}") }
    }
}

impl Drop for HaProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What all clients of a kind did.
#[derive(Default)]
struct Tally {
    lookups: AtomicUsize,
    reconnects: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

/// Clients that ask until they are told to stop.
struct Load {
    is_over: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
    passing: Arc<Tally>,
    staying: Arc<Tally>,
}

impl Load {
    fn start(address: &str, cert: &Path, answer: &str) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (passing, staying) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
        let mut threads = Vec::new();
        for number in 0..2 * CLIENTS {
            let tally = Arc::clone(if number < CLIENTS { &passing } else { &staying });
            let asker = Asker {
                address: address.to_owned(),
                config: client_config(cert),
                answer: answer.to_owned(),
                is_over: Arc::clone(&is_over),
                tally,
            };
            threads.push(std::thread::spawn(move || match number < CLIENTS {
                true => asker.ask_on_new_connections(),
                false => asker.ask_on_one(),
            }));
        }
        Self { is_over, threads, passing, staying }
    }

    /// Ends the load: every lookup has succeeded, and there were many.
    fn judge(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        for (kind, tally) in [("a connection each", &self.passing), ("one for all", &self.staying)]
        {
            let lookups = tally.lookups.load(Ordering::Relaxed);
            let reconnects = tally.reconnects.load(Ordering::Relaxed);
            let failures = tally.failures.lock().unwrap();
            println!("{kind}: {lookups} lookups, {reconnects} times connected again");
            assert!(failures.is_empty(), "{kind}: {} failed, {failures:#?}", failures.len());
            assert!(lookups > 500, "{kind}: only {lookups} lookups");
        }
    }
}

struct Asker {
    address: String,
    config: Arc<rustls::ClientConfig>,
    answer: String,
    is_over: Arc<AtomicBool>,
    tally: Arc<Tally>,
}

impl Asker {
    fn is_over(&self) -> bool {
        std::thread::sleep(PAUSE);
        self.is_over.load(Ordering::Relaxed)
    }

    /// A connection for each lookup, as the Dart SDK; no second try, so that nothing is hidden.
    fn ask_on_new_connections(&self) {
        while !self.is_over() {
            let asked = self.connect().and_then(|mut client| client.try_ask("alice"));
            self.note(asked);
        }
    }

    /// One connection for as long as it lasts; where it has ended, the question is asked once more
    /// on a new one, as Java and Dart do.
    fn ask_on_one(&self) {
        let mut kept: Option<LineClient> = None;
        while !self.is_over() {
            let asked = kept.as_mut().map(|client| client.try_ask("alice"));
            if let Some(Ok(answer)) = asked {
                self.note(Ok(answer));
                continue;
            }
            self.tally.reconnects.fetch_add(1, Ordering::Relaxed);
            let again = self.connect().and_then(|mut client| {
                let answer = client.try_ask("alice")?;
                kept = Some(client);
                Ok(answer)
            });
            self.note(again);
        }
    }

    fn connect(&self) -> std::io::Result<LineClient> {
        LineClient::connect_with(&self.address, Arc::clone(&self.config))
    }

    fn note(&self, asked: std::io::Result<String>) {
        match asked {
            Ok(answer) if answer.trim().trim_start_matches('@') == self.answer => {
                self.tally.lookups.fetch_add(1, Ordering::Relaxed);
            }
            other => self.tally.failures.lock().unwrap().push(format!("{other:?}")),
        }
    }
}

fn make_certificate(dir: &Path) -> PathBuf {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let cert = dir.join("replica.pem");
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(dir.join("replica.key"), made.signing_key.serialize_pem()).unwrap();
    cert
}

#[test]
fn replicas_are_restarted_one_after_another_and_no_lookup_fails() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let (server_ports, ports) = (Ports::reserve(20), Ports::reserve(20));
    let data = dir.join("data");
    std::fs::create_dir(&data).unwrap();
    let warren = Warren::start(WARREN, &data, &server_ports, &["--identity", "@alice"]);
    let endpoints = warren.endpoints.clone();
    let cert = make_certificate(dir);
    std::fs::DirBuilder::new().mode(0o700).create(dir.join("private")).unwrap();
    let prepare = |number| Replica::prepare(dir, number, &ports, &endpoints);
    let mut replicas: Vec<Replica> = (0..3).map(prepare).collect();
    replicas.iter_mut().for_each(Replica::start);
    let alice = format!("localhost:{}", server_ports.first);

    let haproxy = HaProxy::start(dir, ports.last, &replicas);
    std::thread::sleep(5 * CHECK_EVERY);
    let load = Load::start(&haproxy.address, &cert, &alice);
    for replica in &mut replicas {
        std::thread::sleep(5 * CHECK_EVERY);
        replica.stop();
        replica.start();
        std::thread::sleep(5 * CHECK_EVERY);
    }
    for replica in &mut replicas {
        replica.upgrade();
        std::thread::sleep(5 * CHECK_EVERY);
    }
    load.judge();

    // The registrar and all others gone, each answers from its own file.
    warren.kill();
    replicas.iter_mut().for_each(Replica::kill);
    let alone = &mut replicas[1];
    let began = Instant::now();
    alone.start();
    let mut client = LineClient::connect(&format!("localhost:{}", alone.port), &cert).unwrap();
    assert_eq!(client.ask("alice").trim(), alice);
    println!("cold start from its own file to the first answer: {:?}", began.elapsed());
    let mut through = LineClient::connect(&haproxy.address, &cert);
    while through.is_err() {
        assert!(began.elapsed() < PATIENCE, "haproxy does not find the one that is left");
        through = LineClient::connect(&haproxy.address, &cert);
    }
    assert_eq!(through.unwrap().ask("alice").trim(), alice);
}
