//! Activation secrets. They are never stored: whoever holds the key can derive each again, so that
//! handing one over may be repeated.

use std::fmt;

use feed::{FeedKey, FeedKeyError, SigningKey};
use hkdf::Hkdf;
use protocol::{AtSign, Epoch, RegistrationId};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Random-looking bytes in a secret. Clients treat its 128 hexadecimal digits as text.
const SECRET_BYTES: usize = 64;

/// With which an owner activates her identity from her first device.
#[derive(Clone, PartialEq, Eq)]
pub struct ActivationSecret(Zeroizing<String>);

/// From which all activation secrets are derived, and the seals of the web forms.
pub(crate) struct ActivationKey(Hkdf<Sha256>);

impl ActivationSecret {
    /// The text, for the one who may have it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ActivationSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActivationSecret(not shown)")
    }
}

impl fmt::Debug for ActivationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActivationKey(not shown)")
    }
}

impl ActivationKey {
    /// Takes key material of at least 32 secret bytes.
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(Hkdf::new(Some(b"warren registrar 1"), key))
    }

    /// The secret of one registration.
    pub(crate) fn secret(
        &self,
        identity: &AtSign,
        registration: RegistrationId,
        epoch: Epoch,
    ) -> ActivationSecret {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        let epoch = epoch.number().to_be_bytes();
        let parts = [&registration.as_bytes()[..], &epoch, identity.bare().as_bytes()];
        self.expand(b"activation", &parts, bytes.as_mut_slice());
        ActivationSecret(Zeroizing::new(hex::encode(bytes.as_slice())))
    }

    /// Proves later that this registrar made `parts`. The length of every part but the last must
    /// not depend on anybody outside.
    pub(crate) fn seal(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut seal = [0; 32];
        self.expand(b"web form", parts, &mut seal);
        seal
    }

    /// From which the feed's key pair is made.
    pub(crate) fn feed_seed(&self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0; 32]);
        self.expand(b"feed", &[], seed.as_mut_slice());
        seed
    }

    /// The label ends with a zero byte, which none contains: no two purposes share an input.
    fn expand(&self, label: &[u8], parts: &[&[u8]], out: &mut [u8]) {
        let info: Vec<&[u8]> = [label, &[0]].into_iter().chain(parts.iter().copied()).collect();
        // HKDF refuses only outputs longer than 255 hashes; ours have at most two.
        let expanded = self.0.expand_multi_info(&info, out);
        debug_assert!(expanded.is_ok());
    }
}

/// The feed key of a registrar that is opened with `key`: what its directories are told to believe,
/// before it has ever run.
///
/// # Errors
/// If no key pair can be made.
pub fn feed_key(key: &storage::Key) -> Result<FeedKey, FeedKeyError> {
    let seed = ActivationKey::new(key.bytes()).feed_seed();
    SigningKey::from_seed(&seed).map(|signing| signing.public())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn name(text: &str) -> AtSign {
        AtSign::parse(text).unwrap()
    }

    fn id(byte: u8) -> RegistrationId {
        RegistrationId::from_bytes([byte; 16])
    }

    #[test]
    fn a_secret_is_128_digits_and_the_same_each_time() {
        let key = ActivationKey::new(&[1; 32]);
        let secret = key.secret(&name("@alice"), id(1), Epoch::FIRST);
        assert_eq!(secret.expose().len(), 128);
        assert!(secret.expose().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(
            secret,
            ActivationKey::new(&[1; 32]).secret(&name("alice"), id(1), Epoch::FIRST)
        );
    }

    #[test]
    fn every_input_changes_the_secret() {
        let key = ActivationKey::new(&[1; 32]);
        let second = Epoch::FIRST.next().unwrap();
        let secrets = [
            key.secret(&name("@alice"), id(1), Epoch::FIRST),
            key.secret(&name("@alicf"), id(1), Epoch::FIRST),
            key.secret(&name("@alice"), id(2), Epoch::FIRST),
            key.secret(&name("@alice"), id(1), second),
            ActivationKey::new(&[2; 32]).secret(&name("@alice"), id(1), Epoch::FIRST),
        ];
        for (index, secret) in secrets.iter().enumerate() {
            assert!(!secrets[..index].contains(secret), "{index}");
        }
    }

    #[test]
    fn neither_the_key_nor_a_secret_is_printed() {
        let key = ActivationKey::new(b"planted key material, 32 bytes!!");
        let secret = key.secret(&name("@alice"), id(1), Epoch::FIRST);
        let printed = format!("{key:?} {secret:?}");
        assert!(!printed.contains("planted") && !printed.contains(&secret.expose()[..8]));
    }
}
