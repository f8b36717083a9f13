//! The port of names with real sockets on the loopback interface, and rustls as the client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use protocol::{HostLabel, VolumeId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use swarm_router::limits::{PEEK_DEADLINE, PEEKS_PER_ADDRESS_MAX};
use swarm_router::{Arrival, Backend, NamesCounters, NamesListener, Router};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Inbox(SyncSender<(VolumeId, Arrival)>);

impl Backend for Inbox {
    fn deliver(&self, volume: VolumeId, arrival: Arrival) {
        let _ = self.0.try_send((volume, arrival));
    }
}

struct World {
    router: Arc<Router>,
    names: NamesListener,
    inbox: Receiver<(VolumeId, Arrival)>,
}

/// Each label leads to the volume of the same bytes.
fn world(labels: u8) -> World {
    let (sender, inbox) = sync_channel(20_000);
    let backend = Arc::new(Inbox(sender));
    let router =
        Arc::new(Router::start(LOOPBACK, Arc::clone(&backend) as Arc<dyn Backend>).unwrap());
    let at = SocketAddr::new(LOOPBACK, 0);
    let names = NamesListener::start(at, Arc::clone(&router), backend).unwrap();
    for byte in 1..=labels {
        router.names().open(HostLabel::from_bytes([byte; 16]), VolumeId::from_bytes([byte; 16]));
    }
    World { router, names, inbox }
}

impl World {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.names.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// From another address of this machine.
    fn connect_from(&self, from: [u8; 4]) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&self.names.address().into()).unwrap();
        socket.into()
    }

    fn arrival(&self) -> (VolumeId, Arrival) {
        self.inbox.recv_timeout(PATIENCE).unwrap()
    }

    fn wait_until(&self, is_so: impl Fn(NamesCounters) -> bool) {
        let start = Instant::now();
        while !is_so(self.names.counters()) {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.names.counters());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn host(byte: u8) -> String {
    format!("{}.swarm.example", HostLabel::from_bytes([byte; 16]))
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A hello that asks for this host.
fn hello(host: &str) -> Vec<u8> {
    let name = sized(&[&[0][..], &sized(host.as_bytes())].concat());
    let extensions = [&[0, 0][..], &sized(&name)].concat();
    let parts = [&[3, 3][..], &[9; 32], &[0, 0, 2, 0x13, 1, 1, 0], &sized(&extensions)].concat();
    let [_, length @ ..] = u32::try_from(parts.len()).unwrap().to_be_bytes();
    [&[22, 3, 1][..], &sized(&[&[1][..], &length, &parts].concat())].concat()
}

fn rest_of(mut stream: &TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    rest
}

#[test]
fn each_name_leads_to_its_volume_with_every_byte_of_the_hello() {
    let world = world(9);
    for byte in (1..=9).rev() {
        let mut client = world.connect();
        let hello = hello(&host(byte).to_uppercase());
        client.write_all(&hello).unwrap();
        client.write_all(b"and more").unwrap();
        let (volume, mut arrival) = world.arrival();
        assert_eq!(volume, VolumeId::from_bytes([byte; 16]));
        assert_eq!(arrival.client, client.local_addr().unwrap());
        arrival.stream.set_nonblocking(false).unwrap();
        let mut bytes = vec![0; hello.len() + 8];
        arrival.stream.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [&hello[..], b"and more"].concat());
    }
    assert_eq!(world.router.counters().accepted, 9);
}

#[test]
fn a_hello_may_come_byte_by_byte() {
    let world = world(1);
    let mut client = world.connect();
    client.set_nodelay(true).unwrap();
    let hello = hello(&host(1));
    for byte in &hello {
        assert!(world.inbox.try_recv().is_err());
        client.write_all(&[*byte]).unwrap();
    }
    let (_, mut arrival) = world.arrival();
    arrival.stream.set_nonblocking(false).unwrap();
    let mut bytes = vec![0; hello.len()];
    arrival.stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, hello);
}

#[test]
fn who_asks_for_nobody_gets_an_alert_and_who_says_no_hello_gets_nothing() {
    let world = world(1);
    for name in [host(2), "swarm.example".to_owned()] {
        let mut client = world.connect();
        client.write_all(&hello(&name)).unwrap();
        assert_eq!(rest_of(&client), [21, 3, 3, 0, 2, 2, 112], "{name}");
    }
    let mut client = world.connect();
    client.write_all(b"@alice\n").unwrap();
    assert!(rest_of(&client).is_empty());
    // Whoever leaves in the middle of it is forgotten.
    let mut client = world.connect();
    client.write_all(&hello(&host(1))[..40]).unwrap();
    world.wait_until(|counted| counted.peeked == 1);
    drop(client);
    world.wait_until(|counted| counted.peeked == 0);
    let counted = world.names.counters();
    assert_eq!((counted.names, counted.unknown, counted.malformed, counted.late), (1, 2, 1, 0));
    assert!(world.inbox.try_recv().is_err());
    // A name that is closed is unknown from then on.
    world.router.names().close(HostLabel::from_bytes([1; 16]), VolumeId::from_bytes([1; 16]));
    let mut client = world.connect();
    client.write_all(&hello(&host(1))).unwrap();
    assert_eq!(rest_of(&client).len(), 7);
}

#[test]
fn half_a_hello_is_given_up_after_its_time() {
    let world = world(1);
    let began = Instant::now();
    let mut client = world.connect();
    client.write_all(&hello(&host(1))[..60]).unwrap();
    assert!(rest_of(&client).is_empty());
    assert!(began.elapsed() >= PEEK_DEADLINE - Duration::from_millis(10));
    world.wait_until(|counted| counted.late == 1 && counted.peeked == 0);
}

#[test]
fn very_many_half_hellos_keep_nobody_out() {
    const HALVES: usize = 10_000;
    let world = world(1);
    let may_open = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: may_open.maximum, ..may_open }).unwrap();
    let half = hello(&host(1));
    let half = &half[..half.len() - 1];
    let mut served = 0;
    let mut slowest = Duration::ZERO;
    let mut halves = Vec::new();
    for number in 0..HALVES {
        // The one attacker has many addresses, but all are in one network.
        let last = u8::try_from(number % 200).unwrap() + 10;
        let mut attacker = world.connect_from([127, 0, 7, last]);
        attacker.write_all(half).unwrap();
        halves.push(attacker);
        if number % 50 == 0 {
            let began = Instant::now();
            let mut client = world.connect();
            client.write_all(&hello(&host(1))).unwrap();
            let (volume, _arrival) = world.arrival();
            assert_eq!(volume, VolumeId::from_bytes([1; 16]));
            slowest = slowest.max(began.elapsed());
            served += 1;
        }
        if halves.len() > 6_000 {
            // It may not have more descriptors than this; those that are closed are as good.
            halves.drain(..1_000);
        }
    }
    let counted = world.names.counters();
    println!("{served} served, the slowest in {slowest:?}; {counted:?}");
    assert!(counted.peeked <= 2_048, "{counted:?}");
    assert_eq!(counted.unknown, 0);
}

#[test]
fn an_address_that_floods_displaces_itself() {
    let world = world(1);
    let half = hello(&host(1));
    let half = &half[..half.len() - 1];
    let mut halves: Vec<_> = (0..=PEEKS_PER_ADDRESS_MAX)
        .map(|_| {
            let mut attacker = world.connect_from([127, 0, 8, 8]);
            attacker.write_all(half).unwrap();
            attacker
        })
        .collect();
    world.wait_until(|counted| counted.displaced == 1);
    // It was the one that came first, and the last one can still say it all.
    assert!(rest_of(&halves[0]).is_empty());
    let rest = hello(&host(1));
    let last = halves.last_mut().unwrap();
    last.write_all(&rest[rest.len() - 1..]).unwrap();
    world.arrival();
}
