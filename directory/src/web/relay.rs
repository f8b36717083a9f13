//! The feed for directories that follow this one, on the same paths as the registrar's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use net::https::bearer_token;
use protocol::FeedId;
use serde::Deserialize;

use super::problem::Problem;
use super::{Served, not_ready, path};
use crate::directory::Directory;
use crate::feed::{FeedAnswer, FeedSource};
use crate::limits::{FEED_WAIT, RELAY_TOKEN_BYTES_MIN};

/// Whoever knows this may follow. Names are no secret, but the list of all of them is not for
/// everybody.
#[derive(Clone)]
pub struct RelayToken(Arc<blake3::Hash>);

/// A token that could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a relay's token has at least {RELAY_TOKEN_BYTES_MIN} characters")]
pub struct RelayTokenError;

impl RelayToken {
    /// Takes the token's text, and does not keep it.
    ///
    /// # Errors
    /// [`RelayTokenError`] if it is too short.
    pub fn parse(text: &str) -> Result<Self, RelayTokenError> {
        match text.len() >= RELAY_TOKEN_BYTES_MIN {
            true => Ok(Self(Arc::new(blake3::hash(text.as_bytes())))),
            false => Err(RelayTokenError),
        }
    }

    /// Whether this is the token; hashes are compared in the same time whatever they are.
    fn is(&self, text: &str) -> bool {
        *self.0 == blake3::hash(text.as_bytes())
    }
}

impl fmt::Debug for RelayToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayToken(not shown)")
    }
}

/// What the handlers share.
#[derive(Clone)]
struct Relay {
    directory: Arc<Directory>,
    token: RelayToken,
}

/// Proof that a request carries the token.
struct Follower;

impl FromRequestParts<Relay> for Follower {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, relay: &Relay) -> Result<Self, Problem> {
        match bearer_token(&parts.headers) {
            Some(token) if relay.token.is(token) => Ok(Self),
            _ => Err(Problem::no_token("the request carries no token, or a wrong one")),
        }
    }
}

/// Where a follower stands.
#[derive(Debug, Deserialize)]
struct Position {
    feed: FeedId,
    after: u64,
    /// Seconds to wait for the next change.
    #[serde(default)]
    wait: u64,
}

pub(super) fn routes(directory: &Arc<Directory>, token: RelayToken) -> Router<Served> {
    Router::new()
        .route(path::FEED, get(after))
        .route(path::SNAPSHOT, get(snapshot))
        .route(path::CHECKPOINT, get(checkpoint))
        .with_state(Relay { directory: Arc::clone(directory), token })
}

async fn after(
    _: Follower,
    State(relay): State<Relay>,
    position: Result<Query<Position>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(position) = position.map_err(|error| Problem::bad_position(error.body_text()))?;
    let wait = Duration::from_secs(position.wait).min(FEED_WAIT);
    match relay.directory.after(position.feed, position.after, wait).await {
        Ok(FeedAnswer::Batch(signed)) => Ok(signed_bytes(signed.to_bytes())),
        Ok(FeedAnswer::SnapshotNeeded) => {
            Err(Problem::snapshot_needed("another feed, or a number that is too old"))
        }
        Err(_) => Err(not_ready()),
    }
}

async fn snapshot(_: Follower, State(relay): State<Relay>) -> Result<Response, Problem> {
    relay.directory.snapshot().await.map(signed_bytes).map_err(|_| not_ready())
}

async fn checkpoint(_: Follower, State(relay): State<Relay>) -> Result<Response, Problem> {
    let signed = relay.directory.checkpoint().await.map_err(|_| not_ready())?;
    Ok(signed_bytes(signed.to_bytes()))
}

fn signed_bytes(bytes: Vec<u8>) -> Response {
    let headers = [(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, "no-store")];
    (headers, bytes).into_response()
}
