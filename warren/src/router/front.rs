//! The one socket of many ports, and the rule that brings their connections to it.

use std::fmt;
use std::future::{Future, pending};
use std::net::{SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::os::fd::AsFd;
use std::sync::Arc;

use net::handover::{Doors, Role};
use swarm_router::limits::RETRY_INTERVAL;
use swarm_router::{Redirect, RedirectError, Router};
use tokio::sync::Mutex;
use tokio::time::{MissedTickBehavior, interval};

use super::args::{RedirectWhen, RouterArgs};
use crate::failure::{Exit, Failure, chain};

const FRONT: Role = Role::known("front");
const FILTER: Role = Role::known("packet-filter");

/// Both, if there are to be any and the system allows it.
pub struct Front {
    listener: Option<TcpListener>,
    redirect: Arc<Redirect>,
    pub ports: Vec<RangeInclusive<u16>>,
    address: SocketAddr,
    text: String,
    is_adopted: bool,
    /// Held while nothing may be said over the socket to the packet filter.
    quiet: Mutex<()>,
}

impl Front {
    /// Opens them, or takes them over from the process that runs. None where each port is to have a
    /// listener.
    pub fn open(args: &RouterArgs, doors: &mut Doors) -> Result<Option<Self>, Failure> {
        let given = doors.given(&FILTER);
        let Some((address, ports)) = args.front() else {
            return if given.is_some() { Err(differs()) } else { Ok(None) };
        };
        let ranges = || ports.ranges().map(|(first, last)| first.get()..=last.get()).collect();
        if given.is_some() && !doors.gives(&FRONT, address) {
            return Err(differs());
        }
        let listener = doors.listen(&FRONT, address).map_err(|error| {
            Failure::new(Exit::Conflict, format!("cannot listen on {address}: {error}"))
                .fix("pass --front-port with a port that is free")
        })?;
        let failed = |error: std::io::Error| Failure::from_error(Exit::Failed, &error);
        let address = listener.local_addr().map_err(failed)?;
        let is_adopted = given.is_some();
        let redirect = match given {
            Some(socket) => Redirect::adopt(socket, address, ranges()),
            None => Redirect::establish(address, ranges()),
        };
        let redirect = match redirect {
            Ok(redirect) => redirect,
            Err(error) => return fall_back(args, &error).map(|()| None),
        };
        doors.remember(&FILTER, &redirect.as_fd()).map_err(failed)?;
        Ok(Some(Self {
            listener: Some(listener.into_std().map_err(failed)?),
            redirect: Arc::new(redirect),
            ports: ranges(),
            address,
            text: ports.to_string(),
            is_adopted,
            quiet: Mutex::default(),
        }))
    }

    /// From now on connections are taken, under the rules of this process.
    pub async fn serve(&mut self, router: &Router) -> Result<(), Failure> {
        if let Some(listener) = self.listener.take() {
            router.serve_front(listener).map_err(|e| Failure::from_error(Exit::Failed, &e))?;
        }
        if self.is_adopted
            && let Err(error) = self.blocking(Redirect::renew).await
        {
            tracing::warn!(error = chain(&error), "the rules stay those of the process before");
        }
        Ok(())
    }

    /// Looks again and again which ports belong to other programs. It never ends.
    pub async fn watch(&self, router: &Router) {
        let mut turns = interval(RETRY_INTERVAL);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = 0_u32;
        loop {
            turns.tick().await;
            let _quiet = self.quiet.lock().await;
            match self.blocking(Redirect::refresh).await {
                Ok(busy) => {
                    router.set_busy(busy);
                    failures = 0;
                }
                Err(error) => {
                    if failures == 0 {
                        let error = chain(&error);
                        tracing::warn!(error, "cannot see which ports belong to other programs");
                    }
                    failures = failures.saturating_add(1);
                }
            }
        }
    }

    /// Says nothing to the packet filter while this goes on.
    pub async fn quiet_while<T>(&self, work: impl Future<Output = T>) -> T {
        let _quiet = self.quiet.lock().await;
        work.await
    }

    /// Redirects nothing new; what was redirected goes on while this is kept.
    pub async fn release(&self) {
        if let Err(error) = self.blocking(Redirect::release).await {
            tracing::warn!(error = chain(&error), "new connections are redirected to the end");
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: fn(&Redirect) -> Result<T, RedirectError>,
    ) -> Result<T, RedirectError> {
        let redirect = Arc::clone(&self.redirect);
        let done = tokio::task::spawn_blocking(move || work(&redirect)).await;
        done.unwrap_or_else(|error| Err(RedirectError::Failed(std::io::Error::other(error))))
    }
}

impl fmt::Display for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for all ports of {}", self.address, self.text)
    }
}

/// Watches, if there is something to watch.
pub async fn watch(front: Option<&Front>, router: &Router) {
    match front {
        Some(front) => front.watch(router).await,
        None => pending().await,
    }
}

fn fall_back(args: &RouterArgs, error: &RedirectError) -> Result<(), Failure> {
    if args.redirect.redirect == RedirectWhen::Auto && args.redirect.handover.is_none() {
        tracing::warn!(
            error = chain(error),
            "there is no redirect: every port gets a listener of its own"
        );
        return Ok(());
    }
    Err(Failure::from_error(Exit::Refused, error)
        .fix("give it CAP_NET_ADMIN, or pass --redirect never and no --handover"))
}

fn differs() -> Failure {
    Failure::new(Exit::Usage, "the process that runs redirects ports in another way")
        .fix("start this one with the same --ports, --listen and --front-port")
}
