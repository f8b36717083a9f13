//! A certificate chain with its private key.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{TlsError, files, provider};

/// What a server shows and proves: its chain, its own certificate first, and the key of that one.
/// It exists only if the two belong together.
#[derive(Clone)]
pub struct TlsMaterial(Arc<CertifiedKey>);

impl TlsMaterial {
    /// Reads PEM files: the full chain, and the unencrypted key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    /// [`TlsError`] names the file and what to do.
    pub fn load(cert_file: &Path, key_file: &Path) -> Result<Self, TlsError> {
        let chain = files::read_certificates(cert_file)?;
        let key_text = files::read(key_file)?;
        let key = PrivateKeyDer::from_pem_slice(&key_text).map_err(|e| match e {
            pem::Error::NoItemsFound => TlsError::NoKey(key_file.to_owned()),
            _ => TlsError::Malformed(key_file.to_owned()),
        })?;
        Self::pair(chain, key).map_err(|source| TlsError::Mismatch {
            cert_file: cert_file.to_owned(),
            key_file: key_file.to_owned(),
            source,
        })
    }

    /// Checks that key and chain belong together.
    pub(super) fn pair(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        CertifiedKey::from_der(chain, key, &provider()).map(|pair| Self(Arc::new(pair)))
    }

    /// The chain, its own certificate first.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }

    pub(super) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsMaterial({} certificates)", self.0.cert.len())
    }
}
