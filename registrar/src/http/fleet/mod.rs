//! What cells, routers, agents and operators ask of a registrar whose servers run elsewhere.

mod cells;
mod hosts;
mod operators;
mod placement;
mod routers;
mod usage;

use std::str::FromStr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use protocol::control::roster::Position;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Front, Problem};
use crate::fleet::Follower;
use crate::limits::{CELL_REPORT_BYTES_MAX, NODE_REPORT_BYTES_MAX};

pub(super) fn routes() -> Router<Front> {
    let reports = post(cells::report).layer(DefaultBodyLimit::max(CELL_REPORT_BYTES_MAX));
    let node_reports = put(hosts::report).layer(DefaultBodyLimit::max(NODE_REPORT_BYTES_MAX));
    let node = node_reports.get(operators::node).patch(operators::change_node);
    let cell = get(operators::cell).patch(operators::change_cell).delete(operators::retire_cell);
    Router::new()
        .route("/cells", get(operators::cells).post(operators::add_cell))
        .route("/cells/{cell}", cell)
        .route("/cells/{cell}/history", get(operators::cell_history))
        .route("/cells/{cell}/terms", post(cells::begin))
        .route("/cells/{cell}/roster", get(cells::roster))
        .route("/cells/{cell}/reports", reports)
        .route("/routes", get(routers::routes))
        .route("/nodes", get(operators::nodes))
        .route("/nodes/{node}", node)
        .route("/swarms", get(operators::swarms).post(operators::add_swarm))
        .route("/swarms/{swarm}", get(operators::swarm).delete(operators::remove_swarm))
        .route("/usage", get(usage::usage))
        .route("/identities/{name}/placement", get(placement::explain).post(placement::change))
        .route("/swarms/{swarm}/plan", get(hosts::plan))
}

/// Where a follower stands; one that is new says nothing.
#[derive(Debug, Default, Deserialize)]
struct Stand {
    #[serde(default)]
    run: u64,
    #[serde(default)]
    after: u64,
    /// Seconds to wait for the next news.
    #[serde(default)]
    wait: u64,
}

impl From<Stand> for Follower {
    fn from(stand: Stand) -> Self {
        let known = Position { run: stand.run, number: stand.after };
        Self { known, wait: Duration::from_secs(stand.wait) }
    }
}

type PathText = Result<Path<String>, PathRejection>;
type Body = Result<Bytes, BytesRejection>;
type Asked<T> = Result<Query<T>, QueryRejection>;

fn name<T: FromStr<Err: std::fmt::Display>>(path: PathText) -> Result<T, Problem> {
    let Path(text) = path.map_err(|error| Problem::bad_request(error.body_text()))?;
    text.parse().map_err(Problem::bad_request)
}

fn query<T>(asked: Asked<T>) -> Result<T, Problem> {
    let Query(asked) = asked.map_err(|error| Problem::bad_request(error.body_text()))?;
    Ok(asked)
}

fn json<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(error.body_text()),
        _ => Problem::bad_request(error.body_text()),
    })?;
    serde_json::from_slice(&body).map_err(Problem::bad_request)
}
