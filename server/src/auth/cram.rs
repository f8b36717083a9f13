//! Proof by the activation secret (the protocol's section 4.2).

use ring::digest::{SHA512, digest};
use subtle::ConstantTimeEq;

use super::{Means, OwnerProven};

/// Checks the digest over secret and challenge. The comparison takes the same time wherever the
/// two differ.
pub(crate) fn verify_cram(secret: &str, challenge: &str, sent: &str) -> Option<OwnerProven> {
    let expected = digest(&SHA512, [secret, challenge].concat().as_bytes());
    let sent = hex::decode(sent.trim()).ok()?;
    bool::from(expected.as_ref().ct_eq(&sent)).then_some(OwnerProven(Means::Secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_digest_of_secret_and_challenge_proves_the_owner() {
        // printf 'secret_s@alice:c' | sha512sum
        let good = digest(&SHA512, b"secret_s@alice:c");
        let good = hex::encode(good.as_ref());
        assert!(verify_cram("secret", "_s@alice:c", &good).is_some());
        assert!(verify_cram("secret", "_s@alice:d", &good).is_none());
        assert!(verify_cram("", "_s@alice:c", &good).is_none());
        assert!(verify_cram("secret", "_s@alice:c", &good[..126]).is_none());
        assert!(verify_cram("secret", "_s@alice:c", "no digest").is_none());
        assert!(verify_cram("secret", "_s@alice:c", "").is_none());
    }
}
