//! A statement as the bytes that travel, with the registrar's signature in front.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use protocol::control::feed::Batch;

use crate::key::{FeedKey, SigningKey};

/// Bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// Most bytes of one signed statement: a full batch of the longest names and hosts.
pub const SIGNED_BYTES_MAX: usize = 16 << 20;

/// What a feed says. Each kind is signed in a domain of its own, so that one cannot pass for another.
pub trait Statement: Serialize + DeserializeOwned {
    /// What is signed before the statement's own bytes.
    const DOMAIN: &'static [u8];
}

impl Statement for Batch {
    const DOMAIN: &'static [u8] = b"warren feed batch 1\n";
}

/// A statement that somebody says the registrar has made. Copies share their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    signature: [u8; SIGNATURE_BYTES],
    body: Arc<[u8]>,
}

/// The key did not sign this, or it is no statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// Too short to have a signature, or too long for a statement.
    #[error("what came is no signed statement")]
    Form,
    /// Signed by nobody, or by somebody else.
    #[error("it is not signed with the feed's key")]
    Signature,
    /// Signed, and yet nothing that this version understands.
    #[error("it is signed, but this version does not understand it")]
    Statement,
}

impl Signed {
    /// Signs.
    ///
    /// # Errors
    /// [`Forged::Form`] if the statement is too long; none of ours is.
    pub fn of<T: Statement>(statement: &T, key: &SigningKey) -> Result<Self, Forged> {
        let body = serde_json::to_vec(statement).map_err(|_| Forged::Statement)?;
        let signature = key.sign(&message::<T>(&body));
        let signature = signature.try_into().map_err(|_| Forged::Form)?;
        if body.len() > SIGNED_BYTES_MAX - SIGNATURE_BYTES {
            return Err(Forged::Form);
        }
        Ok(Self { signature, body: body.into() })
    }

    /// Takes the bytes apart, and believes nothing yet.
    ///
    /// # Errors
    /// [`Forged::Form`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Forged> {
        match bytes.split_first_chunk() {
            Some((signature, body)) if bytes.len() <= SIGNED_BYTES_MAX => {
                Ok(Self { signature: *signature, body: body.into() })
            }
            _ => Err(Forged::Form),
        }
    }

    /// The bytes that travel: the signature, then the statement.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.signature[..], &self.body].concat()
    }

    /// The statement, if the key has signed it.
    ///
    /// # Errors
    /// [`Forged`].
    pub fn open<T: Statement>(&self, key: &FeedKey) -> Result<T, Forged> {
        if !key.has_signed(&message::<T>(&self.body), &self.signature) {
            return Err(Forged::Signature);
        }
        self.stated()
    }

    /// The statement, whoever has signed it: for what was opened before.
    ///
    /// # Errors
    /// [`Forged::Statement`].
    pub fn stated<T: Statement>(&self) -> Result<T, Forged> {
        serde_json::from_slice(&self.body).map_err(|_| Forged::Statement)
    }
}

/// In JSON it is base64 for URLs.
impl Serialize for Signed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(self.to_bytes()))
    }
}

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text.as_bytes()).map_err(de::Error::custom)?;
        Self::from_bytes(&bytes).map_err(de::Error::custom)
    }
}

fn message<T: Statement>(body: &[u8]) -> Vec<u8> {
    [T::DOMAIN, body].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use protocol::FeedId;
    use protocol::Timestamp;

    use super::*;
    use crate::Checkpoint;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_seed(&[byte; 32]).unwrap()
    }

    fn batch() -> Batch {
        Batch {
            feed: FeedId::from_bytes([1; 16]),
            changes: Vec::new(),
            newest: 5,
            at: Timestamp(9),
        }
    }

    #[test]
    fn what_was_signed_opens_and_every_flipped_bit_is_noticed() {
        let (key, good) = (key(1), batch());
        let public = key.public();
        let bytes = Signed::of(&good, &key).unwrap().to_bytes();
        assert_eq!(Signed::from_bytes(&bytes).unwrap().open::<Batch>(&public), Ok(good));
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            let opened = Signed::from_bytes(&bad).unwrap().open::<Batch>(&public);
            assert_eq!(opened, Err(Forged::Signature), "bit {at}");
        }
        for cut in 0..bytes.len() {
            let opened = Signed::from_bytes(&bytes[..cut]).and_then(|s| s.open::<Batch>(&public));
            assert!(opened.is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn another_key_and_another_kind_do_not_count() {
        let signed = Signed::of(&batch(), &key(1)).unwrap();
        let other = key(2).public();
        assert_eq!(signed.open::<Batch>(&other), Err(Forged::Signature));
        let own = key(1).public();
        assert_eq!(signed.open::<Checkpoint>(&own), Err(Forged::Signature));
    }

    #[test]
    fn what_is_signed_and_not_understood_is_refused() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Newer {
            later: Timestamp,
        }
        impl Statement for Newer {
            const DOMAIN: &'static [u8] = Batch::DOMAIN;
        }
        let signed = Signed::of(&Newer { later: Timestamp(1) }, &key(1)).unwrap();
        let opened = signed.open::<Batch>(&key(1).public());
        assert_eq!(opened, Err(Forged::Statement));
    }
}
