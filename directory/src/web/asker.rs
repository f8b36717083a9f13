//! What unknown names cost those who ask over HTTPS: the same as over the line protocol, from the
//! same accounts.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use net::drain::Drain;
use net::https::Peer;
use tokio::time::{Instant, sleep};

use super::Served;
use crate::directory::Directory;
use crate::limits::HTTPS_MISSES_WAIT_MAX;
use crate::misses::Accounts;

/// Whoever sent a request.
pub(super) struct Asker {
    accounts: Option<Accounts>,
    directory: Arc<Directory>,
    drain: Drain,
}

impl Asker {
    /// Waits for so many unknown names as long as they would take one after another, up to a limit.
    /// Known names never wait, unless they were asked for together with unknown ones.
    pub(super) async fn missed(&self, count: usize) {
        let Some(accounts) = &self.accounts else { return };
        let now = Instant::now();
        let delay: Duration = (0..count).map(|_| accounts.charge(now)).sum();
        if delay.is_zero() {
            return;
        }
        self.directory.counts.delayed();
        tokio::select! {
            () = sleep(delay.min(HTTPS_MISSES_WAIT_MAX)) => {}
            () = self.drain.draining() => {}
        }
    }
}

impl FromRequestParts<Served> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, served: &Served) -> Result<Self, Infallible> {
        let directory = Arc::<Directory>::from_ref(served);
        let peer = parts.extensions.get::<Peer>();
        let accounts =
            peer.and_then(|Peer(peer)| directory.misses.accounts(peer.ip(), Instant::now()));
        Ok(Self { accounts, directory, drain: served.drain.clone() })
    }
}
