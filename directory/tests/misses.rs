//! Who guesses names waits, and so do those who guess at the same address; nobody else does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{Registrar, Running, change};
use directory::limits::{MISS_DELAY, MISSES};
use directory::{MissLimits, MissRate};

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
