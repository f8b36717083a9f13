//! Checks of RSA signatures, PKCS#1 v1.5.

use protocol::AtSign;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaParameters, UnparsedPublicKey};

use super::{PeerProven, decode_base64, spki};

/// Whether `signature` over `message` was made with the key behind a base64 SubjectPublicKeyInfo.
pub(super) fn is_signed(
    parameters: &'static RsaParameters,
    key: &str,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Some(structure) = decode_base64(key) else { return false };
    let Some(key) = spki::rsa_public_key(&structure) else { return false };
    UnparsedPublicKey::new(parameters, key).verify(message, signature).is_ok()
}

/// Checks what a peer's server left for us to fetch: the signature of our secret, made with the key
/// that the same server publishes (the protocol's section 4.5, step 8).
pub(crate) fn verify_peer(
    peer: AtSign,
    key: &str,
    secret: &str,
    signature: &str,
) -> Option<PeerProven> {
    let signature = decode_base64(signature)?;
    is_signed(&RSA_PKCS1_2048_8192_SHA256, key, secret.as_bytes(), &signature)
        .then_some(PeerProven(peer))
}
