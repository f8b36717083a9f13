//! The feed for directories elsewhere.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use protocol::FeedId;
use serde::Deserialize;

use super::token::Reader;
use super::{Front, Problem};
use crate::feed::SignedAnswer;

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
    _: Reader,
    State(front): State<Front>,
    position: Result<Query<Position>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(position) = position.map_err(|error| Problem::bad_request(error.body_text()))?;
    let wait = Duration::from_secs(position.wait);
    match front.registrar.signed_after(position.feed, position.after, wait).await? {
        SignedAnswer::Batch(signed) => Ok(signed_bytes(signed.to_bytes())),
        SignedAnswer::SnapshotNeeded => {
            Err(Problem::snapshot_needed("another feed, or a number that is too old or too new"))
        }
    }
}

pub(super) async fn snapshot(_: Reader, State(front): State<Front>) -> Result<Response, Problem> {
    Ok(signed_bytes(front.registrar.signed_snapshot().await?.to_bytes()))
}

/// What the registrar says about everything as of one change.
pub(super) async fn checkpoint(_: Reader, State(front): State<Front>) -> Result<Response, Problem> {
    Ok(signed_bytes(front.registrar.signed_snapshot().await?.signed().to_bytes()))
}

fn signed_bytes(bytes: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, "application/octet-stream")], bytes).into_response()
}
