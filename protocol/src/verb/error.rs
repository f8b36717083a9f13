//! Why a command is refused before anything is done.

use crate::key::KeyError;
use crate::metadata::MetadataError;
use crate::response::Fault;
use crate::{EnrollmentId, ErrorCode, NameError};

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
    /// Somebody who has not proved to be the owner.
    #[error("{0}")]
    Unauthenticated(String),
    /// An enrolment that nobody made.
    #[error("enrollment_id: {0} is expired or invalid")]
    NoEnrollment(String),
    /// Something that an enrolment needs is missing, or cannot be.
    #[error("{0}")]
    Enrollment(String),
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
            Self::Unauthenticated(_) => ErrorCode::Unauthenticated,
            Self::NoEnrollment(_) => ErrorCode::TooManyRequests,
            Self::Name(_) | Self::Enrollment(_) | Self::Json => ErrorCode::InternalException,
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

    /// The id of an enrolment. What is echoed is bounded.
    pub(super) fn enrollment_id(text: &str) -> Result<EnrollmentId, Self> {
        let echo = || text.chars().take(64).collect();
        EnrollmentId::parse(text).ok_or_else(|| Self::NoEnrollment(echo()))
    }

    /// A key that is looked for and cannot exist. What is echoed is bounded.
    pub(super) fn no_such_key(text: &str) -> Self {
        Self::NoSuchKey(text.chars().take(256).collect())
    }
}

impl From<VerbError> for Fault {
    fn from(error: VerbError) -> Self {
        match &error {
            VerbError::NoEnrollment(id) => Self::no_enrollment(id),
            _ => Self::new(error.code(), error.message()),
        }
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
