//! What the API answers when it does not do something: RFC 9457, and how to fix it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::NameError;
use serde::Serialize;

use crate::error::{DeleteError, FeedError, LedgerError, RegisterError};

/// A problem as a client sees it. The web page shows the same words.
#[derive(Debug, Serialize)]
pub(crate) struct Problem {
    /// Stable: programs may compare it.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// The kind in words.
    pub(crate) title: &'static str,
    #[serde(serialize_with = "as_number")]
    pub(crate) status: StatusCode,
    /// What went wrong this time.
    pub(crate) detail: String,
    /// What to do about it.
    pub(crate) fix: &'static str,
    /// When it may go better.
    #[serde(skip)]
    pub(crate) retry_after_seconds: Option<u32>,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $kind:literal, $title:literal, $fix:literal;)*) => {
        impl Problem {
            $($(#[$doc])* pub(crate) fn $name(detail: impl ToString) -> Self {
                Self {
                    kind: concat!("urn:warren:problem:", $kind),
                    title: $title,
                    status: StatusCode::$status,
                    detail: detail.to_string(),
                    fix: $fix,
                    retry_after_seconds: None,
                }
            })*
        }
    };
}

problems! {
    bad_name = UNPROCESSABLE_ENTITY, "bad-name", "This is not a usable atSign",
        "Choose a name of ASCII letters, digits, '_', '-' and emoji, such as @alice.";
    name_taken = CONFLICT, "name-taken", "The name is taken",
        "Choose another name. If it is yours, ask the operator for its activation secret.";
    being_deleted = CONFLICT, "being-deleted", "The name is being deleted",
        "Try again in a little while, or choose another name.";
    no_port_left = SERVICE_UNAVAILABLE, "no-port-left", "There is no room for another server",
        "The operator starts warren with more ports, such as --ports 25000-32767,20000-24999, or deletes identities that nobody needs.";
    no_epoch_left = CONFLICT, "no-epoch-left", "The name is worn out",
        "Choose another name.";
    busy = SERVICE_UNAVAILABLE, "busy", "Too many registrations at once",
        "Try again in a few seconds.";
    swarm = SERVICE_UNAVAILABLE, "server-not-ready", "The server could not be brought up",
        "Try again with the same form, or the same Idempotency-Key: the name stays reserved for you and the registration goes on where it was. If that does not help, the operator finds the reason in the log.";
    store = INTERNAL_SERVER_ERROR, "store-failed", "The registrar cannot save anything",
        "The operator checks the disk (is it full, is it damaged?) and restarts warren. Nothing that was confirmed is lost.";
    stopping = SERVICE_UNAVAILABLE, "stopping", "The registrar is stopping",
        "Try again in a few seconds with the same form, or the same Idempotency-Key.";
    unknown = NOT_FOUND, "unknown-identity", "Nobody has this name",
        "Check the spelling; GET /v1/identities lists all names.";
    not_published = CONFLICT, "not-published", "The identity is not ready yet",
        "Try again in a little while; GET /v1/identities/{name} shows where it stands.";
    other_epoch = PRECONDITION_FAILED, "other-epoch", "The identity has another epoch",
        "Look at the identity again: it was registered anew. Then name its present epoch.";
    no_token = UNAUTHORIZED, "no-admin-token", "This needs the admin token",
        "Send 'Authorization: Bearer TOKEN' with the content of the admin token file, which endpoints.json names.";
    bad_request = BAD_REQUEST, "bad-request", "The request cannot be understood",
        "Correct what the detail names.";
    too_large = PAYLOAD_TOO_LARGE, "too-large", "The request is too large",
        "A registration needs no more than a name; send less than 8 KiB.";
    no_such_path = NOT_FOUND, "no-such-path", "There is nothing here",
        "The API has /v1/identities, /v1/identities/{name} and /v1/feed.";
    wrong_method = METHOD_NOT_ALLOWED, "wrong-method", "This cannot be done here",
        "Use a method that the Allow header names.";
    snapshot_needed = GONE, "snapshot-needed", "These changes are no longer kept",
        "Take GET /v1/feed/snapshot and follow the feed from its number.";
    not_durable = SERVICE_UNAVAILABLE, "not-durable", "The newest changes are not saved yet",
        "Try again in a few seconds.";
    too_often = TOO_MANY_REQUESTS, "too-often", "Too many registrations from here",
        "Wait a minute and send the form again.";
    stale_form = FORBIDDEN, "stale-form", "The form was not sent from this page",
        "Send the form below again. Your browser must accept this site's cookie.";
    foreign_form = FORBIDDEN, "foreign-form", "The form was sent from another site",
        "Open this registrar's own page and fill in the form there.";
    wrong_token = FORBIDDEN, "wrong-token", "The registration token is wrong",
        "Ask the operator for the admin token; it stands in the file that endpoints.json names.";
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        let media_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media_type);
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl Problem {
    pub(crate) fn after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::bad_name(error)
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        tracing::error!(%error, cause = cause(&error), "the registrar's store failed");
        Self::store(error)
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::CannotOwnKeys(_) => Self::bad_name(error),
            RegisterError::Taken(_) => Self::name_taken(error),
            RegisterError::BeingDeleted(_) => Self::being_deleted(error).after(5),
            RegisterError::NoPortLeft(_) => Self::no_port_left(error),
            RegisterError::NoEpochLeft(_) => Self::no_epoch_left(error),
            RegisterError::Busy => Self::busy(error).after(5),
            RegisterError::Swarm { .. } => {
                tracing::warn!(%error, cause = cause(&error), "a registration is left unfinished");
                Self::swarm(format!("{error}: {}", cause(&error))).after(5)
            }
            RegisterError::Ledger(error) => error.into(),
            RegisterError::Random(error) => Self::store(error),
            RegisterError::Stopping => Self::stopping(error).after(5),
        }
    }
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            DeleteError::Unknown(_) => Self::unknown(error),
            DeleteError::OtherEpoch { .. } => Self::other_epoch(error),
            DeleteError::Busy => Self::busy(error).after(5),
            DeleteError::Ledger(error) => error.into(),
            DeleteError::Stopping => Self::stopping(error).after(5),
        }
    }
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        Self::not_durable(error).after(5)
    }
}

fn cause(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

pub(super) async fn no_such_resource() -> Problem {
    Problem::no_such_path("the path is unknown")
}

pub(super) async fn no_such_method() -> Problem {
    Problem::wrong_method("the path is known, the method is not")
}
