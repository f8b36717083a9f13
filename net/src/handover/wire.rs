//! The words of a hand-over, as bytes. Each is one packet; a socket travels beside its word.

use std::borrow::Cow;
use std::fmt;

use crate::limits::HANDOVER_ROLE_BYTES_MAX;

/// What a socket is for, such as `https`: lower-case letters and hyphens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role(Cow<'static, str>);

/// Why a text is not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role has 1 to {HANDOVER_ROLE_BYTES_MAX} lower-case letters and hyphens")]
pub struct RoleError;

/// What the two sides say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// The new one: give me your sockets.
    Take,
    /// The running one: this one is for that.
    Socket(Role),
    /// The running one: those were all.
    Complete,
    /// The new one: I serve.
    Ready,
    /// The running one: then I end.
    Yours,
    /// The running one: it took you too long, I stay.
    Stay,
}

/// A packet that is none of these words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came is no word of a hand-over")]
pub(super) struct NoWord;

/// With the version of all of this in the first word.
const TAKE: &[u8] = b"warren handover 1: take";
const SOCKET: &[u8] = b"socket ";
const COMPLETE: &[u8] = b"complete";
const READY: &[u8] = b"ready";
const YOURS: &[u8] = b"yours";
const STAY: &[u8] = b"stay";

impl Role {
    /// A role that the program knows.
    #[must_use]
    pub const fn known(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }

    /// A role that somebody else names.
    ///
    /// # Errors
    /// [`RoleError`] if it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, RoleError> {
        let is_good = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'-';
        if bytes.is_empty() || bytes.len() > HANDOVER_ROLE_BYTES_MAX || !bytes.iter().all(is_good) {
            return Err(RoleError);
        }
        Ok(Self(String::from_utf8_lossy(bytes).into_owned().into()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Word {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Take => TAKE.to_vec(),
            Self::Socket(role) => [SOCKET, role.0.as_bytes()].concat(),
            Self::Complete => COMPLETE.to_vec(),
            Self::Ready => READY.to_vec(),
            Self::Yours => YOURS.to_vec(),
            Self::Stay => STAY.to_vec(),
        }
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NoWord> {
        if let Some(role) = bytes.strip_prefix(SOCKET) {
            return Role::parse(role).map(Self::Socket).map_err(|_| NoWord);
        }
        match bytes {
            TAKE => Ok(Self::Take),
            COMPLETE => Ok(Self::Complete),
            READY => Ok(Self::Ready),
            YOURS => Ok(Self::Yours),
            STAY => Ok(Self::Stay),
            _ => Err(NoWord),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::limits::HANDOVER_WORD_BYTES_MAX;

    #[test]
    fn every_word_comes_back_as_it_was_and_fits_into_a_packet() {
        let long = Role::parse(&[b'a'; HANDOVER_ROLE_BYTES_MAX]).unwrap();
        let words = [
            Word::Take,
            Word::Socket(Role::known("dns-udp")),
            Word::Socket(long),
            Word::Complete,
            Word::Ready,
            Word::Yours,
            Word::Stay,
        ];
        for word in words {
            let bytes = word.to_bytes();
            assert!(bytes.len() <= HANDOVER_WORD_BYTES_MAX);
            assert_eq!(Word::parse(&bytes), Ok(word));
        }
    }

    #[test]
    fn anything_else_is_no_word() {
        let long = [b"socket ".as_slice(), &[b'a'; HANDOVER_ROLE_BYTES_MAX + 1]].concat();
        let others: [&[u8]; 8] = [
            b"",
            b"ready\n",
            b"socket ",
            b"socket A",
            b"socket \xff",
            b"take",
            b"warren handover 2: take",
            &long,
        ];
        for bytes in others {
            assert_eq!(Word::parse(bytes), Err(NoWord), "{bytes:?}");
        }
    }
}
