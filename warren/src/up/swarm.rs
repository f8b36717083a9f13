//! The swarm as the registrar and the router see it, when it is one cell in this process.

use std::sync::Arc;

use net::dial::Dialer;
use protocol::control::placement::Placement;
use protocol::{HostLabel, VolumeId};
use registrar::{ActivationSecret, Probe, Swarm, SwarmError, SwarmStep};
use server_host::{Cell, CellError};
use swarm_router::{Arrival, Backend, RouteError, Router};

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
            if let Some(port) = placement.port {
                let opened = self.router.open(port.get(), placement.volume);
                opened.map_err(|error| match error {
                    RouteError::PortTaken(_) => SwarmError::PortTaken,
                    RouteError::Listen { .. } => {
                        SwarmError::Unavailable(crate::failure::chain(&error))
                    }
                })?;
            }
            self.router.names().open(HostLabel::of(&placement.identity), placement.volume);
            Ok(())
        })
    }

    fn probe<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(async move {
            let answer = self.dialer.probe(&placement.address).await;
            // Nobody else needs her yet, and ten thousand registrations must not wake ten thousand.
            self.cell.rest(placement.volume).await;
            answer
        })
    }

    fn stop<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(async move {
            self.router.names().close(HostLabel::of(&placement.identity), placement.volume);
            placement.port.into_iter().for_each(|port| self.router.close(port.get()));
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
