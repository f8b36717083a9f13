//! Where the routes come from.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use net::https::{Upstream, UpstreamError};
use protocol::control::roster::Position;
use protocol::control::routes::Routes;

use crate::limits::{NEWS_GRACE, NEWS_WAIT, ROUTES_BYTES_MAX};

/// An answer that is under way.
pub type Asked<'a> = Pin<Box<dyn Future<Output = Result<Routes, UpstreamError>> + Send + 'a>>;

/// Who says which port leads where: the registrar, or a test in its place.
pub trait RouteSource: Send + Sync + 'static {
    /// What came after `at`, or everything for whoever knows nothing. If there is nothing new, it
    /// waits up to `wait` for it, and then answers with nothing.
    fn after(&self, at: Option<Position>, wait: Duration) -> Asked<'_>;
}

/// The registrar, over HTTPS.
#[derive(Debug, Clone)]
pub struct HttpsRoutes(Upstream);

impl HttpsRoutes {
    /// Asks there, with the token of routers that `registrar` has.
    #[must_use]
    pub fn new(registrar: &Upstream) -> Self {
        let patient = registrar.with_deadline(NEWS_WAIT + NEWS_GRACE);
        Self(patient.with_answer_bytes_max(ROUTES_BYTES_MAX))
    }
}

impl RouteSource for HttpsRoutes {
    fn after(&self, at: Option<Position>, wait: Duration) -> Asked<'_> {
        // No registrar has a run 0, so whoever knows nothing gets everything.
        let Position { run, number } = at.unwrap_or(Position { run: 0, number: 0 });
        let wait = wait.as_secs();
        Box::pin(async move {
            self.0.get(&format!("/v1/routes?run={run}&after={number}&wait={wait}")).await
        })
    }
}
