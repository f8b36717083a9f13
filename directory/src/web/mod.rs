//! The HTTPS front: the same answers as the line protocol's, for browsers and programs that speak
//! HTTP. Everything here is a thin cover over [`Directory`]; nothing is stored, and nobody is known.

mod asker;
mod batch;
mod cors;
mod counts;
mod identity;
mod name;
mod openapi;
mod problem;
mod proof;
mod relay;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};
use net::drain::Drain;
use net::gate::Gate;
use net::https::serve_http;
use net::telemetry::Metrics;
use net::tls::ServerTls;
use tokio::net::TcpListener;

use self::counts::Requests;
use self::problem::Problem;
pub use self::relay::{RelayToken, RelayTokenError};
use crate::directory::Directory;
use crate::horizon::Horizon;
use crate::limits::{HTTPS_ACCEPT, HTTPS_RETRY_AFTER};
use crate::parent::{Parent, ParentError};

/// What there is. The document of the API has the same paths, and so have the metrics.
mod path {
    pub(super) const IDENTITY: &str = "/v1/identities/{name}";
    pub(super) const LOOKUP: &str = "/v1/lookup";
    pub(super) const STATUS: &str = "/v1/status";
    pub(super) const OPENAPI: &str = "/v1/openapi.json";
    pub(super) const HEALTH: &str = "/healthz";
    pub(super) const READY: &str = "/readyz";

    pub(super) const PROOF: &str = "/v1/identities/{name}/proof";
    pub(super) const FEED: &str = "/v1/feed";
    pub(super) const SNAPSHOT: &str = "/v1/feed/snapshot";
    pub(super) const CHECKPOINT: &str = "/v1/feed/checkpoint";

    /// For everybody.
    pub(super) const ALL: [&str; 7] = [IDENTITY, PROOF, LOOKUP, STATUS, OPENAPI, HEALTH, READY];
    /// For directories that follow this one.
    pub(super) const RELAY: [&str; 3] = [FEED, SNAPSHOT, CHECKPOINT];
}

/// The front's door and its figures.
#[derive(Debug)]
pub(crate) struct Front {
    gate: Gate,
    requests: Requests,
}

impl Default for Front {
    fn default() -> Self {
        Self { gate: Gate::new(HTTPS_ACCEPT), requests: Requests::default() }
    }
}

impl Front {
    /// Adds its figures to the directory's.
    pub(crate) fn register(&self, metrics: &mut Metrics) {
        let metrics = metrics.sub_registry_with_prefix("https");
        self.gate.register(metrics);
        self.requests.register(metrics);
    }
}

/// What requests are answered from.
#[derive(Debug, Clone)]
struct Served {
    horizon: Horizon,
    drain: Drain,
}

impl FromRef<Served> for Arc<Directory> {
    fn from_ref(served: &Served) -> Self {
        Self::clone(&served.horizon.directory)
    }
}

impl FromRef<Served> for Horizon {
    fn from_ref(served: &Served) -> Self {
        served.horizon.clone()
    }
}

impl Directory {
    /// Answers HTTPS on this listener until the drain begins; requests that are being answered then
    /// are answered.
    /// With a token, directories that know it may follow this one.
    pub async fn serve_https(
        self: Arc<Self>,
        listener: TcpListener,
        tls: ServerTls,
        relay: Option<RelayToken>,
        drain: Drain,
    ) {
        self.serve_https_below(None, listener, tls, relay, drain).await;
    }

    /// The same, with a parent to ask for names that are not here.
    pub async fn serve_https_below(
        self: Arc<Self>,
        parent: Option<Arc<Parent>>,
        listener: TcpListener,
        tls: ServerTls,
        relay: Option<RelayToken>,
        drain: Drain,
    ) {
        let gate = self.front.gate.clone();
        let service = self.http(parent, relay, drain.clone());
        serve_http(listener, Some(tls), service, gate, drain).await;
    }

    /// The front as a service, without a socket.
    fn http(
        self: &Arc<Self>,
        parent: Option<Arc<Parent>>,
        relay: Option<RelayToken>,
        drain: Drain,
    ) -> Router {
        let horizon = Horizon { directory: Arc::clone(self), parent };
        let relay = relay.map(|token| relay::routes(self, token)).unwrap_or_default();
        Router::new()
            .route(path::PROOF, get(proof::show).options(cors::preflight))
            .route(path::IDENTITY, get(identity::show).options(cors::preflight))
            .route(path::LOOKUP, post(batch::lookup).options(cors::preflight))
            .route(path::STATUS, get(status::show).options(cors::preflight))
            .route(path::OPENAPI, get(openapi::show).options(cors::preflight))
            .route(path::HEALTH, get(status::turns).options(cors::preflight))
            .route(path::READY, get(status::is_ready).options(cors::preflight))
            .merge(relay)
            .fallback(problem::no_such_path)
            .method_not_allowed_fallback(problem::no_such_method)
            .layer(map_response(cors::open_to_all))
            .layer(from_fn_with_state(Arc::clone(self), counts::count))
            .with_state(Served { horizon, drain })
    }

    /// Nobody is unknown to a directory that cannot answer.
    async fn must_answer(&self) -> Result<(), Problem> {
        match self.can_answer().await {
            true => Ok(()),
            false => Err(not_ready()),
        }
    }
}

/// The parent's silence makes nobody unknown.
fn parent_unanswered(error: &ParentError) -> Problem {
    Problem::parent_unanswered(error).after(HTTPS_RETRY_AFTER)
}

fn not_ready() -> Problem {
    Problem::not_ready(
        "nothing has come from the registrar yet, and there was no file to start from",
    )
    .after(HTTPS_RETRY_AFTER)
}
