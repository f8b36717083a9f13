//! How the directory stands, for people, for `warren directory status` and for balancers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use protocol::FeedId;
use serde::Serialize;

use super::not_ready;
use super::problem::Problem;
use crate::directory::Directory;

/// What `/v1/status` says.
#[derive(Debug, Serialize)]
struct Shown {
    ready: bool,
    feed: Option<FeedId>,
    /// The last change that was applied.
    generation: u64,
    /// The change up to which everything can be proven at once.
    checkpoint: Option<u64>,
    /// The newest that the registrar told of.
    newest: u64,
    /// How many are between them.
    lag: u64,
    /// Since the registrar last confirmed that this is all.
    age_seconds: Option<u64>,
    entries: usize,
    version: &'static str,
}

impl Shown {
    fn of(directory: &Directory) -> Self {
        let status = directory.status();
        let newest = directory.counts.newest.get().max(status.number);
        Self {
            ready: status.ready,
            feed: status.feed,
            generation: status.number,
            checkpoint: status.checkpoint,
            newest,
            lag: newest - status.number,
            age_seconds: status.age.map(|age| age.as_secs()),
            entries: status.entries,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

const NEVER_STORED: [(header::HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

pub(super) async fn show(State(directory): State<Arc<Directory>>) -> impl IntoResponse {
    (NEVER_STORED, Json(Shown::of(&directory)))
}

/// The process turns.
pub(super) async fn turns() -> impl IntoResponse {
    (NEVER_STORED, "ok\n")
}

/// Lookups are answered.
pub(super) async fn is_ready(
    State(directory): State<Arc<Directory>>,
) -> Result<impl IntoResponse, Problem> {
    match directory.status().ready {
        true => Ok((NEVER_STORED, "ready\n")),
        false => Err(not_ready()),
    }
}
