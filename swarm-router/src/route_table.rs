//! Which port leads to which volume.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use mio::net::TcpListener;
use mio::{Interest, Registry, Token};
use protocol::VolumeId;
use socket2::{Domain, Protocol, Socket, Type};

use crate::limits::BACKLOG;

/// Why a route could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// Another program, or another route, has the port.
    #[error("port {0} is taken")]
    PortTaken(u16),
    /// The operating system refused the listener.
    #[error("cannot listen on port {port}")]
    Listen {
        /// Which port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
}

/// A listening socket and where it leads.
pub(crate) struct Route {
    pub(crate) listener: TcpListener,
    pub(crate) volume: VolumeId,
}

/// How connections to a port are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortState {
    /// Not at all.
    Closed,
    /// By a listener of its own.
    Listener(VolumeId),
    /// By the socket of a whole range.
    Redirected(VolumeId),
    /// Another program has the port; the route opens once it is free.
    Taken(VolumeId),
}

/// All routes of one router, by port.
#[derive(Default)]
pub(crate) struct RouteTable {
    ranges: Vec<RangeInclusive<u16>>,
    routes: HashMap<u16, Route>,
    /// Routes that should be there and whose port is still taken.
    waiting: HashMap<u16, VolumeId>,
    redirected: HashMap<u16, VolumeId>,
    /// Ports of the ranges that other programs listen on.
    busy: BTreeSet<u16>,
}

impl RouteTable {
    /// No route yet; ports of these ranges need no listener.
    pub(crate) fn new(ranges: Vec<RangeInclusive<u16>>) -> Self {
        Self { ranges, ..Self::default() }
    }

    pub(crate) fn get(&self, port: u16) -> Option<&Route> {
        self.routes.get(&port)
    }

    /// Where a redirected connection to this port leads.
    pub(crate) fn redirected(&self, port: u16) -> Option<VolumeId> {
        self.redirected.get(&port).copied()
    }

    pub(crate) fn state(&self, port: u16) -> PortState {
        if let Some(route) = self.routes.get(&port) {
            return PortState::Listener(route.volume);
        }
        match (self.redirected.get(&port), self.waiting.get(&port)) {
            (Some(volume), _) if self.busy.contains(&port) => PortState::Taken(*volume),
            (Some(volume), _) => PortState::Redirected(*volume),
            (None, Some(volume)) => PortState::Taken(*volume),
            (None, None) => PortState::Closed,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.routes.len() + self.redirected.len() - self.taken().count()
    }

    pub(crate) fn listeners(&self) -> usize {
        self.routes.len()
    }

    pub(crate) fn listened(&self) -> Vec<u16> {
        self.routes.keys().copied().collect()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len() + self.taken().count()
    }

    /// Whether a port without a listener of its own waits for it.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn taken(&self) -> impl Iterator<Item = u16> {
        self.busy.iter().copied().filter(|port| self.redirected.contains_key(port))
    }

    /// Returns the routes that are newly affected.
    pub(crate) fn set_busy(&mut self, ports: BTreeSet<u16>) -> Vec<u16> {
        let old = std::mem::replace(&mut self.busy, ports);
        self.taken().filter(|port| !old.contains(port)).collect()
    }

    /// Opening the same route twice is one route.
    pub(crate) fn open(
        &mut self,
        registry: &Registry,
        address: IpAddr,
        port: u16,
        volume: VolumeId,
    ) -> Result<(), RouteError> {
        if self.ranges.iter().any(|range| range.contains(&port)) {
            return match *self.redirected.entry(port).or_insert(volume) {
                known if known == volume => Ok(()),
                _ => Err(RouteError::PortTaken(port)),
            };
        }
        if let Some(route) = self.routes.get(&port) {
            return if route.volume == volume { Ok(()) } else { Err(RouteError::PortTaken(port)) };
        }
        let mut listener =
            listen(SocketAddr::new(address, port)).map_err(|source| match source.kind() {
                io::ErrorKind::AddrInUse => RouteError::PortTaken(port),
                _ => RouteError::Listen { port, source },
            })?;
        registry
            .register(&mut listener, Token(usize::from(port)), Interest::READABLE)
            .map_err(|source| RouteError::Listen { port, source })?;
        self.waiting.remove(&port);
        self.routes.insert(port, Route { listener, volume });
        Ok(())
    }

    pub(crate) fn wait_for(&mut self, port: u16, volume: VolumeId) {
        self.waiting.insert(port, volume);
    }

    /// Tries the ports again that were taken; returns those that are open now.
    pub(crate) fn retry(&mut self, registry: &Registry, address: IpAddr) -> Vec<u16> {
        let waiting: Vec<_> = self.waiting.iter().map(|(port, volume)| (*port, *volume)).collect();
        let opened = |(port, volume): (u16, VolumeId)| {
            self.open(registry, address, port, volume).is_ok().then_some(port)
        };
        waiting.into_iter().filter_map(opened).collect()
    }

    pub(crate) fn close(&mut self, registry: &Registry, port: u16) {
        self.waiting.remove(&port);
        self.redirected.remove(&port);
        if let Some(mut route) = self.routes.remove(&port) {
            // Dropping the socket ends its registration too; a failure here changes nothing.
            let _ = registry.deregister(&mut route.listener);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.routes.clear();
        self.waiting.clear();
        self.redirected.clear();
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier run that linger in TIME_WAIT must not keep the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(TcpListener::from_std(socket.into()))
}
