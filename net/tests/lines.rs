//! Line connections: what ends them, what is never lost, and which records they write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use common::{SOON, World, tcp_pair};
use net::handshake;
use net::line_conn::{LineConn, ReadEnd};
use rustls_pki_types::ServerName;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex,
};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;

fn pair(line_bytes_max: usize) -> (DuplexStream, LineConn<DuplexStream>) {
    let (peer, ours) = duplex(1 << 20);
    (peer, LineConn::new(ours, line_bytes_max))
}

#[tokio::test(start_paused = true)]
async fn lines_come_out_one_by_one_however_they_came_in() {
    let (mut peer, mut conn) = pair(100);
    for part in ["one\ntw", "o\r\nthr", "ee", "\n\n", "\n"] {
        peer.write_all(part.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    for expected in ["one", "two", "three"] {
        assert_eq!(conn.read_line(None).await.unwrap(), expected.as_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_read_line_at_any_moment_loses_nothing() {
    let (mut peer, mut conn) = pair(1000);
    let writer = tokio::spawn(async move {
        for number in 0..200 {
            for byte in format!("line {number}\n").bytes() {
                peer.write_all(&[byte]).await.unwrap();
                sleep(Duration::from_millis(7)).await;
            }
        }
        peer
    });
    let mut lines = Vec::new();
    while lines.len() < 200 {
        tokio::select! {
            biased;
            () = sleep(Duration::from_millis(3)) => {}
            line = conn.read_line(None) => lines.push(String::from_utf8(line.unwrap()).unwrap()),
        }
    }
    let expected: Vec<_> = (0..200).map(|n| format!("line {n}")).collect();
    assert_eq!(lines, expected);
    drop(writer.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_line_too_long_ends_the_connection_after_the_lines_before_it() {
    let (mut peer, mut conn) = pair(10);
    peer.write_all(b"good\n01234567890123456789\nnever\n").await.unwrap();
    assert_eq!(conn.read_line(None).await.unwrap(), b"good");
    for _ in 0..3 {
        assert!(matches!(conn.read_line(None).await, Err(ReadEnd::TooLong)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_without_end_is_refused_at_its_limit_and_holds_no_memory() {
    let (mut peer, mut conn) = pair(100_000);
    let writer = tokio::spawn(async move { while peer.write_all(&[b'x'; 1000]).await.is_ok() {} });
    assert!(matches!(conn.read_line(None).await, Err(ReadEnd::TooLong)));
    assert!(conn.buffered_bytes() <= 200_000, "{}", conn.buffered_bytes());
    drop(conn);
    writer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn memory_of_a_large_line_is_given_back() {
    let (mut peer, mut conn) = pair(10_000_000);
    let writer = tokio::spawn(async move {
        peer.write_all(&vec![b'x'; 5_000_000]).await.unwrap();
        peer.write_all(b"\nsmall\n").await.unwrap();
        peer
    });
    assert_eq!(conn.read_line(None).await.unwrap().len(), 5_000_000);
    assert_eq!(conn.read_line(None).await.unwrap(), b"small");
    assert!(conn.buffered_bytes() <= 4096, "{}", conn.buffered_bytes());
    drop(writer.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn exit_needs_no_line_end() {
    let (mut peer, mut conn) = pair(100);
    peer.write_all(b"one\n@exit").await.unwrap();
    assert_eq!(conn.read_line(None).await.unwrap(), b"one");
    assert!(matches!(conn.read_line(None).await, Err(ReadEnd::Exit)));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_is_noticed_even_inside_a_line() {
    let (mut peer, mut conn) = pair(100);
    peer.write_all(b"one\nhalf a li").await.unwrap();
    drop(peer);
    assert_eq!(conn.read_line(None).await.unwrap(), b"one");
    assert!(matches!(conn.read_line(None).await, Err(ReadEnd::Closed)));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_at_the_callers_deadline_and_can_be_asked_again() {
    let (mut peer, mut conn) = pair(100);
    let began = Instant::now();
    let idle = conn.read_line(Some(Duration::from_secs(600))).await;
    assert!(matches!(idle, Err(ReadEnd::Idle)));
    assert_eq!(began.elapsed().as_secs(), 600);
    peer.write_all(b"late\n").await.unwrap();
    assert_eq!(conn.read_line(Some(SOON)).await.unwrap(), b"late");
}

#[tokio::test(start_paused = true)]
async fn a_dripped_line_has_a_deadline_that_asking_again_does_not_prolong() {
    let (mut peer, mut conn) = pair(10_000);
    let dripper = tokio::spawn(async move {
        while peer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    });
    let began = Instant::now();
    let end = loop {
        match conn.read_line(Some(Duration::from_secs(3))).await {
            Err(ReadEnd::Idle) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Err(ReadEnd::Slow)), "{end:?}");
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    drop(conn);
    dripper.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_large_line_on_a_slow_link_has_the_time_it_needs() {
    let (mut peer, mut conn) = pair(10_000_000);
    let writer = tokio::spawn(async move {
        for _ in 0..100 {
            peer.write_all(&[b'x'; 20_000]).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        peer.write_all(b"\n").await.unwrap();
        peer
    });
    assert_eq!(conn.read_line(None).await.unwrap().len(), 2_000_000);
    drop(writer.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_dropped_at_the_write_deadline() {
    let (peer, ours) = duplex(64);
    let mut conn = LineConn::new(ours, 100);
    let began = Instant::now();
    let failed = conn.write_record(&[b'x'; 1000]).await.unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
    assert!(began.elapsed() <= Duration::from_secs(16), "{:?}", began.elapsed());
    let after = conn.write_record(b"@").await.unwrap_err();
    assert_eq!(after.kind(), io::ErrorKind::BrokenPipe, "nothing follows half an answer");
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_dropped_half_way_lets_nothing_follow() {
    let (mut peer, ours) = duplex(8);
    let mut conn = LineConn::new(ours, 100);
    let dropped = timeout(Duration::from_millis(1), conn.write_record(b"0123456789")).await;
    assert!(dropped.is_err());
    peer.read_exact(&mut [0; 8]).await.unwrap();
    assert!(conn.write_record(b"next").await.is_err());
}

/// Remembers the bytes that came from the wire.
struct Sniffed {
    stream: TcpStream,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Sniffed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = bytes.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, bytes))?;
        self.seen.lock().unwrap().extend_from_slice(&bytes.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sniffed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The lengths of the application data records in a stream of TLS 1.3.
fn record_lengths(mut wire: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = wire {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == 23 {
            lengths.push(length);
        }
        wire = &rest[length..];
    }
    lengths
}

#[tokio::test]
async fn every_answer_is_a_record_of_its_own() {
    const OVERHEAD: usize = 17;
    let world = World::new();
    let tls = world.server_tls();
    let (stream, server) = tcp_pair().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sniffed = Sniffed { stream, seen: Arc::clone(&seen) };
    let config = world.plain_client(&[&rustls::version::TLS13]);
    let connector = TlsConnector::from(Arc::new(config));
    let (client, server) = tokio::join!(
        connector.connect(ServerName::try_from("localhost").unwrap(), sniffed),
        handshake::accept(server, &tls, SOON)
    );
    let (mut client, server) = (client.unwrap(), server.unwrap());
    let answers = [1, 5, 300, 16 * 1024, 7, 1, 40_000, 2];
    let before = record_lengths(&seen.lock().unwrap()).len();
    let writer = tokio::spawn(async move {
        let mut conn = LineConn::new(server, 100);
        for length in answers {
            conn.write_record(&vec![b'x'; length]).await.unwrap();
        }
        conn.close().await;
    });
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    writer.await.unwrap();
    assert_eq!(all.len(), answers.iter().sum::<usize>());
    let mut lengths = record_lengths(&seen.lock().unwrap()).split_off(before);
    assert!(lengths.pop().unwrap() < OVERHEAD + 3, "the farewell");
    let plain: Vec<_> = lengths.iter().map(|length| length - OVERHEAD).collect();
    assert_eq!(plain, [1, 5, 300, 16384, 7, 1, 16384, 16384, 7232, 2]);
}
