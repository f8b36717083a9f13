//! The swarm as the registrar and the router see it, when it is one cell in this process.

use std::sync::Arc;
use std::time::Duration;

use net::dial::Dialer;
use net::line_conn::LineConn;
use protocol::VolumeId;
use protocol::control::placement::Placement;
use registrar::{ActivationSecret, Swarm, SwarmError, SwarmStep};
use server_host::{Cell, CellError};
use swarm_router::{Arrival, Backend, RouteError, Router};

/// From dialling a new server to its prompt.
const PROBE_DEADLINE: Duration = Duration::from_secs(10);

/// Hands the router's connections to the cell.
pub struct CellBackend(pub Cell);

impl Backend for CellBackend {
    fn deliver(&self, volume: VolumeId, arrival: Arrival) {
        self.0.deliver(volume, arrival.stream, arrival.client, arrival.permit);
    }
}

/// One cell behind one router.
pub struct OneCell {
    pub cell: Cell,
    pub router: Arc<Router>,
    pub dialer: Dialer,
}

impl Swarm for OneCell {
    fn create<'a>(
        &'a self,
        placement: &'a Placement,
        secret: &'a ActivationSecret,
    ) -> SwarmStep<'a> {
        Box::pin(async move {
            let created = self.cell.create(placement.clone(), secret.expose().to_owned());
            created.await.map_err(|error| unavailable(&error))
        })
    }

    fn start<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(async move {
            self.cell.adopt(placement).map_err(|error| unavailable(&error))?;
            let port = placement.address.port.get();
            self.router.open(port, placement.volume).map_err(|error| match error {
                RouteError::PortTaken(_) => SwarmError::PortTaken,
                RouteError::Listen { .. } => SwarmError::Unavailable(crate::failure::chain(&error)),
            })
        })
    }

    /// Through the public address, as every client will: name, route, certificate and server.
    fn probe<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(async move {
            let stream = self
                .dialer
                .dial(&placement.address)
                .await
                .map_err(|error| SwarmError::NotReachable(crate::failure::chain(&error)))?;
            let mut conn = LineConn::new(stream, 1024);
            // `info:brief` answers only from a server that is awake and has its store open; the
            // prompt stands before the answer, on the same line.
            let exchange = async {
                conn.write_record(b"info:brief\n").await.ok()?;
                conn.read_line(Some(PROBE_DEADLINE)).await.ok()
            };
            let answer = tokio::time::timeout(PROBE_DEADLINE, exchange).await.ok().flatten();
            drop(conn);
            // Nobody else needs her yet, and ten thousand registrations must not wake ten thousand.
            self.cell.rest(placement.volume).await;
            match answer {
                Some(line) if line.starts_with(b"@data:") => Ok(()),
                _ => Err(SwarmError::NotReachable("the server does not answer".into())),
            }
        })
    }

    fn stop<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(async move {
            self.router.close(placement.address.port.get());
            Ok(())
        })
    }

    fn remove<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(
            async move { self.cell.remove(placement).await.map_err(|error| unavailable(&error)) },
        )
    }
}

fn unavailable(error: &CellError) -> SwarmError {
    SwarmError::Unavailable(crate::failure::chain(error))
}
