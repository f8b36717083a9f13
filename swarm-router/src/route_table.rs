//! Which port leads to which volume.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

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

/// All routes of one router, by port.
#[derive(Default)]
pub(crate) struct RouteTable {
    routes: HashMap<u16, Route>,
    /// Routes that should be there and whose port is still taken.
    waiting: HashMap<u16, VolumeId>,
}

impl RouteTable {
    pub(crate) fn get(&self, port: u16) -> Option<&Route> {
        self.routes.get(&port)
    }

    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Opening the same route twice is one route.
    pub(crate) fn open(
        &mut self,
        registry: &Registry,
        address: IpAddr,
        port: u16,
        volume: VolumeId,
    ) -> Result<(), RouteError> {
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
        if let Some(mut route) = self.routes.remove(&port) {
            // Dropping the socket ends its registration too; a failure here changes nothing.
            let _ = registry.deregister(&mut route.listener);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.routes.clear();
        self.waiting.clear();
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
