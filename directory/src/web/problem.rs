//! What the front answers when it does not answer: RFC 9457, and how to fix it.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::NameError;
use serde::Serialize;

/// A problem as a client sees it.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(flatten)]
    what: net::https::Problem,
    /// Of several names, those that are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    invalid: Vec<Invalid>,
}

/// A text that is not a name.
#[derive(Debug, Serialize)]
pub(super) struct Invalid {
    /// As it was sent.
    pub(super) identity: String,
    /// Its place among those that were sent, from 0.
    pub(super) index: usize,
    /// What is wrong with it.
    pub(super) reason: String,
}

macro_rules! problems {
    ($($name:ident = $status:ident, $kind:literal, $title:literal, $fix:literal;)*) => {
        impl Problem {
            $(pub(super) fn $name(detail: impl ToString) -> Self {
                let what = net::https::Problem {
                    kind: concat!("urn:warren:problem:", $kind),
                    title: $title,
                    status: StatusCode::$status,
                    detail: detail.to_string(),
                    fix: $fix,
                    retry_after: None,
                };
                Self { what, invalid: Vec::new() }
            })*
        }
    };
}

problems! {
    bad_name = UNPROCESSABLE_ENTITY, "bad-name", "This is not an atSign",
        "Send a name such as @alice: without spaces and punctuation, percent-encoded in a path.";
    bad_path = BAD_REQUEST, "bad-path", "The path is not encoded as it must be",
        "Write each byte of the name's UTF-8 text that is no letter or digit as % and two hexadecimal digits.";
    unknown_identity = NOT_FOUND, "unknown-identity", "Nobody has this name",
        "Check the spelling.";
    not_ready = SERVICE_UNAVAILABLE, "not-ready", "The directory does not know anything yet",
        "Try again after the seconds that Retry-After names, or ask another replica.";
    parent_unanswered = SERVICE_UNAVAILABLE, "parent-unanswered",
        "The name is not here, and the directory above this one does not say where it is",
        "Try again after the seconds that Retry-After names.";
    not_ours = MISDIRECTED_REQUEST, "not-ours", "This directory proves only what it knows itself",
        "Ask the directory that has the name for the proof; without /proof this one asks its parent.";
    bad_request = BAD_REQUEST, "bad-request", "The request cannot be understood",
        "Send an object like {\"identities\": [\"@alice\", \"@bob\"]}.";
    too_many_names = UNPROCESSABLE_ENTITY, "too-many-names", "Too many names at once",
        "Ask for fewer at a time.";
    too_large = PAYLOAD_TOO_LARGE, "too-large", "The request is too large",
        "Ask for fewer names at a time.";
    too_slow = REQUEST_TIMEOUT, "too-slow", "The request came too slowly",
        "Send the whole body at once.";
    not_provable = SERVICE_UNAVAILABLE, "not-provable", "This directory can prove nothing",
        "Ask a directory that follows the registrar.";
    no_token = UNAUTHORIZED, "no-token", "This is for directories that know the token",
        "Send the relay's token as a bearer token.";
    bad_position = BAD_REQUEST, "bad-position", "The position in the feed cannot be understood",
        "Send feed, after and wait.";
    snapshot_needed = GONE, "snapshot-needed", "The changes that come next are not kept",
        "Take GET /v1/feed/snapshot and follow the feed from its number.";
    no_path = NOT_FOUND, "no-such-path", "There is nothing here",
        "GET /v1/openapi.json says what there is.";
    wrong_method = METHOD_NOT_ALLOWED, "wrong-method", "This cannot be done here",
        "Use a method that the Allow header names.";
}

impl Problem {
    pub(super) fn after(mut self, pause: Duration) -> Self {
        self.what.retry_after = Some(pause);
        self
    }

    pub(super) fn naming(self, invalid: Vec<Invalid>) -> Self {
        Self { invalid, ..self }
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::bad_name(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.what.answer(&self).into_response()
    }
}

pub(super) async fn no_such_path() -> Problem {
    Problem::no_path("the path is unknown")
}

pub(super) async fn no_such_method() -> Problem {
    Problem::wrong_method("the path is known, the method is not")
}
