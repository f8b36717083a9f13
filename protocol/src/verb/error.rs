//! Why a command is refused before anything is done.

use crate::key::KeyError;
use crate::metadata::MetadataError;
use crate::response::Fault;
use crate::{ErrorCode, NameError};

/// A command that is refused for what it says. Its text is for the client and fits one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerbError {
    /// Not the verb's grammar.
    #[error("Invalid syntax. {hint}")]
    Syntax {
        /// The grammar in short, on one line.
        hint: &'static str,
    },
    /// `strategy:latest` needs to know whose latest.
    #[error("For Strategy latest, notifier cannot be null")]
    LatestWithoutNotifier,
    /// In another's name.
    #[error("{0}")]
    Unauthorized(String),
    /// A metadata part has a value that it cannot have.
    #[error("Invalid syntax. {0}")]
    Metadata(MetadataError),
    /// The key is of the wrong kind, too long, or another's.
    #[error("{0}")]
    InvalidKey(String),
    /// The key cannot exist, so it does not.
    #[error("{0} does not exist in keystore")]
    NoSuchKey(String),
    /// An argument is out of its range.
    #[error("{0}")]
    Arguments(String),
    /// An atSign that cannot be one.
    #[error("{0}")]
    Name(NameError),
    /// JSON that is not JSON, or not the JSON that belongs there.
    #[error("invalid JSON in the command")]
    Json,
}

impl VerbError {
    /// The code for the client.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Syntax { .. } | Self::LatestWithoutNotifier | Self::Metadata(_) => {
                ErrorCode::InvalidSyntax
            }
            Self::Unauthorized(_) => ErrorCode::Unauthorized,
            Self::InvalidKey(_) => ErrorCode::InvalidKey,
            Self::NoSuchKey(_) => ErrorCode::KeyNotFound,
            Self::Arguments(_) => ErrorCode::IllegalArguments,
            Self::Name(_) | Self::Json => ErrorCode::InternalException,
        }
    }

    /// The text for the client.
    #[must_use]
    pub fn message(&self) -> String {
        self.to_string()
    }

    /// Whether the connection closes after the answer (protocol notes 2.8): only for a wrong
    /// atSign, since one SDK hangs when a connection ends.
    #[must_use]
    pub fn closes(&self) -> bool {
        matches!(self, Self::Name(_))
    }

    /// A wrong key in a command that writes (protocol notes 5.3).
    pub(super) fn unwritable(error: &KeyError) -> Self {
        match error {
            KeyError::TooLong { .. } => Self::InvalidKey(error.to_string()),
            KeyError::Invalid => Self::unwritable_kind("invalidKey"),
        }
    }

    pub(super) fn unwritable_kind(kind: &str) -> Self {
        Self::InvalidKey(format!("You may not update keys of type KeyType.{kind}"))
    }

    /// A key that is looked for and cannot exist. What is echoed is bounded.
    pub(super) fn no_such_key(text: &str) -> Self {
        Self::NoSuchKey(text.chars().take(256).collect())
    }
}

impl From<VerbError> for Fault {
    fn from(error: VerbError) -> Self {
        Self { code: error.code(), message: error.message() }
    }
}

impl From<MetadataError> for VerbError {
    fn from(error: MetadataError) -> Self {
        Self::Metadata(error)
    }
}

impl From<NameError> for VerbError {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}
