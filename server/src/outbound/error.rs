//! Why a peer's server gave no answer.

use net::lookup::LookupError;
use protocol::{AtSign, ErrorCode};

use crate::limits::PEER_TEXT_CHARS_MAX;
use crate::refusal::Refusal;

/// Why a question to a peer's server has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PeerError {
    /// The directory does not know the name.
    #[error("{0} is not in the directory")]
    Unknown(AtSign),
    /// The directory did not tell.
    #[error("the directory cannot be asked")]
    Directory,
    /// Nobody is where the directory says, or not with a good certificate.
    #[error("unable to connect to the server of {0}")]
    Connect(AtSign),
    /// The peer did not believe who we are.
    #[error("the server of the other atSign refused the handshake")]
    Handshake,
    /// The answer took too long.
    #[error("the server of the other atSign did not answer in time")]
    Timeout,
    /// The connection had ended before the question; a new one may do.
    #[error("the server of the other atSign closed the connection")]
    Closed,
    /// The connection broke, or what came is no answer.
    #[error("the server of the other atSign gave no answer")]
    Broken,
    /// The peer answered that it does not.
    #[error("{text}")]
    Refused {
        /// The peer's code, if we know it.
        code: Option<ErrorCode>,
        /// Its text, cut.
        text: String,
    },
    /// We cannot ask: our own store or key failed.
    #[error("this server cannot ask another")]
    Unable,
}

impl PeerError {
    /// That the directory did not tell, with what it was in the log.
    pub(crate) fn directory(error: LookupError) -> Self {
        tracing::debug!(%error, "the directory cannot be asked");
        Self::Directory
    }

    /// A peer's refusal; its text is cut.
    pub(crate) fn refused(code: Option<ErrorCode>, text: &str) -> Self {
        Self::Refused { code, text: text.chars().take(PEER_TEXT_CHARS_MAX).collect() }
    }

    /// Whether the peer said that there is no such key.
    pub(crate) fn is_missing_key(&self) -> bool {
        matches!(self, Self::Refused { code: Some(ErrorCode::KeyNotFound), .. })
    }

    /// What a log may show: never the peer's own words.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown to the directory",
            Self::Directory => "no answer from the directory",
            Self::Connect(_) => "cannot be reached",
            Self::Handshake => "refused the handshake",
            Self::Timeout => "too slow",
            Self::Closed => "closed",
            Self::Broken => "no answer",
            Self::Refused { .. } => "refused",
            Self::Unable => "cannot be asked by us",
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown(_) => ErrorCode::ServerNotFound,
            Self::Connect(_) => ErrorCode::Socket,
            Self::Handshake => ErrorCode::Handshake,
            Self::Timeout => ErrorCode::Timeout,
            Self::Refused { code: Some(code), .. } => *code,
            Self::Directory
            | Self::Closed
            | Self::Broken
            | Self::Refused { code: None, .. }
            | Self::Unable => ErrorCode::InternalException,
        }
    }
}

impl From<PeerError> for Refusal {
    fn from(error: PeerError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
