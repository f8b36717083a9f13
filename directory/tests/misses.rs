//! Who guesses names waits, and so do those who guess at the same address; nobody else does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::dns::{Front, question, receive, send};
use common::https::https;
use common::{Registrar, Running, change};
use directory::limits::{HTTPS_MISSES_WAIT_MAX, MISS_DELAY, MISSES};
use directory::{MissLimits, MissRate};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::net::TcpStream;

const ALICE: &[u8] = b"localhost:25000\r\n@";
const NULL: &[u8] = b"null\r\n@";

/// Ten are free, and after twenty all is used up; an hour later they are forgotten.
const RATE: MissRate = MissRate { burst: 10, per_second: 1 };
const STRICT: MissLimits = MissLimits { address: RATE, network: RATE, spares_loopback: false };

async fn running(misses: MissLimits) -> Running {
    let registrar = Registrar::new(vec![change(1, "alice", Some("localhost:25000"), 1)]);
    let running = Running::start_guarded(misses).await;
    running.follow(&registrar).await;
    running
}

/// How long one question on a new connection takes to be answered.
async fn time(running: &Running, source: &str, line: &[u8], answer: &[u8]) -> Duration {
    let mut client = running.client_from(source).await;
    let began = Instant::now();
    assert_eq!(client.ask(line).await.unwrap(), answer);
    began.elapsed()
}

/// Guesses at the same time, so that the waits do not add up.
async fn guess(running: &Running, source: &str, times: usize) {
    let mut clients = Vec::new();
    for _ in 0..times {
        let mut client = running.client_from(source).await;
        client.send(b"nobody\n").await;
        clients.push(client);
    }
    for mut client in clients {
        assert_eq!(client.record().await.unwrap(), NULL);
    }
}

#[tokio::test]
async fn guessing_on_new_connections_gets_slower_and_slower_and_harms_nobody_else() {
    let running = running(STRICT).await;
    guess(&running, "127.0.9.1", 10).await;
    assert!(time(&running, "127.0.9.1", b"nobody\n", NULL).await < MISS_DELAY / 4);
    guess(&running, "127.0.9.1", 20).await;
    assert!(time(&running, "127.0.9.1", b"nobody\n", NULL).await > MISS_DELAY / 2);
    let neighbour = time(&running, "127.0.9.2", b"nobody\n", NULL).await;
    assert!(neighbour > MISS_DELAY / 2, "the network has used up its share too: {neighbour:?}");

    // Behind the same address, who asks for people that there are notices nothing.
    for line in [&b"alice\n"[..], b"@ALICE\r\n"] {
        assert!(time(&running, "127.0.9.1", line, ALICE).await < MISS_DELAY / 4);
    }
    assert!(time(&running, "127.0.9.1", b"\r\n", NULL).await < MISS_DELAY / 4);
    assert!(time(&running, "127.0.8.1", b"nobody\n", NULL).await < MISS_DELAY / 4);
    let text = running.metrics();
    let delayed = text.lines().find_map(|l| l.strip_prefix("misses_delayed_total ")).unwrap();
    assert!(delayed.parse::<u32>().unwrap() >= 10, "{text}");
}

#[tokio::test]
async fn this_machine_itself_is_spared() {
    let running = running(MissLimits { spares_loopback: true, ..STRICT }).await;
    guess(&running, "127.0.0.1", 40).await;
    assert!(time(&running, "127.0.0.1", b"nobody\n", NULL).await < MISS_DELAY / 4);
    assert!(std::hint::black_box(MISSES).spares_loopback);
}

#[tokio::test]
async fn an_end_does_not_wait_for_those_who_wait() {
    let running = running(STRICT).await;
    guess(&running, "127.0.9.1", 20).await;
    let mut client = running.client_from("127.0.9.1").await;
    client.send(b"nobody\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    running.drain.start();
    assert_eq!(client.record().await.unwrap(), NULL, "a question that was asked is answered");
    assert!(running.drain.finished(MISS_DELAY).await);
    assert!(began.elapsed() < MISS_DELAY / 2);
}

/// How long an answer over HTTPS takes.
async fn time_https(running: &Running, source: &str, path: &str, status: u16) -> Duration {
    let mut client = running.connect_from(source).await;
    let began = Instant::now();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    client.send(request.as_bytes()).await;
    let answer = client.record().await.unwrap();
    assert!(answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()));
    began.elapsed()
}

/// Guesses at the same time, so that the waits do not add up.
async fn guess_https(running: &Running, source: &str, times: usize) {
    let mut clients = Vec::new();
    for _ in 0..times {
        let mut client = running.connect_from(source).await;
        client.send(b"GET /v1/identities/nobody HTTP/1.1\r\nhost: x\r\n\r\n").await;
        clients.push(client);
    }
    for mut client in clients {
        assert!(client.record().await.unwrap().starts_with(b"HTTP/1.1 404 "));
    }
}

#[tokio::test]
async fn who_guesses_over_https_waits_there_and_at_the_line() {
    let line = running(STRICT).await;
    let address = line.address;
    let https = https(line).await;
    for _ in 0..10 {
        let path = "/v1/identities/nobody";
        assert!(time_https(&https, "127.0.9.1", path, 404).await < MISS_DELAY / 4);
    }
    guess_https(&https, "127.0.9.1", 10).await;
    for path in ["/v1/identities/nobody", "/v1/identities/nobody/proof"] {
        assert!(time_https(&https, "127.0.9.1", path, 404).await > MISS_DELAY / 4, "{path}");
    }
    let known = time_https(&https, "127.0.9.1", "/v1/identities/alice", 200).await;
    assert!(known < MISS_DELAY / 4, "{known:?}");
    let other = time_https(&https, "127.0.8.1", "/v1/identities/nobody", 404).await;
    assert!(other < MISS_DELAY / 4, "{other:?}");
    let door = https.address;
    let line = Running { address, ..https };
    assert!(time(&line, "127.0.9.1", b"nobody\n", NULL).await > MISS_DELAY / 4, "one account");

    let https = Running { address: door, ..line };
    // Each of those that are asked for at once counts, and they wait as one after another would.
    let batch =
        r#"{"identities":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p"]}"#;
    let request = format!(
        "POST /v1/lookup HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{batch}",
        batch.len()
    );
    let mut client = https.connect_from("127.0.7.1").await;
    let began = Instant::now();
    client.send(request.as_bytes()).await;
    assert!(client.record().await.unwrap().starts_with(b"HTTP/1.1 200 "));
    let took = began.elapsed();
    assert!(took > MISS_DELAY && took < HTTPS_MISSES_WAIT_MAX + MISS_DELAY, "{took:?}");
}

#[tokio::test]
async fn who_guesses_over_dns_waits_on_connections_and_never_over_udp() {
    let front = Front::over(running(STRICT).await, 0).await;
    for _ in 0..30 {
        assert_eq!(front.code("nobody.dir.example.", RecordType::A).await, ResponseCode::NXDomain);
    }
    let mut stream = TcpStream::connect(front.tcp).await.unwrap();
    let unknown = question("nobody.dir.example.", RecordType::A);
    send(&mut stream, &vec![unknown.clone(); 14]).await;
    let began = Instant::now();
    for _ in 0..10 {
        receive(&mut stream).await.unwrap();
    }
    assert!(began.elapsed() < MISS_DELAY / 4, "those over UDP were not counted");
    for _ in 10..14 {
        receive(&mut stream).await.unwrap();
    }
    assert!(began.elapsed() > MISS_DELAY / 4, "{:?}", began.elapsed());
    let mut other = TcpStream::connect(front.tcp).await.unwrap();
    let began = Instant::now();
    send(&mut other, &[question("alice.dir.example.", RecordType::TXT)]).await;
    assert_eq!(receive(&mut other).await.unwrap().answers.len(), 1);
    assert_eq!(front.code("nobody.dir.example.", RecordType::A).await, ResponseCode::NXDomain);
    assert!(began.elapsed() < MISS_DELAY / 4, "{:?}", began.elapsed());
}
