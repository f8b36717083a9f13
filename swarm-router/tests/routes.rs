//! The router with real sockets on the loopback interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol::VolumeId;
use swarm_router::{Arrival, Backend, RouteError, Router};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Inbox(SyncSender<(VolumeId, Arrival)>);

impl Backend for Inbox {
    fn deliver(&self, volume: VolumeId, arrival: Arrival) {
        let _ = self.0.try_send((volume, arrival));
    }
}

fn router() -> (Router, Receiver<(VolumeId, Arrival)>) {
    let (sender, receiver) = sync_channel(1024);
    (Router::start(LOOPBACK, Arc::new(Inbox(sender))).unwrap(), receiver)
}

/// A port that nothing listens on. Each is given out once, so tests in one process stay apart.
fn free_port() -> u16 {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    loop {
        let port = TcpListener::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap().port();
        let mut given = GIVEN.lock().unwrap();
        if !given.contains(&port) {
            given.push(port);
            return port;
        }
    }
}

fn volume(byte: u8) -> VolumeId {
    VolumeId::from_bytes([byte; 16])
}

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn each_port_leads_to_its_volume_with_nothing_read_from_the_stream() {
    let (router, inbox) = router();
    let ports: Vec<u16> = (0..20).map(|_| free_port()).collect();
    for (index, port) in ports.iter().enumerate() {
        router.open(*port, volume(u8::try_from(index).unwrap())).unwrap();
    }
    for (index, port) in ports.iter().enumerate() {
        let mut client = TcpStream::connect((LOOPBACK, *port)).unwrap();
        client.write_all(b"first bytes").unwrap();
        let (arrived, mut arrival) = inbox.recv_timeout(PATIENCE).unwrap();
        assert_eq!(arrived, volume(u8::try_from(index).unwrap()));
        assert_eq!(arrival.client, client.local_addr().unwrap());
        arrival.stream.set_nonblocking(false).unwrap();
        let mut bytes = [0; 11];
        arrival.stream.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"first bytes");
    }
    assert_eq!(router.counters().accepted, 20);
}

#[test]
fn a_burst_larger_than_one_turn_arrives_whole() {
    let (router, inbox) = router();
    let port = free_port();
    router.open(port, volume(1)).unwrap();
    let clients: Vec<_> = (0..100).map(|_| TcpStream::connect((LOOPBACK, port)).unwrap()).collect();
    let arrivals: Vec<_> = (0..100).map(|_| inbox.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(router.counters().connections, 100);
    drop(arrivals);
    assert_eq!(router.counters().connections, 0);
    drop(clients);
}

#[test]
fn a_taken_port_is_an_error_and_a_route_that_must_exist_waits_for_it() {
    let (router, inbox) = router();
    let other = TcpListener::bind((LOOPBACK, 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    assert!(matches!(router.open(port, volume(1)), Err(RouteError::PortTaken(p)) if p == port));
    router.open_eventually(port, volume(1)).unwrap();
    assert_eq!(router.counters().routes_waiting, 1);
    drop(other);
    let start = Instant::now();
    while router.counters().routes == 0 {
        assert!(start.elapsed() < PATIENCE, "the route never opened");
        std::thread::sleep(Duration::from_millis(20));
    }
    let _client = TcpStream::connect((LOOPBACK, port)).unwrap();
    assert_eq!(inbox.recv_timeout(PATIENCE).unwrap().0, volume(1));
}

#[test]
fn opening_twice_is_one_route_and_another_volume_is_refused() {
    let (router, _inbox) = router();
    let port = free_port();
    router.open(port, volume(1)).unwrap();
    router.open(port, volume(1)).unwrap();
    assert!(matches!(router.open(port, volume(2)), Err(RouteError::PortTaken(_))));
    assert_eq!(router.counters().routes, 1);
}

#[test]
fn a_closed_route_refuses_new_connections_and_cuts_none() {
    let (router, inbox) = router();
    let port = free_port();
    router.open(port, volume(1)).unwrap();
    let mut client = TcpStream::connect((LOOPBACK, port)).unwrap();
    let (_, mut arrival) = inbox.recv_timeout(PATIENCE).unwrap();
    router.close(port);
    assert!(TcpStream::connect((LOOPBACK, port)).is_err());
    arrival.stream.write_all(b"still here").unwrap();
    let mut bytes = [0; 10];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"still here");
}

#[test]
fn a_stopped_router_listens_nowhere() {
    let (router, _inbox) = router();
    let port = free_port();
    router.open(port, volume(1)).unwrap();
    router.stop();
    assert!(TcpStream::connect((LOOPBACK, port)).is_err());
}
