//! Why a command is not done: what the client is told, and whether the connection survives it.

use std::time::Duration;

use protocol::response::Fault;
use protocol::{ErrorCode, VerbError};

use crate::records::Unreadable;

/// A command that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    /// Whether the connection closes after the answer (the protocol's section 2.8). Rarely: one SDK
    /// hangs when a connection ends.
    pub(crate) closes: bool,
    /// How late the client is told.
    pub(crate) delay: Duration,
}

impl Refusal {
    /// The connection goes on.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Fault::new(code, message).into()
    }

    /// The connection ends after the answer.
    pub(crate) fn closing(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { closes: true, ..Self::new(code, message) }
    }

    /// There is nothing that the client could have proved: no `from` before, or too long ago.
    pub(crate) fn no_challenge() -> Self {
        Fault::key_not_found("the challenge of a from").into()
    }

    /// Something of ours failed that no input should make fail.
    pub(crate) fn internal() -> Self {
        Self::new(ErrorCode::InternalException, "the command failed inside the server")
    }

    /// The store failed. What was asked is not done, or may be undone by the next start.
    pub(crate) fn store() -> Self {
        Self::closing(ErrorCode::DataStore, "the data store failed")
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, closes: false, delay: Duration::ZERO }
    }
}

impl From<VerbError> for Refusal {
    fn from(error: VerbError) -> Self {
        Self { closes: error.closes(), ..Fault::from(error).into() }
    }
}

impl From<Unreadable> for Refusal {
    fn from(error: Unreadable) -> Self {
        tracing::error!(%error, "the store holds what this program never wrote");
        Self::store()
    }
}
