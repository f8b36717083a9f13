//! Garbage, oversize lines, half-open and slow connections on every port: typed answers or a close,
//! no panic, memory flat, and honest clients served meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use testkit::{PATIENCE, Ports, Random, Warren};

const MIB: u64 = 1024 * 1024;

type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A warren with @alice in it, and all of its ports.
struct Target {
    warren: Warren,
    address: String,
    secret: String,
    tls_ports: Vec<String>,
    metrics: String,
    _scratch: tempfile::TempDir,
    _ports: Ports,
}

fn target() -> Target {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let ports = Ports::reserve(20);
    let warren = Warren::start(env!("CARGO_BIN_EXE_warren"), &data, &ports, &[]);
    let (address, secret) = warren.register("@alice");
    let registrar = warren.endpoints.registrar.strip_prefix("https://").unwrap().to_owned();
    let metrics = warren.endpoints.metrics.strip_prefix("http://").unwrap();
    let metrics = metrics.strip_suffix("/metrics").unwrap().to_owned();
    let tls_ports = vec![warren.endpoints.directory.clone(), registrar, address.clone()];
    Target { warren, address, secret, tls_ports, metrics, _scratch: scratch, _ports: ports }
}

impl Target {
    fn config(&self) -> Arc<ClientConfig> {
        testkit::client_config(&self.warren.endpoints.ca_file)
    }

    fn all_ports(&self) -> Vec<String> {
        self.tls_ports.iter().cloned().chain([self.metrics.clone()]).collect()
    }

    /// Every service still works for somebody honest.
    fn assert_well(&self) {
        let resolved = self.warren.command(&["resolve", "@alice"]);
        assert!(resolved.status.success(), "{}", String::from_utf8_lossy(&resolved.stderr));
        let shown = self.warren.command(&["identity", "show", "@alice", "--json"]);
        assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
        let mut owner = self.warren.owner("@alice", &self.address, &self.secret);
        assert!(owner.ask("update:well@alice yes").starts_with("data:"));
        assert!(http_get(&self.metrics, "/healthz").starts_with("HTTP/1.1 200"));
        let log = testkit::log_of(&self.warren.dir);
        assert!(!log.contains("panicked"), "{log}");
    }
}

fn tcp(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn tls(address: &str, config: &Arc<ClientConfig>) -> TlsStream {
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), tcp(address))
}

fn http_get(address: &str, path: &str) -> String {
    let mut stream = tcp(address);
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Reads until the other side closes; fails if it has not within the patience.
fn read_to_close(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(error) => {
            let timed_out = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!timed_out, "not closed; got {:?}", String::from_utf8_lossy(&bytes));
            bytes
        }
    }
}

/// At least one and at most `most` bytes.
fn random_bytes(random: &mut Random, most: u64) -> Vec<u8> {
    let count = 1 + random.below(most);
    (0..count).map(|_| u8::try_from(random.below(256)).unwrap()).collect()
}

#[test]
fn garbage_instead_of_tls_is_closed_on_every_port() {
    let target = target();
    let mut random = Random::new(7);
    for address in target.all_ports() {
        for length in [1, 5, 100, 5_000] {
            let mut stream = tcp(&address);
            let garbage = random_bytes(&mut random, length);
            let _ = stream.write_all(&garbage);
            let _ = stream.shutdown(Shutdown::Write);
            read_to_close(&mut stream);
        }
        let mut stream = tcp(&address);
        let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        read_to_close(&mut stream);
    }
    target.assert_well();
}

#[test]
fn garbage_inside_of_tls_is_answered_or_closed() {
    let target = target();
    let config = target.config();
    let mut random = Random::new(11);
    for address in &target.tls_ports {
        // The directory answers a stream of unknown names ever more slowly; a few must do there.
        let streams = if *address == target.warren.endpoints.directory { 4 } else { 30 };
        for _ in 0..streams {
            let mut stream = tls(address, &config);
            let mut garbage = random_bytes(&mut random, 2_000);
            garbage.extend(b"\n");
            let _ = stream.write_all(&garbage).and_then(|()| stream.flush());
            stream.conn.send_close_notify();
            let _ = stream.flush();
            let _ = stream.sock.shutdown(Shutdown::Write);
            read_to_close(&mut stream);
        }
    }
    target.assert_well();
}

#[test]
fn text_that_is_not_utf8_or_no_verb_is_a_syntax_error_and_the_connection_lives() {
    let target = target();
    let mut client = target.warren.connect(&target.address);
    for command in ["deete:x@alice", "update", "scan:page:x", "%s%s%n", "\u{202e}x", "🦄"] {
        let answer = client.ask(command);
        let known = answer.starts_with("error:AT0003") || answer.starts_with("error:AT0401");
        assert!(known, "{command}: {answer}");
    }
    assert_eq!(client.ask("noop:0"), "data:ok");
    let mut stream = tls(&target.address, &target.config());
    stream.write_all(b"scan \xff\xfe\xfd\n").unwrap();
    let mut answer = [0; 64];
    let mut filled = 0;
    while !answer[..filled].contains(&b'\n') {
        filled += stream.read(&mut answer[filled..]).unwrap();
    }
    assert!(answer.starts_with(b"@error:AT"), "{}", String::from_utf8_lossy(&answer));
    target.assert_well();
}

#[test]
fn a_line_over_the_limit_is_at0005_and_memory_comes_back() {
    let target = target();
    let config = target.config();
    let before = target.warren.resident_bytes();
    let megabyte = vec![b'x'; 1024 * 1024];
    for _ in 0..5 {
        let mut stream = tls(&target.address, &config);
        let mut sent = stream.write_all(b"update:big@alice ");
        for _ in 0..11 {
            sent = sent.and_then(|()| stream.write_all(&megabyte));
        }
        // What was sent after the refusal may have met a closed socket.
        drop(sent);
        let answer = String::from_utf8_lossy(&read_to_close(&mut stream)).into_owned();
        assert!(answer.is_empty() || answer.contains("error:AT0005"), "{answer:.200}");
    }
    std::thread::sleep(Duration::from_millis(300));
    let after = target.warren.resident_bytes();
    assert!(after < before + 40 * MIB, "{} MiB became {} MiB", before / MIB, after / MIB);
    target.assert_well();
}

#[test]
fn a_directory_line_over_the_limit_is_closed_without_an_answer() {
    let target = target();
    let mut stream = tls(&target.warren.endpoints.directory, &target.config());
    stream.write_all(&[b'a'; 400]).unwrap();
    assert_eq!(read_to_close(&mut stream), b"@");
    target.assert_well();
}

#[test]
fn oversize_http_requests_are_refused_with_a_status() {
    let target = target();
    let registrar = &target.tls_ports[1];
    let config = target.config();
    let mut stream = tls(registrar, &config);
    let request =
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    let _ = stream.write_all(request.as_bytes());
    let answer = String::from_utf8_lossy(&read_to_close(&mut stream)).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:.100}");
    let mut stream = tls(registrar, &config);
    let head = "POST /v1/identities HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&answer));
    target.assert_well();
}

#[test]
fn half_open_and_dripping_clients_do_not_keep_honest_ones_out() {
    let target = target();
    let before = target.warren.resident_bytes();
    let mut silent = Vec::new();
    for address in target.all_ports() {
        for kind in 0..150 {
            let mut stream = tcp(&address);
            if kind % 2 == 1 {
                // The beginning of a TLS record, and then nothing.
                let _ = stream.write_all(&[0x16, 0x03, 0x01]);
            }
            silent.push(stream);
        }
    }
    target.assert_well();
    let with_silent = target.warren.resident_bytes();
    assert!(
        with_silent < before + 32 * MIB,
        "{} MiB for {} silent clients",
        (with_silent - before) / MIB,
        silent.len()
    );
    for _ in 0..5 {
        for stream in &mut silent {
            let _ = stream.write_all(&[0]);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    target.assert_well();
    // Their deadlines end them all.
    for stream in &mut silent {
        read_to_close(stream);
    }
    target.assert_well();
}

#[test]
fn a_client_that_never_reads_its_answers_is_dropped_and_holds_nobody_up() {
    let target = target();
    let mut owner = target.warren.owner("@alice", &target.address, &target.secret);
    let value = "v".repeat(200_000);
    assert!(owner.ask(&format!("update:public:big@alice {value}")).starts_with("data:"));
    let before = target.warren.resident_bytes();
    let config = target.config();
    let mut deaf: Vec<TlsStream> = (0..20).map(|_| tls(&target.address, &config)).collect();
    for stream in &mut deaf {
        stream.sock.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        for _ in 0..100 {
            if stream.write_all(b"lookup:big@alice\n").is_err() {
                break;
            }
        }
    }
    target.assert_well();
    let after = target.warren.resident_bytes();
    assert!(after < before + 48 * MIB, "{} MiB became {} MiB", before / MIB, after / MIB);
}

#[test]
fn lines_in_one_packet_are_answered_each_in_order() {
    let target = target();
    let mut client = target.warren.connect(&target.address);
    client.send("noop:0\ninfo:brief\nnoop:0\n").unwrap();
    assert_eq!(client.read_line().unwrap(), "data:ok");
    assert!(client.read_line().unwrap().contains("uptimeAsMillis"));
    assert_eq!(client.read_line().unwrap(), "data:ok");
}
