//! What a cell cannot do, and why.

use protocol::{AtSign, Epoch, VolumeId};

/// Why a cell could not do what the registrar asked.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The volume could not be made, opened or removed.
    #[error("the volume of {identity} cannot be used")]
    Volume {
        /// Whose.
        identity: AtSign,
        /// What storage said.
        source: storage::OpenError,
    },
    /// The server refused its own store.
    #[error("the server of {identity} cannot be started")]
    Server {
        /// Whose.
        identity: AtSign,
        /// What the server said.
        source: server::ServerError,
    },
    /// What was written for a new server did not become durable.
    #[error("the volume of {identity} cannot be closed")]
    Close {
        /// Whose.
        identity: AtSign,
        /// What storage said.
        source: storage::CommitError,
    },
    /// The cell was told of a newer placement of the same volume.
    #[error("{identity} is placed here with {known:?}, which is newer")]
    Stale {
        /// Whose.
        identity: AtSign,
        /// The epoch that this cell holds.
        known: Epoch,
    },
    /// Her store was opened elsewhere; this cell serves her again after a newer placement.
    #[error("the server of {0} runs elsewhere")]
    Fenced(AtSign),
    /// It did not get on again and again, and is left asleep for a while.
    #[error("the server of {0} did not get on again and again, and is left alone for a while")]
    Quarantined(AtSign),
    /// The placement was renewed, or the server given up, more often than epochs can be told apart.
    #[error("there is no epoch left for {0}")]
    NoEpoch(AtSign),
    /// It has as many servers as it takes.
    #[error("the cell is full")]
    Full,
    /// No server of this volume is placed here.
    #[error("no server with volume {0} is placed in this cell")]
    Unknown(VolumeId),
    /// The cell is shutting down, or the runtime is.
    #[error("the cell is closing")]
    Closing,
    /// The server did not settle or wake in time.
    #[error("the server of {0} did not get ready in time")]
    Slow(AtSign),
}

impl CellError {
    /// Whether she is served by another cell, or soon will be.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Fenced(_)) || self.is_fence()
    }

    /// Whether a higher epoch was found on the volume.
    pub(crate) fn is_fence(&self) -> bool {
        matches!(self, Self::Volume { source: storage::OpenError::StaleEpoch { .. }, .. })
    }

    /// It and its causes on one line, for the operator.
    #[must_use]
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
