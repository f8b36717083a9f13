//! A registrar over HTTPS that one cell follows, and that says what the test wants.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use net::accept::AcceptLimits;
use net::drain::Drain;
use net::tls::{ServerTls, TlsMaterial};
use protocol::Term;
use protocol::control::names::CellId;
use protocol::control::placement::Placement;
use protocol::control::roster::{CellReport, Done, Order, Outcome, Position, Roster, TermGrant};
use testkit::Certificate;

pub const TOKEN: &str = "a-token-for-the-cells-of-a-swarm";

const LIMITS: AcceptLimits = AcceptLimits {
    connections_max: 64,
    handshakes_max: 16,
    per_address_max: 64,
    handshake_deadline: Duration::from_secs(5),
};

/// It places everybody in `cell-7`.
pub struct Registrar {
    said: Arc<Mutex<Said>>,
    pub url: String,
    pub ca: PathBuf,
    pub token_file: PathBuf,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Said {
    term: u32,
    orders: Vec<Order>,
    number: u64,
    done: Vec<Done>,
    /// Whether it tells older starts that they are over.
    is_strict: bool,
    is_silent: bool,
}

type Shared = Arc<Mutex<Said>>;

#[derive(serde::Deserialize)]
struct Asked {
    term: u32,
    run: u64,
    after: u64,
}

impl Registrar {
    pub fn start(folder: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let folder = folder.join("registrar");
        std::fs::create_dir_all(&folder).unwrap();
        let Certificate { chain, key } = Certificate::make(&folder);
        let token_file = folder.join("cells.token");
        std::fs::write(&token_file, TOKEN).unwrap();
        let said = Shared::default();
        said.lock().unwrap().is_strict = true;
        let tls = ServerTls::new(&TlsMaterial::load(&chain, &key).unwrap()).unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let routes = Router::new()
            .route("/v1/cells/cell-7/terms", post(grant))
            .route("/v1/cells/cell-7/roster", get(roster))
            .route("/v1/cells/cell-7/reports", post(report))
            .with_state(Arc::clone(&said));
        runtime.spawn(net::https::serve_http(listener, Some(tls), routes, LIMITS, Drain::new()));
        Self { said, url, ca: chain, token_file, _runtime: runtime }
    }

    /// From now on this is ordered as well.
    pub fn orders(&self, order: Order) {
        let mut said = self.said.lock().unwrap();
        said.orders.push(order);
        said.number += 1;
    }

    /// Has a server made, and waits until it is.
    pub fn creates(&self, placement: &Placement, secret: &str) {
        let before = self.done().len();
        self.orders(Order::Create { placement: placement.clone(), secret: secret.to_owned() });
        super::until("made", || self.done().len() > before);
    }

    /// Whether it tells older starts that they are over.
    pub fn is_strict(&self, is_strict: bool) {
        self.said.lock().unwrap().is_strict = is_strict;
    }

    /// Whether it answers nobody.
    pub fn is_silent(&self, is_silent: bool) {
        self.said.lock().unwrap().is_silent = is_silent;
    }

    /// How many terms it gave.
    pub fn terms(&self) -> u32 {
        self.said.lock().unwrap().term
    }

    pub fn done(&self) -> Vec<Done> {
        self.said.lock().unwrap().done.clone()
    }
}

/// Why it does not answer, if it does not.
fn refusal(said: &Said, headers: &HeaderMap, term: u32) -> Option<StatusCode> {
    let is_known = headers
        .get(header::AUTHORIZATION)
        .is_some_and(|shown| shown.as_bytes() == format!("Bearer {TOKEN}").as_bytes());
    match (said.is_silent, is_known, said.is_strict && term < said.term) {
        (true, ..) => Some(StatusCode::SERVICE_UNAVAILABLE),
        (_, false, _) => Some(StatusCode::UNAUTHORIZED),
        (.., true) => Some(StatusCode::CONFLICT),
        _ => None,
    }
}

async fn grant(State(said): State<Shared>, headers: HeaderMap) -> Response {
    let mut said = said.lock().unwrap();
    if let Some(status) = refusal(&said, &headers, u32::MAX) {
        return status.into_response();
    }
    said.term += 1;
    let cell = CellId::from_number(7).unwrap();
    Json(TermGrant { cell, term: Term::from_number(said.term).unwrap() }).into_response()
}

async fn roster(
    State(said): State<Shared>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    for _ in 0..2_500 {
        {
            let said = said.lock().unwrap();
            if let Some(status) = refusal(&said, &headers, asked.term) {
                return status.into_response();
            }
            if asked.run != 1 || asked.after != said.number {
                let upto = Position { run: 1, number: said.number };
                let orders = said.orders.clone();
                return Json(Roster { upto, is_whole: true, orders }).into_response();
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let upto = Position { run: 1, number: asked.after };
    Json(Roster { upto, is_whole: false, orders: Vec::new() }).into_response()
}

async fn report(
    State(said): State<Shared>,
    headers: HeaderMap,
    Json(report): Json<CellReport>,
) -> Response {
    let mut said = said.lock().unwrap();
    if let Some(status) = refusal(&said, &headers, report.term.number()) {
        return status.into_response();
    }
    assert!(report.counts.memory_bytes > 1024 * 1024);
    for done in report.done {
        // Whoever is made is kept from then on.
        for order in &mut said.orders {
            if let Order::Create { placement, .. } = order
                && placement.volume == done.volume
                && done.outcome == Outcome::Created
            {
                *order = Order::Keep { placement: placement.clone() };
            }
        }
        said.done.push(done);
    }
    StatusCode::NO_CONTENT.into_response()
}
