//! The steps of a registration, where servers run in cells on other machines.

use protocol::control::placement::Placement;
use protocol::control::roster::{Order, Outcome};
use protocol::control::routes::Target;
use tokio::time::{Instant, sleep};

use super::Fleet;
use crate::limits::{PROBE_PATIENCE, PROBE_PAUSE};
use crate::secret::ActivationSecret;
use crate::swarm::{Swarm, SwarmError, SwarmStep};

impl Swarm for Fleet {
    fn create<'a>(
        &'a self,
        placement: &'a Placement,
        secret: &'a ActivationSecret,
    ) -> SwarmStep<'a> {
        let (placement, secret) = (placement.clone(), secret.expose().to_owned());
        Box::pin(self.carry_out(Order::Create { placement, secret }))
    }

    /// The routers hear of it in a moment; the probe waits for them.
    fn start<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(async move {
            let mut state = self.state();
            let cell = state.home(placement.volume)?;
            let target = Target { volume: placement.volume, cell };
            state.open_route(placement, target);
            Ok(())
        })
    }

    fn probe<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(async move {
            let end = Instant::now() + PROBE_PATIENCE;
            loop {
                match self.probe.probe(&placement.address).await {
                    Err(error) if !error.may_pass() || Instant::now() >= end => return Err(error),
                    Err(_) => sleep(PROBE_PAUSE).await,
                    Ok(()) => return Ok(()),
                }
            }
        })
    }

    fn stop<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(async move {
            self.state().close_route(placement);
            Ok(())
        })
    }

    fn remove<'a>(&'a self, placement: &'a Placement) -> SwarmStep<'a> {
        Box::pin(self.carry_out(Order::Remove { placement: placement.clone() }))
    }
}

impl Fleet {
    /// Gives an order and waits until the cell says what became of it.
    async fn carry_out(&self, order: Order) -> Result<(), SwarmError> {
        let outcome = self.state().order(order)?;
        match outcome.await {
            Ok(Outcome::Created | Outcome::Removed) => Ok(()),
            Ok(Outcome::Failed { reason }) => Err(SwarmError::Unavailable(reason)),
            Err(_) => Err(SwarmError::Unavailable("it was asked for something else".to_owned())),
        }
    }
}
