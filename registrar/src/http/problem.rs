//! What the API answers when it does not do something: RFC 9457, and how to fix it.

use std::ops::Deref;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use protocol::NameError;

use crate::error::{DeleteError, FeedError, LedgerError, RegisterError};
use crate::fleet::FleetError;
use crate::moving::MoveError;

/// A problem as a client sees it. The web page shows the same words.
#[derive(Debug)]
pub(crate) struct Problem(net::https::Problem);

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $kind:literal, $title:literal, $fix:literal;)*) => {
        impl Problem {
            $($(#[$doc])* pub(crate) fn $name(detail: impl ToString) -> Self {
                Self(net::https::Problem {
                    kind: concat!("urn:warren:problem:", $kind),
                    title: $title,
                    status: StatusCode::$status,
                    detail: detail.to_string(),
                    fix: $fix,
                    retry_after: None,
                })
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
    no_room = SERVICE_UNAVAILABLE, "no-room", "There is no room for another server",
        "The operator asks why (warren placement explain @NAME), adds a cell or gives one more room; then try again with the same Idempotency-Key.";
    no_target = CONFLICT, "no-target", "She cannot go there",
        "Change what the detail names, or name another cell; warren placement explain @NAME shows them all.";
    bad_tier = UNPROCESSABLE_ENTITY, "bad-tier", "There is no such tier here",
        "Leave the tier out, or register her where servers run in cells on other machines.";
    superseded = CONFLICT, "superseded", "Somebody else runs this cell",
        "Serve nobody any more, and end. A new start asks for a term of its own.";
    unknown_in_fleet = NOT_FOUND, "unknown", "There is no such thing",
        "Check the name; GET /v1/swarms, /v1/nodes and /v1/cells list what there is.";
    in_use = CONFLICT, "in-use", "It cannot be done now",
        "Change what the detail names first.";
    bad_cell = UNPROCESSABLE_ENTITY, "bad-cell", "There cannot be such a cell",
        "Correct what the detail names.";
    no_role_token = UNAUTHORIZED, "no-token", "This needs another token",
        "Send 'Authorization: Bearer TOKEN' with the token of those who may ask this.";
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
    no_such_page = NOT_FOUND, "no-such-path", "There is nothing here",
        "Go to the first page.";
    wrong_method = METHOD_NOT_ALLOWED, "wrong-method", "This cannot be done here",
        "Use a method that the Allow header names.";
    snapshot_needed = GONE, "snapshot-needed", "These changes are no longer kept",
        "Take GET /v1/feed/snapshot and follow the feed from its number.";
    not_durable = SERVICE_UNAVAILABLE, "not-durable", "The newest changes are not saved yet",
        "Try again in a few seconds.";
    store_out_of_reach = SERVICE_UNAVAILABLE, "store-out-of-reach",
        "The registrar's store does not answer",
        "Try again in a few seconds; what was begun goes on by itself.";
    too_often = TOO_MANY_REQUESTS, "too-often", "Too many registrations from here",
        "Wait a minute and send the form again.";
    stale_form = FORBIDDEN, "stale-form", "The form was not sent from this page",
        "Send the form below again. Your browser must accept this site's cookie.";
    foreign_form = FORBIDDEN, "foreign-form", "The form was sent from another site",
        "Open this registrar's own page and fill in the form there.";
    wrong_token = FORBIDDEN, "wrong-token", "The registration token is wrong",
        "Ask the operator for the admin token; it stands in the file that endpoints.json names.";
}

impl Deref for Problem {
    type Target = net::https::Problem;
    fn deref(&self) -> &net::https::Problem {
        &self.0
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0.answer(&self.0).into_response()
    }
}

impl Problem {
    pub(crate) fn after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(Duration::from_secs(seconds.into()));
        self
    }

    /// The same for whoever asks only whether the registrar does its work.
    pub(crate) fn unavailable(mut self) -> Self {
        self.0.status = StatusCode::SERVICE_UNAVAILABLE;
        self
    }
}

impl From<NameError> for Problem {
    fn from(error: NameError) -> Self {
        Self::bad_name(error)
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::OutOfReach | LedgerError::Full => Self::store_out_of_reach(error).after(5),
            _ => {
                tracing::error!(%error, cause = cause(&error), "the registrar's store failed");
                Self::store(error)
            }
        }
    }
}

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::CannotOwnKeys(_) => Self::bad_name(error),
            RegisterError::Taken(_) => Self::name_taken(error),
            RegisterError::BeingDeleted(_) => Self::being_deleted(error).after(5),
            RegisterError::NoPortLeft(_) => Self::no_port_left(error),
            RegisterError::OneTier => Self::bad_tier(error),
            RegisterError::NoRoom(_) => Self::no_room(error).after(30),
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

impl From<FleetError> for Problem {
    fn from(error: FleetError) -> Self {
        match error {
            FleetError::UnknownSwarm(_)
            | FleetError::UnknownCell(_)
            | FleetError::UnknownNode(_) => Self::unknown_in_fleet(error),
            FleetError::Superseded { .. } => Self::superseded(error),
            FleetError::SwarmExists(_)
            | FleetError::SwarmInUse { .. }
            | FleetError::CellInUse { .. }
            | FleetError::TooMany(_)
            | FleetError::NoTermLeft(_) => Self::in_use(error),
            FleetError::BadCell(_) => Self::bad_cell(error),
            FleetError::NoTarget(_) => Self::no_target(error).after(5),
            FleetError::Ledger(error) => error.into(),
            FleetError::Stopping => Self::stopping(error).after(5),
        }
    }
}

impl From<MoveError> for Problem {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Unknown(_) => Self::unknown(error),
            MoveError::NoCell(_) | MoveError::Elsewhere { .. } => Self::in_use(error),
            MoveError::Fleet(error) => error.into(),
            MoveError::Busy(_) => Self::busy(error).after(5),
            MoveError::NoEpochLeft(_) => Self::no_epoch_left(error),
            MoveError::Ledger(error) => error.into(),
            MoveError::Stopping => Self::stopping(error).after(5),
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
