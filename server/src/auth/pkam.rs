//! Proof by the owner's key pair (the protocol's section 4.3).

use protocol::verb::{HashingAlgo, Pkam, SigningAlgo};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    UnparsedPublicKey,
};

use super::{Means, OwnerProven, decode_base64, rsa_proof};

/// Why a signature proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PkamError {
    /// Not base64: the client, or its line, is broken.
    #[error("the signature is not base64")]
    Undecodable,
    /// Not this challenge, or not this key.
    #[error("the signature does not verify")]
    Wrong,
}

/// Checks the signature of a challenge with the owner's stored key.
pub(crate) fn verify_pkam(
    key: &str,
    challenge: &str,
    sent: &Pkam,
) -> Result<OwnerProven, PkamError> {
    let signature = decode_base64(&sent.signature).ok_or(PkamError::Undecodable)?;
    let message = challenge.as_bytes();
    let is_good = match (sent.signing_algo, sent.hashing_algo) {
        (SigningAlgo::Rsa2048, HashingAlgo::Sha256) => {
            rsa_proof::is_signed(&RSA_PKCS1_2048_8192_SHA256, key, message, &signature)
        }
        (SigningAlgo::Rsa2048, HashingAlgo::Sha512) => {
            rsa_proof::is_signed(&RSA_PKCS1_2048_8192_SHA512, key, message, &signature)
        }
        (SigningAlgo::EccSecp256r1, _) => is_ecc_signed(key, message, &signature),
    };
    if is_good { Ok(OwnerProven(Means::Key)) } else { Err(PkamError::Wrong) }
}

/// The key is the uncompressed point in hexadecimal; the signature is the text of `r` and `s` in
/// hexadecimal, of which the client sent base64.
fn is_ecc_signed(key: &str, message: &[u8], signature_text: &[u8]) -> bool {
    let Ok(point) = hex::decode(key.trim()) else { return false };
    let Ok(signature) = hex::decode(signature_text) else { return false };
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, &signature).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;
    use crate::auth::encode_base64;

    fn sent(signing_algo: SigningAlgo, signature: String) -> Pkam {
        Pkam { signing_algo, hashing_algo: HashingAlgo::Sha256, enrollment_id: None, signature }
    }

    #[test]
    fn s067_pkam_with_ecc_secp256r1_verifies() {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).unwrap();
        let key = hex::encode(pair.public_key().as_ref());
        let raw = pair.sign(&random, b"challenge").unwrap();
        let signature = encode_base64(hex::encode(raw.as_ref()).as_bytes());
        let sent = sent(SigningAlgo::EccSecp256r1, signature);
        assert!(verify_pkam(&key, "challenge", &sent).is_ok());
        assert_eq!(verify_pkam(&key, "another", &sent).unwrap_err(), PkamError::Wrong);
        assert_eq!(verify_pkam("04", "challenge", &sent).unwrap_err(), PkamError::Wrong);
    }

    #[test]
    fn a_signature_that_is_not_base64_is_told_from_a_wrong_one() {
        let broken = sent(SigningAlgo::Rsa2048, "%%%".to_owned());
        assert_eq!(verify_pkam("", "c", &broken).unwrap_err(), PkamError::Undecodable);
        let wrong = sent(SigningAlgo::Rsa2048, "AAAA".to_owned());
        assert_eq!(verify_pkam("", "c", &wrong).unwrap_err(), PkamError::Wrong);
    }
}
