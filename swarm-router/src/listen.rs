//! The thread that polls all listeners and hands connections over.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use mio::{Events, Poll, Registry, Token, Waker};
use protocol::VolumeId;
use tracing::{info, warn};

use crate::limits::{ACCEPTS_PER_TURN, CONNECTIONS_MAX, OUT_OF_DESCRIPTORS_PAUSE, RETRY_INTERVAL};
use crate::names::Names;
use crate::route_table::{RouteError, RouteTable};

/// Ports end at 65,535, so this token is nobody's.
const WAKE: Token = Token(1 << 16);

/// What stands behind the routes: the swarm host of this machine.
pub trait Backend: Send + Sync + 'static {
    /// Takes a connection that arrived for a volume's server. It is called on the polling thread
    /// and must return at once: waking, holding and serving happen elsewhere.
    fn deliver(&self, volume: VolumeId, arrival: Arrival);
}

/// A connection on its way to a server.
#[derive(Debug)]
pub struct Arrival {
    /// The socket, non-blocking, with nothing read from it.
    pub stream: TcpStream,
    /// Who connected.
    pub client: SocketAddr,
    /// Counts against the router's limit until it is dropped.
    pub permit: ConnectionPermit,
}

/// A place among [`CONNECTIONS_MAX`].
#[derive(Debug)]
pub struct ConnectionPermit(Arc<AtomicUsize>);

impl ConnectionPermit {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        if open.fetch_add(1, Ordering::Relaxed) < CONNECTIONS_MAX {
            return Some(Self(Arc::clone(open)));
        }
        open.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the router counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterCounters {
    /// Ports that are listened on.
    pub routes: usize,
    /// Routes whose port something else occupies.
    pub routes_waiting: usize,
    /// Connections handed over and not yet ended.
    pub connections: usize,
    /// Connections handed over since the start.
    pub accepted: u64,
    /// Connections closed because of [`CONNECTIONS_MAX`].
    pub refused: u64,
}

struct Shared {
    table: Mutex<RouteTable>,
    registry: Registry,
    waker: Waker,
    stopping: AtomicBool,
    open: Arc<AtomicUsize>,
    accepted: AtomicU64,
    refused: AtomicU64,
    address: IpAddr,
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, RouteTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running router. Dropping it closes every listener.
pub struct Router {
    shared: Arc<Shared>,
    names: Arc<Names>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Router {
    /// Starts the polling thread; no port is listened on yet.
    ///
    /// # Errors
    /// Where the system gives no poller or thread.
    pub fn start(address: IpAddr, backend: Arc<dyn Backend>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let shared = Arc::new(Shared {
            table: Mutex::default(),
            registry: poll.registry().try_clone()?,
            waker: Waker::new(poll.registry(), WAKE)?,
            stopping: AtomicBool::new(false),
            open: Arc::default(),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            address,
        });
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("router".into())
            .stack_size(256 * 1024)
            .spawn(move || run(poll, &seen, &*backend))?;
        Ok(Self { shared, names: Arc::default(), thread: Mutex::new(Some(thread)) })
    }

    /// Opens a route; opening the same one again is no error.
    ///
    /// # Errors
    /// [`RouteError::PortTaken`] where something else listens there.
    pub fn open(&self, port: u16, volume: VolumeId) -> Result<(), RouteError> {
        self.shared.table().open(&self.shared.registry, self.shared.address, port, volume)
    }

    /// Opens a route that must exist, such as one from before a restart: a port that is taken is
    /// tried again every second until it is free.
    ///
    /// # Errors
    /// Where the system refuses the listener for another reason.
    pub fn open_eventually(&self, port: u16, volume: VolumeId) -> Result<(), RouteError> {
        let mut table = self.shared.table();
        match table.open(&self.shared.registry, self.shared.address, port, volume) {
            Err(RouteError::PortTaken(_)) => {
                warn!(port, "port is taken by another program; its route opens once it is free");
                table.wait_for(port, volume);
                Ok(())
            }
            other => other,
        }
    }

    /// Closes a route. Connections that were handed over live on.
    pub fn close(&self, port: u16) {
        self.shared.table().close(&self.shared.registry, port);
    }

    /// Whose each name is; a [`NamesListener`](crate::NamesListener) leads there.
    #[must_use]
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// A place for one more connection, which is counted; none where the router is full.
    pub(crate) fn admit(&self) -> Option<ConnectionPermit> {
        let permit = ConnectionPermit::take(&self.shared.open);
        let count = if permit.is_some() { &self.shared.accepted } else { &self.shared.refused };
        count.fetch_add(1, Ordering::Relaxed);
        permit
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> RouterCounters {
        let (routes, routes_waiting) = {
            let table = self.shared.table();
            (table.len(), table.waiting())
        };
        RouterCounters {
            routes,
            routes_waiting,
            connections: self.shared.open.load(Ordering::Relaxed),
            accepted: self.shared.accepted.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
        }
    }

    /// Stops accepting and closes all listeners. Connections that were handed over live on.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        let _ = self.shared.waker.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        self.shared.table().clear();
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(mut poll: Poll, shared: &Shared, backend: &dyn Backend) {
    let mut events = Events::with_capacity(1024);
    // mio reports an arrival once; what a turn leaves behind is remembered here.
    let mut unfinished: VecDeque<u16> = VecDeque::new();
    while !shared.stopping.load(Ordering::Acquire) {
        let timeout =
            if unfinished.is_empty() { RETRY_INTERVAL } else { std::time::Duration::ZERO };
        match poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                warn!(%error, "polling the listeners failed");
                std::thread::sleep(OUT_OF_DESCRIPTORS_PAUSE);
            }
            _ => {}
        }
        let fresh = events.iter().filter_map(|event| u16::try_from(event.token().0).ok());
        unfinished.extend(fresh);
        for _ in 0..unfinished.len() {
            let Some(port) = unfinished.pop_front() else { break };
            if accept_turn(shared, port, backend) == Turn::More {
                unfinished.push_back(port);
            }
        }
        if shared.table().waiting() > 0 {
            for port in shared.table().retry(&shared.registry, shared.address) {
                info!(port, "port is free again; its route is open");
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Turn {
    Drained,
    More,
}

fn accept_turn(shared: &Shared, port: u16, backend: &dyn Backend) -> Turn {
    for _ in 0..ACCEPTS_PER_TURN {
        let accepted = match shared.table().get(port) {
            None => return Turn::Drained,
            Some(route) => {
                route.listener.accept().map(|(stream, client)| (route.volume, stream, client))
            }
        };
        match accepted {
            Ok((volume, stream, client)) => hand_over(shared, volume, stream, client, backend),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Drained,
            // The client was gone before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!(%error, port, "accepting failed; trying again shortly");
                std::thread::sleep(OUT_OF_DESCRIPTORS_PAUSE);
                return Turn::More;
            }
        }
    }
    Turn::More
}

fn hand_over(
    shared: &Shared,
    volume: VolumeId,
    stream: mio::net::TcpStream,
    client: SocketAddr,
    backend: &dyn Backend,
) {
    let Some(permit) = ConnectionPermit::take(&shared.open) else {
        shared.refused.fetch_add(1, Ordering::Relaxed);
        return;
    };
    shared.accepted.fetch_add(1, Ordering::Relaxed);
    let stream = TcpStream::from(stream);
    backend.deliver(volume, Arrival { stream, client, permit });
}
