//! A certificate for `localhost`, and for names below `warren.localhost`, that signs itself.

use std::path::{Path, PathBuf};

/// Where a certificate and its key are.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate, for those who shall trust it too.
    pub chain: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes a new one, `chain.pem` and `key.pem` in this folder.
    pub fn make(dir: &Path) -> Self {
        let names = ["localhost", "*.warren.localhost"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let (chain, key) = (dir.join("chain.pem"), dir.join("key.pem"));
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::write(&chain, made.cert.pem()).unwrap();
        Self { chain, key }
    }
}
