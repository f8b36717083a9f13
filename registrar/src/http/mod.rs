//! The registrar over HTTP: the JSON API for operators and the directory, and the web page for
//! people. Everything here is a thin cover over [`Registrar`].

mod feed;
mod fleet;
mod health;
mod identities;
mod problem;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use protocol::Address;

use crate::limits::BODY_BYTES_MAX;
use crate::registrar::Registrar;
use crate::web::RateLimit;

pub(crate) use problem::Problem;
pub use token::{AdminToken, AdminTokenError, FleetTokens};

/// Who may register an identity on the web page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebRegistration {
    /// Anybody, within limits for each client address and for all together.
    Open,
    /// Whoever knows the admin token.
    TokenRequired,
}

/// What the API and the page need to know.
#[derive(Debug)]
pub struct FrontConfig {
    /// Opens the API, and the form where it asks for it.
    pub admin: AdminToken,
    /// Opens the feed and nothing else: for directories on other machines.
    pub feed: Option<AdminToken>,
    /// Who may use the form.
    pub registration: WebRegistration,
    /// Where clients find the directory; the page shows it.
    pub directory: Address,
    /// Certificate of the CA that signed the servers' certificates, if clients do not know it
    /// already; the page offers it as `/ca.pem`.
    pub ca_pem: Option<String>,
}

/// What all handlers share.
#[derive(Clone)]
pub(crate) struct Front(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) registrar: Arc<Registrar>,
    pub(crate) config: FrontConfig,
    pub(crate) rate: RateLimit,
    /// Of those who run the servers on other machines.
    pub(crate) tokens: Option<FleetTokens>,
}

impl std::ops::Deref for Front {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Registrar {
    /// The API and the page as one service. The client's address is read from [`net::https::Peer`].
    pub fn http(self: &Arc<Self>, config: FrontConfig) -> Router {
        self.front(config, None)
    }

    /// The same, and what cells, routers, agents and their operators ask.
    pub fn fleet_http(self: &Arc<Self>, config: FrontConfig, tokens: FleetTokens) -> Router {
        self.front(config, Some(tokens))
    }

    fn front(self: &Arc<Self>, config: FrontConfig, tokens: Option<FleetTokens>) -> Router {
        let (registrar, rate) = (Arc::clone(self), RateLimit::default());
        let front = Front(Arc::new(Shared { registrar, config, rate, tokens }));
        let api = Router::new()
            .merge(fleet::routes())
            .route("/identities", get(identities::list).post(identities::register))
            .route("/identities/{name}", get(identities::show).delete(identities::delete))
            .route("/identities/{name}/activation", get(identities::activation))
            .route("/feed", get(feed::after))
            .route("/feed/snapshot", get(feed::snapshot))
            .route("/feed/checkpoint", get(feed::checkpoint))
            .fallback(problem::no_such_resource)
            .method_not_allowed_fallback(problem::no_such_method)
            .layer(map_response(never_stored));
        Router::new()
            .nest("/v1", api)
            .route("/healthz", get(health::turns))
            .route("/readyz", get(health::is_ready))
            .merge(crate::web::pages())
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(front)
    }
}

/// Answers of the API may hold a secret, and are true only now.
async fn never_stored(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
