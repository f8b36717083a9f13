//! `warren router serve --handover`: a new process takes the place of the one that runs, and nobody
//! who connects notices.

use std::future::pending;
use std::path::Path;

use net::handover::{Doors, Offers, Predecessor, Role};
use swarm_router::Follower;

use super::front::Front;
use crate::directory::succession::failed;
use crate::failure::{Exit, Failure};
use crate::output;

pub const METRICS: Role = Role::known("metrics");

/// Who is to be replaced, and who can replace this process later.
pub struct Succession<'a> {
    path: Option<&'a Path>,
    predecessor: Option<Predecessor>,
    offers: Option<Offers>,
}

impl<'a> Succession<'a> {
    /// Once everything is bound that there is to be.
    pub fn new(doors: Doors, path: Option<&'a Path>) -> Result<Self, Failure> {
        let of = |error| failed(path.unwrap_or(Path::new("--handover")), &error);
        let (predecessor, offers) = doors.complete().map_err(of)?;
        Ok(Self { path, predecessor, offers })
    }

    /// Prints whom this process replaces, and how it is replaced.
    pub fn announce(&self) -> Result<(), Failure> {
        let Some(path) = self.path.map(Path::display) else { return Ok(()) };
        let says = match &self.predecessor {
            Some(_) => "takes over from the process that runs",
            None => "a new process takes over here",
        };
        output::line(format_args!("handover    {path}   ({says})"))
    }

    /// Takes the place of the process that runs, once all routes are known here. One that replaces
    /// nobody need not wait: who connects before is held.
    pub async fn begin(&mut self, follower: &Follower) -> Result<(), Failure> {
        let (Some(path), Some(predecessor)) = (self.path, self.predecessor.take()) else {
            return Ok(());
        };
        let known = tokio::time::timeout(predecessor.patience(), follower.known()).await;
        if known.is_err() {
            let what = "the registrar has told no routes: the process that runs goes on";
            return Err(Failure::new(Exit::Unavailable, what).fix("see the log for why"));
        }
        predecessor.replace().await.map_err(|error| failed(path, &error))
    }

    /// Waits until another process serves in the place of this one.
    pub async fn succeeded(&mut self, front: Option<&Front>) {
        let Some(offers) = &mut self.offers else { return pending().await };
        loop {
            let asker = offers.asked().await;
            let process = asker.process();
            tracing::info!(process, "handing over to a new process");
            let handing_over = async {
                match asker.hand_over(offers).await {
                    Some(successor) => successor.confirm().await,
                    None => false,
                }
            };
            let is_done = match front {
                // The socket to the packet filter is the other's as well from now on.
                Some(front) => front.quiet_while(handing_over).await,
                None => handing_over.await,
            };
            if is_done {
                tracing::info!(process, "the new process serves: this one ends");
                return;
            }
            tracing::warn!(process, "the new process is gone or was not ready in time: going on");
        }
    }
}
