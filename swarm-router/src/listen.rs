//! The thread that polls all listeners and hands connections over.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener, TcpStream};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use mio::net::TcpListener;
use mio::{Interest, Poll, Registry, Waker};
use net::telemetry::Metrics;
use protocol::VolumeId;
use tracing::warn;

use crate::budget::{Budget, ConnectionPermit, Outcome, Purse};
use crate::names::Names;
use crate::polling::{FRONT, WAKE, run};
use crate::route_table::{PortState, RouteError, RouteTable};

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
    /// Counts against the router's budget until it is dropped.
    pub permit: ConnectionPermit,
}

/// How a router listens.
#[derive(Debug, Clone)]
pub struct RouterOptions {
    /// Where the listeners of single ports are.
    pub address: IpAddr,
    /// Ports that need no listener, since their connections are brought to the
    /// [front](Router::serve_front).
    pub redirected: Vec<RangeInclusive<u16>>,
    /// What is admitted.
    pub budget: Budget,
}

/// What the router counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterCounters {
    /// Ports whose connections are taken.
    pub routes: usize,
    /// Of them those that have a listener of their own.
    pub listeners: usize,
    /// Routes whose port something else occupies.
    pub routes_waiting: usize,
    /// Connections handed over and not yet ended.
    pub connections: usize,
    /// Connections handed over since the start.
    pub accepted: u64,
    /// Connections reset because a [`Budget`] was spent.
    pub refused: u64,
    /// Connections reset because nothing leads from where they arrived.
    pub unrouted: u64,
}

pub(crate) struct Shared {
    table: Mutex<RouteTable>,
    front: Mutex<Option<TcpListener>>,
    pub(crate) registry: Registry,
    waker: Waker,
    pub(crate) stopping: AtomicBool,
    /// Whoever waits in front of the listeners is somebody else's.
    pub(crate) is_succeeded: AtomicBool,
    pub(crate) purse: Arc<Purse>,
    pub(crate) address: IpAddr,
}

impl Shared {
    pub(crate) fn table(&self) -> MutexGuard<'_, RouteTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn front(&self) -> MutexGuard<'_, Option<TcpListener>> {
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running router. Dropping it closes every listener.
pub struct Router {
    shared: Arc<Shared>,
    names: Arc<Names>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Router {
    /// Starts the polling thread; no port is listened on yet. Each will have a listener of its own.
    ///
    /// # Errors
    /// Where the system gives no poller or thread.
    pub fn start(address: IpAddr, backend: Arc<dyn Backend>) -> io::Result<Self> {
        let budget = Budget::default();
        Self::with(RouterOptions { address, redirected: Vec::new(), budget }, backend)
    }

    /// The same as one wants it.
    ///
    /// # Errors
    /// Where the system gives no poller or thread.
    pub fn with(options: RouterOptions, backend: Arc<dyn Backend>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let shared = Arc::new(Shared {
            table: Mutex::new(RouteTable::new(options.redirected)),
            front: Mutex::default(),
            registry: poll.registry().try_clone()?,
            waker: Waker::new(poll.registry(), WAKE)?,
            stopping: AtomicBool::new(false),
            is_succeeded: AtomicBool::new(false),
            purse: Purse::new(options.budget),
            address: options.address,
        });
        let seen = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("router".into())
            .stack_size(256 * 1024)
            .spawn(move || run(poll, &seen, &*backend))?;
        Ok(Self { shared, names: Arc::default(), thread: Mutex::new(Some(thread)) })
    }

    /// Takes what comes through this socket, to which the ports are redirected.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn serve_front(&self, listener: StdListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(listener);
        self.shared.registry.register(&mut listener, FRONT, Interest::READABLE)?;
        *self.shared.front() = Some(listener);
        Ok(())
    }

    /// These redirected ports are taken by other programs; no others are.
    pub fn set_busy(&self, ports: BTreeSet<u16>) {
        for port in self.shared.table().set_busy(ports) {
            warn!(port, "port is taken by another program; its route opens once it is free");
        }
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

    /// How connections to this port are taken, and for whom.
    #[must_use]
    pub fn port(&self, port: u16) -> PortState {
        self.shared.table().state(port)
    }

    /// Whose each name is; a [`NamesListener`](crate::NamesListener) leads there.
    #[must_use]
    pub fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// A place for one more connection, which is counted; none where a [`Budget`] is spent.
    pub(crate) fn admit(&self, client: IpAddr, volume: VolumeId) -> Option<ConnectionPermit> {
        self.shared.purse.admit(client, volume)
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> RouterCounters {
        use Outcome::{Full, HandedOver, IdentityFull, IdentityRate, NetworkFull, NetworkRate};
        let purse = &self.shared.purse;
        let table = self.shared.table();
        let refusals = [Full, NetworkFull, NetworkRate, IdentityFull, IdentityRate];
        RouterCounters {
            routes: table.len(),
            listeners: table.listeners(),
            routes_waiting: table.waiting(),
            connections: purse.connections(),
            accepted: purse.counted(HandedOver),
            refused: refusals.into_iter().map(|outcome| purse.counted(outcome)).sum(),
            unrouted: purse.counted(Outcome::NoRoute),
        }
    }

    /// Adds what became of connections to the metrics, in a registry that carries the role's prefix.
    pub fn register(&self, metrics: &mut Metrics) {
        self.shared.purse.register(metrics);
    }

    /// Stops accepting and closes all listeners. Who had connected before is still handed over, and
    /// connections that were live on.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        let _ = self.shared.waker.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        self.shared.table().clear();
        self.shared.front().take();
    }

    /// The same where another process has the front too: who waits there is that one's.
    pub fn stop_succeeded(&self) {
        self.shared.is_succeeded.store(true, Ordering::Release);
        self.stop();
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.stop();
    }
}
