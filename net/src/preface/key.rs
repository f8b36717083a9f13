//! The secret that a swarm's routers and cells share.

use std::fmt;

use ring::hmac;

use super::wire::MAC_BYTES;
use crate::limits::LINK_KEY_BYTES_MIN;

/// With which a router signs its prefaces and a cell checks them.
#[derive(Clone)]
pub struct LinkKey(hmac::Key);

/// A text that could be guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a link key has at least {LINK_KEY_BYTES_MIN} characters: openssl rand -hex 32 makes one")]
pub struct LinkKeyError;

impl LinkKey {
    /// Takes the key's text, such as the first line of a file. Spaces at its ends do not count.
    ///
    /// # Errors
    /// [`LinkKeyError`] if it is too short.
    pub fn parse(text: &str) -> Result<Self, LinkKeyError> {
        let text = text.trim().as_bytes();
        if text.len() < LINK_KEY_BYTES_MIN {
            return Err(LinkKeyError);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, text)))
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; MAC_BYTES] {
        let (tag, mut mac) = (hmac::sign(&self.0, bytes), [0; MAC_BYTES]);
        mac.copy_from_slice(tag.as_ref());
        mac
    }

    /// Takes the same time wherever the two differ.
    pub(super) fn has_signed(&self, bytes: &[u8], mac: &[u8]) -> bool {
        hmac::verify(&self.0, bytes, mac).is_ok()
    }
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey(not shown)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_key_that_could_be_guessed_is_refused_and_none_is_shown() {
        let text = "0123456789abcdef0123456789abcdef";
        for short in ["", "short", &text[1..], &format!(" {}\n", &text[1..])] {
            assert_eq!(LinkKey::parse(short).map(drop), Err(LinkKeyError), "{short:?}");
        }
        let key = LinkKey::parse(text).unwrap();
        assert_eq!(format!("{key:?}"), "LinkKey(not shown)");
        let with_its_line_end = LinkKey::parse(&format!("{text}\n")).unwrap();
        assert!(with_its_line_end.has_signed(b"x", &key.sign(b"x")));
    }
}
