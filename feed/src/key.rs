//! The key pair of a feed: Ed25519 (RFC 8032).

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes of a public key.
const KEY_BYTES: usize = 32;

/// What stands before a key in text, so that nobody takes another kind for one.
const PREFIX: &str = "ed25519:";

/// With which the registrar signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: FeedKey,
}

/// With which everybody checks: `ed25519:` and 43 characters of base64 for URLs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeedKey([u8; KEY_BYTES]);

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a feed's key is `ed25519:` and 43 letters, digits, `-` and `_`")]
pub struct FeedKeyError;

impl SigningKey {
    /// The key of these 32 secret bytes; the same bytes give the same key.
    ///
    /// # Errors
    /// [`FeedKeyError`] where ring refuses them; it takes any.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, FeedKeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| FeedKeyError)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| FeedKeyError)?;
        Ok(Self { pair, public: FeedKey(public) })
    }

    /// The half that everybody may know.
    #[must_use]
    pub fn public(&self) -> FeedKey {
        self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(not shown)")
    }
}

impl FeedKey {
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl FromStr for FeedKey {
    type Err = FeedKeyError;

    fn from_str(text: &str) -> Result<Self, FeedKeyError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(FeedKeyError)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| FeedKeyError)?;
        bytes.try_into().map(Self).map_err(|_| FeedKeyError)
    }
}

impl fmt::Display for FeedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for FeedKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FeedKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl fmt::Debug for FeedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeedKey({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_survives_as_text_and_nothing_else_is_one() {
        let key = SigningKey::from_seed(&[7; 32]).unwrap().public();
        let text = key.to_string();
        assert_eq!(text.len(), PREFIX.len() + 43);
        assert_eq!(format!("{text}\n").parse(), Ok(key));
        for bad in ["", "ed25519:", &text[8..], &text[..50], "ed25519:****", &format!("{text}A")] {
            assert_eq!(bad.parse::<FeedKey>(), Err(FeedKeyError), "{bad}");
        }
    }

    #[test]
    fn the_secret_half_is_not_printed() {
        let key = SigningKey::from_seed(&[7; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(not shown)");
    }
}
