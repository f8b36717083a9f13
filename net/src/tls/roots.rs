//! Whom we trust, and what that proves about a peer.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use protocol::HostName;
use rustls::RootCertStore;
use rustls::client::verify_server_name;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{TlsError, files, provider};
use crate::limits::PEER_CHAIN_MAX;

/// The certificates that others must descend from.
#[derive(Clone)]
pub struct TrustRoots {
    store: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
}

/// A client whose certificate was issued under our roots, is in date and may be used by clients.
/// Only [`TrustRoots::verify_client`] makes one.
#[derive(Clone)]
pub struct VerifiedPeer(CertificateDer<'static>);

impl TrustRoots {
    /// Reads a PEM bundle. A system's bundle may hold a few certificates that cannot be used; they
    /// are left out.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what to do; [`TlsError::Unusable`] if no certificate is left.
    pub fn from_pem_file(file: &Path) -> Result<Self, TlsError> {
        Self::from_pem_files([file])
    }

    /// The same for several bundles, of which each must have something to trust.
    ///
    /// # Errors
    /// As [`from_pem_file`](Self::from_pem_file).
    pub fn from_pem_files<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for file in files {
            add(&mut store, file)?;
        }
        Self::from_store(store)
    }

    fn from_store(store: RootCertStore) -> Result<Self, TlsError> {
        let store = Arc::new(store);
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::clone(&store), provider())
            .build()
            .map_err(|e| TlsError::Configure(rustls::Error::General(e.to_string())))?;
        Ok(Self { store, clients })
    }

    /// Whether the chain that a client showed (its own certificate first) is good now; none if it
    /// showed nothing, or nothing worth anything.
    #[must_use]
    pub fn verify_client(&self, chain: &[CertificateDer<'_>]) -> Option<VerifiedPeer> {
        let (own, issuers) = chain.split_first()?;
        if chain.len() > PEER_CHAIN_MAX {
            return None;
        }
        self.clients.verify_client_cert(own, issuers, UnixTime::now()).ok()?;
        Some(VerifiedPeer(own.clone().into_owned()))
    }

    pub(super) fn store(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.store)
    }
}

impl VerifiedPeer {
    /// Whether the certificate was issued for exactly this host: a subject alternative name equal
    /// to it, or a wildcard that stands for its first label. The subject's common name and parts of
    /// names count for nothing.
    #[must_use]
    pub fn is_host(&self, host: &HostName) -> bool {
        let Ok(certificate) = ParsedCertificate::try_from(&self.0) else { return false };
        ServerName::try_from(host.as_str())
            .is_ok_and(|name| verify_server_name(&certificate, &name).is_ok())
    }
}

impl fmt::Debug for TrustRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustRoots({})", self.store.len())
    }
}

impl fmt::Debug for VerifiedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifiedPeer")
    }
}

fn add(store: &mut RootCertStore, file: &Path) -> Result<(), TlsError> {
    let (before, mut refused) = (store.len(), None);
    for certificate in files::read_certificates(file)? {
        if let Err(e) = store.add(certificate) {
            refused = Some(e);
        }
    }
    match refused {
        Some(source) if store.len() == before => {
            Err(TlsError::Unusable { file: file.to_owned(), source })
        }
        _ => Ok(()),
    }
}
