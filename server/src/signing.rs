//! The key pair with which a server proves to others for whom it speaks (the protocol's sections
//! 4.4 and 4.5).
//!
//! Making one takes a noticeable part of a second of processor time, so it is made when it is first
//! needed, and by few servers at a time. The `rsa` crate makes it; every later use of the private
//! key is `ring`'s, which takes the same time whatever the key.

use std::sync::Arc;

use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey};

use crate::auth::{decode_base64, encode_base64};
use crate::keys;
use crate::refusal::Refusal;
use crate::server::Server;

const MODULUS_BITS: usize = 2048;

/// The pair, ready to sign.
pub(crate) struct SigningPair(RsaKeyPair);

/// A fresh pair, as it is stored: base64 of PKCS#8 and of SubjectPublicKeyInfo.
pub(crate) struct FreshPair {
    pub(crate) private_key: String,
    pub(crate) public_key: String,
}

/// A pair could not be made, read or used. The cause is not told: it could tell about the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signing key pair cannot be used")]
pub(crate) struct SigningError;

impl FreshPair {
    /// Makes one; takes long, so not on a thread that serves connections.
    pub(crate) fn generate() -> Result<Self, SigningError> {
        let pair =
            RsaPrivateKey::new(&mut rand_core::OsRng, MODULUS_BITS).map_err(|_| SigningError)?;
        let private_key = pair.to_pkcs8_der().map_err(|_| SigningError)?;
        let public_key = pair.to_public_key().to_public_key_der().map_err(|_| SigningError)?;
        Ok(Self {
            private_key: encode_base64(private_key.as_bytes()),
            public_key: encode_base64(public_key.as_bytes()),
        })
    }
}

impl SigningPair {
    /// Reads a stored private key.
    pub(crate) fn parse(private_key: &str) -> Result<Self, SigningError> {
        let der = decode_base64(private_key).ok_or(SigningError)?;
        RsaKeyPair::from_pkcs8(&der).map(Self).map_err(|_| SigningError)
    }

    /// Signs a peer's secret; base64.
    pub(crate) fn sign(&self, secret: &str) -> Result<String, SigningError> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), secret.as_bytes(), &mut signature)
            .map_err(|_| SigningError)?;
        Ok(encode_base64(&signature))
    }
}

impl Server {
    /// Has the signing pair made in the background, if there is none.
    pub(crate) fn prepare_signing(self: &Arc<Self>) {
        if self.signing().initialized() {
            return;
        }
        let server = Arc::clone(self);
        self.tasks().spawn(async move {
            if server.ensure_signing().await.is_err() {
                tracing::warn!(identity = %server.identity(), "there is no signing key pair");
            }
        });
    }

    /// Has the signing pair made if there is none, and the owner has activated her identity: before
    /// that, a question of somebody else is not worth the work.
    pub(crate) async fn ensure_signing(&self) -> Result<(), Refusal> {
        let (pair, now) = (keys::signing_private(self.identity())?, self.now());
        let needs_pair = self
            .ledger()
            .read(|view| Ok(!view.has(&pair)? && view.value(keys::PKAM_PUBLIC, now)?.is_some()))
            .await?;
        if needs_pair {
            self.signing_pair().await?;
        }
        Ok(())
    }

    /// The pair with which this server proves for whom it speaks; made and stored if there is none.
    pub(crate) async fn signing_pair(&self) -> Result<&SigningPair, Refusal> {
        self.signing().get_or_try_init(|| self.load_or_make_pair()).await
    }

    async fn load_or_make_pair(&self) -> Result<SigningPair, Refusal> {
        let (private, now) = (keys::signing_private(self.identity())?, self.now());
        let stored = self.ledger().read(|view| view.value(private.as_str(), now)).await?;
        if let Some(stored) = stored {
            return SigningPair::parse(&stored).map_err(unusable);
        }
        let fresh = self.make_pair().await.map_err(unusable)?;
        let pair = SigningPair::parse(&fresh.private_key).map_err(unusable)?;
        let public = keys::signing_public(self.identity())?;
        self.write(|draft| {
            draft.put_own(&public, fresh.public_key)?;
            draft.put_own(&private, fresh.private_key)?;
            draft.put_own(&keys::signing_generated()?, "true".to_owned())
        })
        .await?;
        Ok(pair)
    }

    async fn make_pair(&self) -> Result<FreshPair, SigningError> {
        let _turn = self.world().key_generations.acquire().await.ok();
        tokio::task::spawn_blocking(FreshPair::generate).await.unwrap_or(Err(SigningError))
    }
}

fn unusable(error: SigningError) -> Refusal {
    tracing::error!(%error, "a signing key pair cannot be used");
    Refusal::new(protocol::ErrorCode::InternalException, error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use protocol::AtSign;

    use super::*;
    use crate::auth::verify_peer;

    #[test]
    fn what_a_fresh_pair_signs_its_public_half_proves_and_nothing_else() {
        let fresh = FreshPair::generate().unwrap();
        let pair = SigningPair::parse(&fresh.private_key).unwrap();
        let signature = pair.sign("secret").unwrap();
        let alice = AtSign::parse("@alice").unwrap();
        let check = |key: &str, secret, signature: &str| {
            verify_peer(alice.clone(), key, secret, signature)
                .map(crate::auth::PeerProven::into_name)
        };
        assert_eq!(check(&fresh.public_key, "secret", &signature), Some(alice.clone()));
        assert_eq!(check(&fresh.public_key, "secreT", &signature), None);
        assert_eq!(check(&fresh.private_key, "secret", &signature), None);
        assert_eq!(check("", "secret", &signature), None);
        assert_eq!(check(&fresh.public_key, "secret", ""), None);
        assert!(SigningPair::parse(&fresh.public_key).is_err());
    }
}
