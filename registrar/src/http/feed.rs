//! The feed for directories elsewhere.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use protocol::FeedId;
use protocol::control::feed::{Batch, Snapshot};
use serde::Deserialize;

use super::token::Admin;
use super::{Front, Problem};
use crate::changes::FeedAnswer;

/// Where a follower stands.
#[derive(Debug, Deserialize)]
pub(super) struct Position {
    feed: FeedId,
    after: u64,
    /// Seconds to wait for the next change.
    #[serde(default)]
    wait: u64,
}

pub(super) async fn after(
    _: Admin,
    State(front): State<Front>,
    position: Result<Query<Position>, QueryRejection>,
) -> Result<Json<Batch>, Problem> {
    let Query(position) = position.map_err(|error| Problem::bad_request(error.body_text()))?;
    let wait = Duration::from_secs(position.wait);
    match front.registrar.feed_after(position.feed, position.after, wait).await {
        FeedAnswer::Batch(batch) => Ok(Json(batch)),
        FeedAnswer::SnapshotNeeded => {
            Err(Problem::snapshot_needed("another feed, or a number that is too old or too new"))
        }
    }
}

pub(super) async fn snapshot(
    _: Admin,
    State(front): State<Front>,
) -> Result<Json<Snapshot>, Problem> {
    Ok(Json(front.registrar.feed_snapshot().await?))
}
