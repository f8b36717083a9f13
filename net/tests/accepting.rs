//! The accept loop: permits, counters, and the end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use common::{LIMITS, SOON, World, connect_with, listener};
use net::accept::serve_tls;
use net::drain::Drain;
use net::gate::{AcceptLimits, BlockLimits, Gate, Refusal};
use net::handshake::ServerStream;
use net::line_conn::LineConn;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

type Client = tokio_rustls::client::TlsStream<TcpStream>;

struct Running {
    world: World,
    address: SocketAddr,
    gate: Gate,
    drain: Drain,
}

/// Serves an echo of lines.
async fn echo(limits: impl Into<Gate>) -> Running {
    serve(limits, |stream, drain| async move {
        let mut conn = LineConn::new(stream, 100);
        loop {
            let line = tokio::select! {
                line = conn.read_line(Some(SOON)) => line,
                () = drain.draining() => return conn.close().await,
            };
            let Ok(line) = line else { return };
            assert_ne!(line, b"panic", "as asked");
            if conn.write_record(&line).await.is_err() {
                return;
            }
        }
    })
    .await
}

async fn serve<F>(
    limits: impl Into<Gate>,
    handler: impl Fn(ServerStream, Drain) -> F + Send + Sync + 'static,
) -> Running
where
    F: Future<Output = ()> + Send + 'static,
{
    let (world, (listener, address)) = (World::new(), listener().await);
    let (gate, drain) = (limits.into(), Drain::new());
    let ending = drain.clone();
    let handler = move |stream, _| handler(stream, ending.clone());
    let served = serve_tls(listener, world.server_tls(), gate.clone(), drain.clone(), handler);
    tokio::spawn(served);
    Running { world, address, gate, drain }
}

impl Running {
    async fn connect(&self) -> std::io::Result<Client> {
        let stream = TcpStream::connect(self.address).await?;
        connect_with(self.world.plain_client(&[&TLS13]), stream).await
    }

    async fn answers(&self, client: &mut Client) -> bool {
        if client.write_all(b"hello\n").await.is_err() {
            return false;
        }
        let mut answer = [0; 5];
        let read = timeout(SOON, client.read_exact(&mut answer)).await;
        read.is_ok_and(|r| r.is_ok()) && &answer == b"hello"
    }

    /// Waits until so many connections hold a permit.
    async fn until_connections(&self, count: usize) {
        for _ in 0..500 {
            if self.gate.connections() == count {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{} connections, not {count}", self.gate.connections());
    }
}

#[tokio::test]
async fn one_connection_too_many_is_closed_and_counted_and_the_next_finds_room() {
    let running = echo(AcceptLimits { connections_max: 2, ..LIMITS }).await;
    let (mut one, mut two) = (running.connect().await.unwrap(), running.connect().await.unwrap());
    assert!(running.answers(&mut one).await && running.answers(&mut two).await);
    assert!(running.connect().await.is_err());
    assert_eq!(running.gate.refused(Refusal::Full), 1);
    assert!(running.answers(&mut one).await, "those inside notice nothing");
    drop(two);
    running.until_connections(1).await;
    let mut three = running.connect().await.unwrap();
    assert!(running.answers(&mut three).await);
}

#[tokio::test]
async fn one_address_cannot_take_all_the_room() {
    let running = echo(AcceptLimits { per_address_max: 1, ..LIMITS }).await;
    let mut one = running.connect().await.unwrap();
    assert!(running.answers(&mut one).await);
    assert!(running.connect().await.is_err());
    assert_eq!(running.gate.refused(Refusal::AddressFull), 1);
    let elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.9:0".parse().unwrap()).unwrap();
    let stream = elsewhere.connect(running.address).await.unwrap();
    let mut two = connect_with(running.world.plain_client(&[&TLS13]), stream).await.unwrap();
    assert!(running.answers(&mut two).await);
}

#[test]
fn ipv6_networks_count_as_one_and_mapped_addresses_as_ipv4() {
    let gate = Gate::new(AcceptLimits { per_address_max: 1, ..LIMITS });
    let _one = gate.admit("2001:db8::1".parse().unwrap()).unwrap();
    assert_eq!(gate.admit("2001:db8::ffff:2".parse().unwrap()).unwrap_err(), Refusal::AddressFull);
    let _two = gate.admit("2001:db8:0:1::1".parse().unwrap()).unwrap();
    let three = gate.admit("::ffff:192.0.2.1".parse().unwrap()).unwrap();
    assert_eq!(gate.admit("192.0.2.1".parse().unwrap()).unwrap_err(), Refusal::AddressFull);
    drop(three);
    let _four = gate.admit("192.0.2.1".parse().unwrap()).unwrap();
    assert_eq!(gate.connections(), 3);
}

#[test]
fn one_network_cannot_take_all_the_room_by_changing_its_addresses() {
    let blocks = BlockLimits { per_network_max: 3, ..BlockLimits::NONE };
    let gate = Gate::with_blocks(AcceptLimits { per_address_max: 2, ..LIMITS }, blocks);
    for (addresses, elsewhere) in [
        (["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], "192.0.3.1"),
        (["2001:db8:0:1::", "2001:db8:0:2::", "2001:db8:0:3::", "2001:db8:0:4::"], "2001:db8:1::"),
    ] {
        let admit = |text: &str| gate.admit(text.parse().unwrap());
        let mut permits: Vec<_> = addresses[..3].iter().map(|a| admit(a).unwrap()).collect();
        assert_eq!(admit(addresses[3]).unwrap_err(), Refusal::NetworkFull);
        let _elsewhere = admit(elsewhere).unwrap();
        permits.pop();
        let _again = admit(addresses[3]).unwrap();
    }
    assert_eq!(gate.refused(Refusal::NetworkFull), 2);
    assert_eq!(gate.connections(), 0);
}

#[tokio::test]
async fn handshakes_of_one_address_wait_for_one_another_and_hold_up_no_other_address() {
    let blocks = BlockLimits { handshakes_per_address_max: 2, ..BlockLimits::NONE };
    let running = echo(Gate::with_blocks(LIMITS, blocks)).await;
    let mut stalled = Vec::new();
    for _ in 0..4 {
        stalled.push(TcpStream::connect(running.address).await.unwrap());
    }
    running.until_connections(4).await;
    let elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.9:0".parse().unwrap()).unwrap();
    let stream = elsewhere.connect(running.address).await.unwrap();
    let mut other = connect_with(running.world.plain_client(&[&TLS13]), stream).await.unwrap();
    assert!(running.answers(&mut other).await);
    assert_eq!(running.gate.refused(Refusal::HandshakeDisplaced), 0);
    // Its own neighbours are displaced one after another until it is its turn.
    let mut same = timeout(SOON, running.connect()).await.unwrap().unwrap();
    assert!(running.answers(&mut same).await);
    let displaced = running.gate.refused(Refusal::HandshakeDisplaced);
    assert!((3..=4).contains(&displaced), "{displaced}");
}

#[tokio::test]
async fn who_had_connected_when_the_end_began_is_still_served() {
    let running = echo(LIMITS).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(TcpStream::connect(running.address).await.unwrap());
    }
    running.drain.start();
    for stream in waiting {
        let handshake = connect_with(running.world.plain_client(&[&TLS13]), stream);
        timeout(SOON, handshake).await.unwrap().unwrap();
    }
    assert!(running.drain.finished(SOON).await);
    assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn silent_clients_are_dropped_while_others_are_served() {
    let limits = AcceptLimits { handshake_deadline: Duration::from_millis(500), ..LIMITS };
    let running = echo(limits).await;
    let silent: Vec<_> = {
        let mut all = Vec::new();
        for _ in 0..5 {
            all.push(TcpStream::connect(running.address).await.unwrap());
        }
        all
    };
    let mut honest = running.connect().await.unwrap();
    assert!(running.answers(&mut honest).await);
    for mut client in silent {
        assert_eq!(timeout(SOON, client.read(&mut [0; 8])).await.unwrap().unwrap(), 0);
    }
    running.until_connections(1).await;
    assert_eq!(running.gate.refused(Refusal::HandshakeDeadline), 5);
}

#[tokio::test]
async fn clients_that_stall_in_the_handshake_make_room_for_those_that_do_not() {
    let running = echo(AcceptLimits { handshakes_max: 2, ..LIMITS }).await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        stalled.push(TcpStream::connect(running.address).await.unwrap());
    }
    running.until_connections(20).await;
    let mut early = running.connect().await.unwrap();
    assert!(running.answers(&mut early).await, "nobody waits for them");
    assert_eq!(running.gate.refused(Refusal::HandshakeDisplaced), 0, "they have their time");
    sleep(Duration::from_millis(1100)).await;
    for _ in 0..5 {
        let mut honest = running.connect().await.unwrap();
        assert!(running.answers(&mut honest).await);
    }
    assert_eq!(running.gate.refused(Refusal::HandshakeDisplaced), 5);
    let first = timeout(SOON, stalled[0].read(&mut [0; 8])).await.unwrap();
    assert_eq!(first.unwrap(), 0, "the oldest left first");
}

#[tokio::test]
async fn rubbish_is_counted_by_reason_and_disturbs_nobody() {
    let running = echo(LIMITS).await;
    for _ in 0..3 {
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        // It is told so by an alert, and closed.
        drop(timeout(SOON, client.read_to_end(&mut Vec::new())).await.unwrap());
    }
    drop(TcpStream::connect(running.address).await.unwrap());
    running.until_connections(0).await;
    let mut honest = running.connect().await.unwrap();
    assert!(running.answers(&mut honest).await);
    assert_eq!(running.gate.refused(Refusal::HandshakeTls), 3);
    assert_eq!(running.gate.refused(Refusal::HandshakeClosed), 1);
    let mut metrics = net::telemetry::Metrics::with_prefix("test");
    running.gate.register(&mut metrics);
    let text = net::telemetry::encode_metrics(&metrics);
    assert!(text.contains("test_refused_total{reason=\"handshake_tls\"} 3\n"), "{text}");
    assert!(text.contains("test_connections 1\n") && text.contains("test_accepted_total 5\n"));
}

#[tokio::test]
async fn a_panic_ends_one_connection_and_gives_its_permit_back() {
    let running = echo(LIMITS).await;
    let mut other = running.connect().await.unwrap();
    assert!(running.answers(&mut other).await);
    let mut client = running.connect().await.unwrap();
    client.write_all(b"panic\n").await.unwrap();
    assert!(!running.answers(&mut client).await);
    running.until_connections(1).await;
    assert_eq!(running.gate.refused(Refusal::Panic), 1);
    assert!(running.answers(&mut other).await);
}

#[tokio::test]
async fn a_drain_admits_nobody_lets_work_finish_and_ends() {
    let running = serve(LIMITS, |stream, drain| async move {
        let mut conn = LineConn::new(stream, 100);
        let line = conn.read_line(Some(SOON)).await.unwrap();
        drain.draining().await;
        sleep(Duration::from_millis(100)).await;
        conn.write_record(&line).await.unwrap();
        conn.close().await;
    })
    .await;
    let mut client = running.connect().await.unwrap();
    client.write_all(b"slow work\n").await.unwrap();
    let mut half_open = TcpStream::connect(running.address).await.unwrap();
    running.until_connections(2).await;

    running.drain.start();
    let mut answer = String::new();
    timeout(SOON, client.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, "slow work");
    assert!(running.drain.finished(SOON).await, "a half-open handshake does not hold it up");
    assert_eq!(half_open.read(&mut [0; 8]).await.unwrap_or(0), 0);
    let refused = TcpStream::connect(running.address).await;
    assert!(refused.is_err(), "the listener is closed");
}
