//! Key pairs that prove who somebody is.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair,
};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey};

use super::SetupError;
use crate::check::{Check, failed};

const RSA_BITS: usize = 2048;

/// An RSA pair, as PKAM and `pol` use it.
pub struct RsaKeys {
    /// base64 of the DER of the public key; empty where only signing is needed.
    pub public: String,
    pair: RsaKeyPair,
}

impl RsaKeys {
    /// The pair of this process; made at the first call, which takes a noticeable time.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn of_this_process() -> Result<Arc<Self>, SetupError> {
        static KEYS: Mutex<Option<Arc<RsaKeys>>> = Mutex::new(None);
        let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = &*keys {
            return Ok(Arc::clone(keys));
        }
        let made = Self::try_generate();
        let made = made.map_err(|error| SetupError::new("making a key pair", error))?;
        Ok(Arc::clone(keys.insert(Arc::new(made))))
    }

    fn try_generate() -> Result<Self, Box<dyn std::error::Error>> {
        let key = RsaPrivateKey::new(&mut rand_core::OsRng, RSA_BITS)?;
        let public = key.to_public_key().to_public_key_der()?;
        let pair = RsaKeyPair::from_pkcs8(key.to_pkcs8_der()?.as_bytes())
            .map_err(|error| error.to_string())?;
        Ok(Self { public: STANDARD.encode(public.as_bytes()), pair })
    }

    /// Reads a private key as servers and clients store it.
    ///
    /// # Errors
    /// Where it is none.
    pub fn from_pkcs8_base64(text: &str) -> Check<Self> {
        let bytes = STANDARD.decode(text.trim());
        let pair = bytes.ok().and_then(|bytes| RsaKeyPair::from_pkcs8(&bytes).ok());
        // The text is secret, so it is not shown.
        let pair = pair.ok_or_else(|| failed("base64 of a PKCS#8 key", "something else"))?;
        Ok(Self { public: String::new(), pair })
    }

    /// RSA-SHA256.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn sign(&self, text: &str) -> Check<String> {
        self.sign_with(&RSA_PKCS1_SHA256, text)
    }

    /// RSA-SHA512.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn sign_sha512(&self, text: &str) -> Check<String> {
        self.sign_with(&RSA_PKCS1_SHA512, text)
    }

    fn sign_with(&self, encoding: &'static dyn RsaEncoding, text: &str) -> Check<String> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        let signed =
            self.pair.sign(encoding, &SystemRandom::new(), text.as_bytes(), &mut signature);
        signed.map_err(|error| failed("a signature", error))?;
        Ok(STANDARD.encode(signature))
    }
}

/// A pair on the curve P-256.
pub struct EccKeys(EcdsaKeyPair);

impl EccKeys {
    /// Makes a new one.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn generate() -> Check<Self> {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let made = || {
            let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).ok()?;
            EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).ok()
        };
        made().map(Self).ok_or_else(|| failed("a key pair", "none could be made"))
    }

    /// Hex of the uncompressed point.
    pub fn public(&self) -> String {
        hex::encode(self.0.public_key())
    }

    /// base64 of the text of r‖s in hex.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn sign(&self, text: &str) -> Check<String> {
        let signature = self.0.sign(&SystemRandom::new(), text.as_bytes());
        let signature = signature.map_err(|error| failed("a signature", error))?;
        Ok(STANDARD.encode(hex::encode(signature)))
    }
}
