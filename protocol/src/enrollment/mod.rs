//! Enrolments: further devices and apps of an owner, each with a key pair of its own and rights in
//! some namespaces (protocol notes 4.6 to 4.8).

mod namespaces;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use namespaces::{Access, Namespace, NamespaceError, Namespaces};

use crate::limits::ENROLLMENT_ID_BYTES_MAX;

/// The name of one enrolment: letters, digits, `-` and `_`, so that keys can contain it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnrollmentId(Box<str>);

/// How far an enrolment has come, as clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnrollmentStatus {
    /// Nobody has decided yet.
    Pending,
    /// It may act.
    Approved,
    /// It may not, and never could.
    Denied,
    /// It may not any more.
    Revoked,
    /// Its time is over.
    Expired,
}

impl EnrollmentId {
    /// Reads an id in any case; `None` where no enrolment can have it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_short = (1..=ENROLLMENT_ID_BYTES_MAX).contains(&text.len());
        let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (is_short && text.bytes().all(is_word)).then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EnrollmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl EnrollmentStatus {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests;
