//! Slow, silent and endless clients beside honest ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{Registrar, Running, change};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

const OF_EACH_KIND: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_lookups_do_not_notice_hundreds_of_slow_clients() {
    let registrar = Registrar::new(vec![change(1, "alice", Some("localhost:25000"), 1)]);
    let running = Running::following(&registrar).await;
    let mut half_open = Vec::new();
    let mut dripping = Vec::new();
    let mut not_reading = Vec::new();
    for _ in 0..OF_EACH_KIND {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
        half_open.push(stream);
        let mut client = running.client().await;
        client.send(b"al").await;
        dripping.push(client);
        let mut client = running.client().await;
        client.send(&b"alice\n".repeat(500)).await;
        not_reading.push(client);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let began = Instant::now();
        let mut client = running.client().await;
        assert_eq!(client.ask(b"alice\n").await.unwrap(), b"localhost:25000\r\n@");
        slowest = slowest.max(began.elapsed());
        sleep(Duration::from_millis(5)).await;
    }
    // Whoever had to wait for one of them would wait for a deadline of the door.
    let patience = directory::limits::ACCEPT.handshake_deadline / 2;
    assert!(slowest < patience, "{slowest:?}");
    for client in &mut dripping {
        assert_eq!(client.ask(b"ice\n").await.unwrap(), b"localhost:25000\r\n@");
    }
    drop((half_open, dripping, not_reading));
}

#[tokio::test]
async fn a_line_that_never_ends_is_cut_at_its_limit() {
    let registrar = Registrar::new(Vec::new());
    let running = Running::following(&registrar).await;
    let mut client = running.client().await;
    client.send(&[b'x'; 16 * 1024]).await;
    assert_eq!(client.record().await, None);
    let mut metrics = net::telemetry::Metrics::default();
    running.directory.register(&mut metrics);
    let text = net::telemetry::encode_metrics(&metrics);
    assert!(text.contains("closed_total{reason=\"line_too_long\"} 1\n"), "{text}");
}
