//! What the tests run on.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use net::clock::{Clock, SystemClock};
use net::drain::Drain;
use net::https::UpstreamError;
use net::preface::{self, LinkKey, Preface};
use protocol::control::names::CellId;
use protocol::control::roster::Position;
use protocol::control::routes::{CellPlace, Route, Routes, Target};
use protocol::{Term, VolumeId};
use swarm_router::{Asked, Follower, FollowerStatus, Forwarder, RouteSource, Router};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn key() -> LinkKey {
    LinkKey::parse("the routers and cells of a swarm know it").unwrap()
}

pub fn volume(byte: u8) -> VolumeId {
    VolumeId::from_bytes([byte; 16])
}

pub fn cell(number: u16) -> CellId {
    CellId::from_number(number).unwrap()
}

pub fn place(number: u16, term: u32, address: Option<SocketAddr>) -> CellPlace {
    CellPlace { cell: cell(number), term: Term::from_number(term).unwrap(), address }
}

pub fn route(port: u16, to: Option<(u8, u16)>) -> Route {
    let target = |(byte, number)| Target { volume: volume(byte), cell: cell(number) };
    Route { label: None, port: NonZeroU16::new(port), to: to.map(target) }
}

pub fn whole(run: u64, number: u64, routes: Vec<Route>, cells: Vec<CellPlace>) -> Routes {
    Routes { upto: Position { run, number }, is_whole: true, routes, cells }
}

pub fn part(run: u64, number: u64, routes: Vec<Route>, cells: Vec<CellPlace>) -> Routes {
    Routes { is_whole: false, ..whole(run, number, routes, cells) }
}

/// A port that nothing listens on. Each is given out once, so tests in one process stay apart.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    loop {
        let listener = std::net::TcpListener::bind((LOOPBACK, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut given = GIVEN.lock().unwrap();
        if !given.contains(&port) {
            given.push(port);
            return port;
        }
    }
}

/// A registrar that says what the test has it say, and then nothing.
#[derive(Default)]
pub struct Registrar {
    answers: Mutex<VecDeque<Result<Routes, UpstreamError>>>,
    asked: Mutex<Vec<Option<Position>>>,
    more: Notify,
}

impl Registrar {
    pub fn say(&self, answer: Result<Routes, UpstreamError>) {
        self.answers.lock().unwrap().push_back(answer);
        self.more.notify_one();
    }

    pub fn asked(&self) -> Vec<Option<Position>> {
        self.asked.lock().unwrap().clone()
    }
}

impl RouteSource for Registrar {
    fn after(&self, at: Option<Position>, _wait: Duration) -> Asked<'_> {
        self.asked.lock().unwrap().push(at);
        Box::pin(async move {
            loop {
                if let Some(answer) = self.answers.lock().unwrap().pop_front() {
                    return answer;
                }
                self.more.notified().await;
            }
        })
    }
}

/// A router that follows a registrar.
pub struct World {
    pub registrar: Arc<Registrar>,
    pub router: Arc<Router>,
    pub forwarder: Forwarder,
    pub follower: Follower,
    pub drain: Drain,
}

impl World {
    pub fn start() -> Self {
        let (registrar, drain) = (Arc::new(Registrar::default()), Drain::new());
        let forwarder = Forwarder::new(key(), Arc::new(SystemClock), drain.clone());
        let router = Arc::new(Router::start(LOOPBACK, Arc::new(forwarder.clone())).unwrap());
        let follower = Follower::new(Arc::clone(&router), &forwarder);
        let source: Arc<dyn RouteSource> = Arc::clone(&registrar) as _;
        drain.spawn(follower.clone().follow(source, drain.clone()));
        Self { registrar, router, forwarder, follower, drain }
    }

    /// Waits until the follower stands as wanted.
    pub async fn until(&self, wanted: impl Fn(FollowerStatus) -> bool) {
        until(|| wanted(self.follower.status())).await;
    }

    /// Tells it, and waits until it knows.
    pub async fn tell(&self, news: Routes) {
        let upto = news.upto;
        self.registrar.say(Ok(news));
        // What it knows it has applied a moment later.
        let asks_on = || self.registrar.asked().last() == Some(&Some(upto));
        until(asks_on).await;
    }
}

/// Looks until it is so. Some of what is waited for happens on another thread, in real time, and
/// some on a clock that a test may have paused: both go on.
pub async fn until(is_so: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it did not come to pass");
        std::thread::sleep(Duration::from_millis(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A cell's door.
pub struct Cell(pub TcpListener);

impl Cell {
    pub fn open() -> Self {
        // With as much room to wait in as a cell has.
        Self(net::socket::listen((LOOPBACK, 0).into()).unwrap())
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    /// The next connection, and how it was introduced.
    pub async fn next(&self) -> (TcpStream, Preface) {
        let (mut stream, _) = self.0.accept().await.unwrap();
        let preface = preface::read(&mut stream, &key(), SystemClock.now()).await.unwrap();
        (stream, preface)
    }
}

/// Memory that this process holds.
pub fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<usize>().unwrap() * 1024
}
