//! Keys, and how all of them are derived from the master key.

use std::io;
use std::sync::Arc;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::master_key::MasterKey;

pub(crate) const KEY_BYTES: usize = 32;

/// A secret key. It is wiped when dropped and never printed.
#[derive(Clone)]
pub struct Key(pub(crate) Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    pub(crate) fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Draws a new key.
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub(crate) fn random() -> io::Result<Self> {
        let mut key = Self::from_bytes([0; KEY_BYTES]);
        fill_random(&mut key.0[..])?;
        Ok(key)
    }

    /// The key's bytes, for whoever computes with it.
    #[must_use]
    pub fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

pub(crate) fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
}

/// Derives keys from the master key, each for one label.
#[derive(Debug, Clone)]
pub struct Keyring(Arc<MasterKey>);

impl Keyring {
    /// A keyring under this master key.
    #[must_use]
    pub fn new(master: MasterKey) -> Self {
        Self(Arc::new(master))
    }

    /// The key for a purpose outside the store. The same label gives the same key, today and after
    /// a restart; two labels give keys that tell nothing of one another.
    #[must_use]
    pub fn derive(&self, label: &str) -> Key {
        self.expand(&[b"label ", label.as_bytes()])
    }

    /// The store's own keys, in a name space that no label reaches.
    pub(crate) fn derive_own(&self, purpose: &str) -> Key {
        self.expand(&[b"storage ", purpose.as_bytes()])
    }

    fn expand(&self, info: &[&[u8]]) -> Key {
        let hkdf = Hkdf::<Sha256>::new(Some(b"warren master key v1"), self.0.key().bytes());
        let mut key = Key::from_bytes([0; KEY_BYTES]);
        // HKDF refuses only outputs beyond 8,160 bytes.
        let expanded = hkdf.expand_multi_info(info, &mut key.0[..]);
        debug_assert!(expanded.is_ok());
        key
    }
}

impl From<MasterKey> for Keyring {
    fn from(master: MasterKey) -> Self {
        Self::new(master)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_keys_of_their_own() {
        let ring = Keyring::new(MasterKey::from_bytes([1; 32]));
        let other = Keyring::new(MasterKey::from_bytes([2; 32]));
        let keys = [ring.derive("a"), ring.derive("b"), ring.derive_own("a"), other.derive("a")];
        for (i, one) in keys.iter().enumerate() {
            for two in &keys[..i] {
                assert_ne!(one.bytes(), two.bytes());
            }
        }
        assert_eq!(ring.derive("a").bytes(), keys[0].bytes());
        assert_eq!(format!("{:?}", keys[0]), "Key(…)");
        assert!(!format!("{ring:?}").contains('1'));
    }
}
