//! One socket for a whole range of ports, in networks of the tests' own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use protocol::VolumeId;
use socket2::{Domain, Socket, Type};
use swarm_router::{Arrival, Backend, Budget, PortState, Redirect, Router, RouterOptions};
use testkit::namespace::{Machine, ip, is_inside};

const FRONT: u16 = 9_466;
const FIRST: u16 = 20_000;
const LAST: u16 = 59_999;
const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const PATIENCE: Duration = Duration::from_secs(20);

struct Inbox(SyncSender<(VolumeId, Arrival)>);

impl Backend for Inbox {
    fn deliver(&self, volume: VolumeId, arrival: Arrival) {
        let _ = self.0.try_send((volume, arrival));
    }
}

/// Says which port was meant, and ends the connection.
struct Echo;

impl Backend for Echo {
    fn deliver(&self, volume: VolumeId, mut arrival: Arrival) {
        let _ = arrival.stream.write_all(volume.to_string().as_bytes());
    }
}

/// A router with its front and the redirect.
struct Front {
    router: Router,
    redirect: Redirect,
}

impl Front {
    fn start(address: IpAddr, budget: Budget, backend: Arc<dyn Backend>) -> Self {
        let options = RouterOptions { address, redirected: vec![FIRST..=LAST], budget };
        let router = Router::with(options, backend).unwrap();
        let front = SocketAddr::new(address, FRONT);
        router.serve_front(listen(front)).unwrap();
        let redirect = Redirect::establish(front, vec![FIRST..=LAST]).unwrap();
        router.set_busy(redirect.refresh().unwrap());
        Self { router, redirect }
    }

    fn with_inbox(address: IpAddr) -> (Self, Receiver<(VolumeId, Arrival)>) {
        let (sender, receiver) = sync_channel(1_024);
        (Self::start(address, Budget::default(), Arc::new(Inbox(sender))), receiver)
    }
}

/// With room for a crowd.
fn listen(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(4_096).unwrap();
    socket.into()
}

fn volume(port: u16) -> VolumeId {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&port.to_be_bytes());
    VolumeId::from_bytes(bytes)
}

fn connect(address: &str, port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect((address.parse::<IpAddr>().unwrap(), port))
}

/// A connection is refused, or reset once it is there: nobody took it.
fn is_refused(address: &str, port: u16) -> bool {
    let refused = |error: std::io::Error| {
        matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
    };
    match connect(address, port) {
        Err(error) => refused(error),
        Ok(mut stream) => stream.read(&mut [0]).map_or_else(refused, |_| false),
    }
}

/// Whose port it was, by what the router's backend says.
fn answer(mut stream: TcpStream) -> std::io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn every_port_of_the_range_leads_to_its_volume_from_here_and_from_another_machine() {
    if !is_inside("every_port_of_the_range_leads_to_its_volume_from_here_and_from_another_machine")
    {
        return;
    }
    let other = Machine::connected("w0", "10.7.0.1", "10.7.0.2");
    let (front, inbox) = Front::with_inbox(ANY);
    for port in [FIRST, 30_000, LAST] {
        front.router.open(port, volume(port)).unwrap();
    }
    assert_eq!(front.router.counters().listeners, 0);
    let arrives = |client: TcpStream, port: u16| {
        let (arrived, arrival) = inbox.recv_timeout(PATIENCE).unwrap();
        assert_eq!(arrived, volume(port));
        assert_eq!(arrival.client, client.local_addr().unwrap());
        (client, arrival)
    };
    for port in [FIRST, 30_000, LAST] {
        arrives(connect("127.0.0.1", port).unwrap(), port);
        arrives(connect("10.7.0.1", port).unwrap(), port);
        let (mut client, mut arrival) =
            arrives(other.run(|| connect("10.7.0.1", port).unwrap()), port);
        client.write_all(b"up").unwrap();
        let mut two = [0; 2];
        arrival.stream.set_nonblocking(false).unwrap();
        arrival.stream.read_exact(&mut two).unwrap();
        arrival.stream.write_all(b"down").unwrap();
        drop(arrival);
        assert_eq!((&two, answer(client).unwrap().as_str()), (b"up", "down"));
    }
    // A port without a route, one beside the range, and the front's own.
    for port in [FIRST + 1, LAST + 1, FRONT] {
        assert!(is_refused("127.0.0.1", port), "{port}");
        assert!(other.run(|| is_refused("10.7.0.1", port)), "{port}");
    }
    assert_eq!(front.router.counters().unrouted, 4);
    front.router.close(FIRST);
    assert!(is_refused("127.0.0.1", FIRST));
    assert_eq!(front.router.port(30_000), PortState::Redirected(volume(30_000)));
}

#[test]
fn what_is_for_others_passes() {
    if !is_inside("what_is_for_others_passes") {
        return;
    }
    let other = Machine::connected("w0", "10.7.0.1", "10.7.0.2");
    let third = Machine::connected("w1", "10.8.0.1", "10.8.0.2");
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    // One connection is older than the redirect, with this machine's end in the range.
    let far = other.run(|| TcpListener::bind("10.7.0.2:25000").unwrap());
    let near = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    near.bind(&"10.7.0.1:41000".parse::<SocketAddr>().unwrap().into()).unwrap();
    near.connect(&"10.7.0.2:25000".parse::<SocketAddr>().unwrap().into()).unwrap();
    let (mut far_end, _) = far.accept().unwrap();
    let mut near = TcpStream::from(near);

    let taken = TcpListener::bind("0.0.0.0:20005").unwrap();
    let (front, inbox) = Front::with_inbox(ANY);
    front.router.open(20_005, volume(20_005)).unwrap();
    far_end.write_all(b"still").unwrap();
    let mut five = [0; 5];
    near.read_exact(&mut five).unwrap();
    assert_eq!(&five, b"still");

    // To another machine, from here and through here.
    drop(connect("10.7.0.2", 25_000).unwrap());
    third.run(|| drop(connect("10.7.0.2", 25_000).unwrap()));
    far.accept().unwrap();
    far.accept().unwrap();

    // Another program's port is its own, for as long as it listens.
    assert_eq!(front.router.port(20_005), PortState::Taken(volume(20_005)));
    assert_eq!(front.router.counters().routes, 0);
    drop(connect("127.0.0.1", 20_005).unwrap());
    taken.accept().unwrap();
    other.run(|| drop(connect("10.7.0.1", 20_005).unwrap()));
    taken.accept().unwrap();
    assert_eq!(front.router.counters().accepted, 0);
    drop(taken);
    front.router.set_busy(front.redirect.refresh().unwrap());
    let _client = connect("127.0.0.1", 20_005).unwrap();
    assert_eq!(inbox.recv_timeout(PATIENCE).unwrap().0, volume(20_005));
}

/// What an engine does that publishes a container's port on all addresses.
#[test]
fn a_port_that_is_published_with_rules_stays_published() {
    if !is_inside("a_port_that_is_published_with_rules_stays_published") {
        return;
    }
    let nat = |words: &[&str]| {
        let command = Command::new("iptables").args(["-t", "nat"]).args(words).status();
        command.is_ok_and(|status| status.success())
    };
    if !nat(&["-N", "ENGINE"]) {
        eprintln!("LEFT OUT: there is no iptables");
        return;
    }
    let other = Machine::connected("w0", "10.7.0.1", "10.7.0.2");
    let rules = || {
        for chain in ["PREROUTING", "OUTPUT"] {
            assert!(nat(&["-A", chain, "-m", "addrtype", "--dst-type", "LOCAL", "-j", "ENGINE"]));
        }
        assert!(nat(&[
            "-A",
            "ENGINE",
            "-p",
            "tcp",
            "--dport",
            "20010",
            "-j",
            "REDIRECT",
            "--to-ports",
            "80"
        ]));
    };
    let published = TcpListener::bind("0.0.0.0:80").unwrap();
    // Whoever comes first.
    for is_first in [false, true] {
        if is_first {
            rules();
        }
        let (front, inbox) = Front::with_inbox(ANY);
        if !is_first {
            rules();
        }
        for port in [20_010, 20_011] {
            front.router.open(port, volume(port)).unwrap();
            for client in [connect("10.7.0.1", port), other.run(|| connect("10.7.0.1", port))] {
                drop(client.unwrap());
                if port == 20_010 {
                    published.accept().unwrap();
                } else {
                    assert_eq!(inbox.recv_timeout(PATIENCE).unwrap().0, volume(port));
                }
            }
        }
        assert!(nat(&["-F"]));
    }
}

#[test]
fn one_source_port_reaches_two_identities_and_one_address_can_be_chosen() {
    if !is_inside("one_source_port_reaches_two_identities_and_one_address_can_be_chosen") {
        return;
    }
    let other = Machine::connected("w0", "10.7.0.1", "10.7.0.2");
    ip(&["addr", "add", "10.7.0.9/24", "dev", "w0"]);
    let (front, inbox) = Front::with_inbox("10.7.0.1".parse().unwrap());
    let _both = other.run(|| {
        [FIRST, FIRST + 1].map(|port| {
            front.router.open(port, volume(port)).unwrap();
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_reuse_address(true).unwrap();
            socket.bind(&"10.7.0.2:7777".parse::<SocketAddr>().unwrap().into()).unwrap();
            socket.connect(&SocketAddr::from(([10, 7, 0, 1], port)).into()).unwrap();
            socket
        })
    });
    let arrived = [0, 1].map(|_| inbox.recv_timeout(PATIENCE).unwrap());
    assert_eq!(arrived.each_ref().map(|(volume, _)| *volume), [FIRST, FIRST + 1].map(volume));
    assert!(arrived.iter().all(|(_, arrival)| arrival.client.ip().to_string() == "10.7.0.2"));
    // What is for another address of this machine is not for this router.
    assert!(other.run(|| is_refused("10.7.0.9", FIRST)));
    assert!(is_refused("127.0.0.1", FIRST));
    assert_eq!(front.router.counters().unrouted, 0);
}

#[test]
fn ip_version_six_is_redirected_as_well() {
    if !is_inside("ip_version_six_is_redirected_as_well") {
        return;
    }
    let (front, inbox) = Front::with_inbox("::".parse().unwrap());
    front.router.open(FIRST, volume(FIRST)).unwrap();
    for address in ["::1", "127.0.0.1"] {
        let _client = connect(address, FIRST).unwrap();
        assert_eq!(inbox.recv_timeout(PATIENCE).unwrap().0, volume(FIRST), "{address}");
    }
    assert!(is_refused("::1", LAST));
}

/// Also what the redirect costs: a socket, and some bytes for each route.
#[test]
fn forty_thousand_ports_have_one_socket() {
    if !is_inside("forty_thousand_ports_have_one_socket") {
        return;
    }
    let figure = |name: &str| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let front = Front::start(ANY, Budget::default(), Arc::new(Echo));
    let (memory, before) = (figure("VmRSS:"), descriptors());
    let began = Instant::now();
    for port in FIRST..=LAST {
        front.router.open(port, volume(port)).unwrap();
    }
    let took = began.elapsed();
    assert_eq!(descriptors(), before);
    let counters = front.router.counters();
    assert_eq!((counters.routes, counters.listeners), (40_000, 0));
    let grown = figure("VmRSS:") - memory;
    println!("40,000 routes: {grown} KiB more, {before} descriptors in all, opened in {took:?}");
    assert!(grown < 8 * 1024, "{grown} KiB");
    for port in (FIRST..=LAST).step_by(97) {
        let text = answer(connect("127.0.0.1", port).unwrap()).unwrap();
        assert_eq!(text, volume(port).to_string());
    }
}

/// The other half of the next test: a process that holds a redirect until it is killed.
#[test]
fn holder() {
    if std::env::var_os("WARREN_TEST_HOLDER").is_none() {
        return;
    }
    let front = Front::start(ANY, Budget::default(), Arc::new(Echo));
    front.router.open(FIRST, volume(FIRST)).unwrap();
    println!("held");
    loop {
        std::thread::park();
    }
}

#[test]
fn nothing_is_left_of_a_router_that_was_killed_and_another_can_follow() {
    if !is_inside("nothing_is_left_of_a_router_that_was_killed_and_another_can_follow") {
        return;
    }
    for _ in 0..3 {
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "holder", "--nocapture"])
            .env("WARREN_TEST_HOLDER", "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = holder.stdout.take().unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"held\n") {
            let mut byte = [0];
            out.read_exact(&mut byte).unwrap();
            said.push(byte[0]);
        }
        let text = answer(connect("127.0.0.1", FIRST).unwrap()).unwrap();
        assert_eq!(text, volume(FIRST).to_string());
        // Two cannot have the same front, whoever asks.
        let error = Redirect::establish(SocketAddr::new(ANY, FRONT), vec![FIRST..=LAST]);
        assert!(error.is_err(), "the table is the other's");
        holder.kill().unwrap();
        holder.wait().unwrap();
        // If a rule were left, the connection would not reach this listener.
        let began = Instant::now();
        let free = loop {
            match TcpListener::bind(("127.0.0.1", FIRST)) {
                Ok(free) => break free,
                Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
            }
        };
        let _client = connect("127.0.0.1", FIRST).unwrap();
        free.accept().unwrap();
    }
}

#[test]
fn at_the_orderly_end_who_is_carried_goes_on_and_nobody_new_comes() {
    if !is_inside("at_the_orderly_end_who_is_carried_goes_on_and_nobody_new_comes") {
        return;
    }
    let other = Machine::connected("w0", "10.7.0.1", "10.7.0.2");
    let (front, inbox) = Front::with_inbox(ANY);
    front.router.open(FIRST, volume(FIRST)).unwrap();
    let mut carried = other.run(|| connect("10.7.0.1", FIRST).unwrap());
    let (_, mut arrival) = inbox.recv_timeout(PATIENCE).unwrap();
    let waiting: Vec<_> =
        other.run(|| (0..50).map(|_| connect("10.7.0.1", FIRST).unwrap()).collect());
    front.redirect.release().unwrap();
    front.router.stop();
    for _ in &waiting {
        inbox.recv_timeout(PATIENCE).expect("who had connected is taken");
    }
    assert!(other.run(|| is_refused("10.7.0.1", FIRST)));
    carried.write_all(b"x").unwrap();
    arrival.stream.set_nonblocking(false).unwrap();
    arrival.stream.read_exact(&mut [0]).unwrap();
    arrival.stream.write_all(b"y").unwrap();
    carried.read_exact(&mut [0]).unwrap();
}

#[test]
fn a_flood_from_one_part_of_the_network_is_its_own_trouble() {
    if !is_inside("a_flood_from_one_part_of_the_network_is_its_own_trouble") {
        return;
    }
    let other = Machine::connected("w0", "10.7.0.1", "10.7.0.2");
    other.run(|| ip(&["addr", "add", "10.7.1.2/24", "dev", "eth0"]));
    ip(&["route", "add", "10.7.1.0/24", "dev", "w0"]);
    let budget = Budget { network_rate: 200, per_network_max: 256, ..Budget::default() };
    let front = Front::start(ANY, budget, Arc::new(Echo));
    front.router.open(FIRST, volume(FIRST)).unwrap();
    let from = |source: &str| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let source = SocketAddr::new(source.parse().unwrap(), 0);
        socket.bind(&source.into()).unwrap();
        socket.connect(&SocketAddr::from(([10, 7, 0, 1], FIRST)).into())?;
        answer(socket.into())
    };
    let (is_over, floods, turned_away) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let honest = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                other.run(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        floods.fetch_add(1, Ordering::Relaxed);
                        let is_refused = from("10.7.1.2").is_err();
                        turned_away.fetch_add(u64::from(is_refused), Ordering::Relaxed);
                    }
                });
            });
        }
        // They begin once the flood has spent what it may.
        while turned_away.load(Ordering::Relaxed) < 100 {
            std::thread::yield_now();
        }
        let honest = other.run(|| {
            let answered = |_: &u32| {
                std::thread::sleep(Duration::from_millis(6));
                from("10.7.0.2").is_ok_and(|text| text == volume(FIRST).to_string())
            };
            (0..1_000).filter(answered).count()
        });
        is_over.store(true, Ordering::Relaxed);
        honest
    });
    let (floods, turned_away) = (floods.into_inner(), turned_away.into_inner());
    println!(
        "{floods} in the flood, {turned_away} of them turned away; {honest} of 1000 honest ones answered"
    );
    assert!(honest >= 999, "{honest} of 1000");
    assert!(turned_away * 2 > floods, "{turned_away} of {floods}");
    assert!(front.router.counters().refused >= turned_away);
}
