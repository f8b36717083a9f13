//! Whom clients trust, and what they show of themselves.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::authority::{Authority, self_signed};
use super::{SetupError, authority};
use crate::check::{Check, failed, not_applicable};

/// The certificate of @bob's host.
enum Peer {
    /// We can issue any.
    Any(Box<Authority>),
    /// This one was given.
    Given(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
    /// There is none.
    None,
}

/// Trust and certificates of a run.
pub struct Tls {
    roots: RootCertStore,
    plain: Arc<ClientConfig>,
    peer: Peer,
}

impl Tls {
    /// Trusts one authority, which issues whatever is needed.
    ///
    /// # Errors
    /// Where its certificate cannot be used.
    pub fn of_authority(authority: Authority) -> Result<Self, SetupError> {
        let roots = roots(authority.pem.as_bytes(), "our own authority")?;
        Self::new(roots, Peer::Any(Box::new(authority)))
    }

    /// Trusts the authorities of a PEM file; `peer` are chain and key of @bob's host, if known.
    ///
    /// # Errors
    /// Where a file cannot be used.
    pub fn of_files(ca_file: &Path, peer: Option<(&Path, &Path)>) -> Result<Self, SetupError> {
        let text = std::fs::read(ca_file).map_err(|error| unreadable(ca_file, error))?;
        let roots = roots(&text, &ca_file.display().to_string())?;
        let peer = match peer {
            None => Peer::None,
            Some((chain, key)) => {
                let certificates = CertificateDer::pem_file_iter(chain)
                    .and_then(Iterator::collect)
                    .map_err(|error| unreadable(chain, error))?;
                let key =
                    PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, error))?;
                Peer::Given(certificates, key)
            }
        };
        Self::new(roots, peer)
    }

    fn new(roots: RootCertStore, peer: Peer) -> Result<Self, SetupError> {
        let wrong = |error| SetupError::new("setting TLS up", error);
        let versions = versions(&roots, &[&TLS12, &TLS13]).map_err(wrong)?;
        Ok(Self { plain: Arc::new(versions), roots, peer })
    }

    /// A client without a certificate, as all SDKs are.
    pub fn plain(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.plain)
    }

    /// A client that speaks only TLS 1.2, or only 1.3.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn only(&self, is_13: bool) -> Check<Arc<ClientConfig>> {
        let version = if is_13 { &TLS13 } else { &TLS12 };
        let config = versions(&self.roots, &[version]);
        config.map(Arc::new).map_err(|error| failed("a TLS client", error))
    }

    /// A server's certificate for these hosts, the first of which is that of @bob.
    ///
    /// # Errors
    /// [`Stop::NotApplicable`](crate::Stop) where there is none.
    pub fn peer(&self, hosts: &[&str]) -> Check<Arc<ClientConfig>> {
        match &self.peer {
            Peer::Any(authority) => self.showing(authority.issue(hosts).map_err(unmade)?),
            Peer::Given(chain, key) => self.with(chain.clone(), key.clone_key()),
            Peer::None => Err(not_applicable("needs the certificate of @bob's host (--peer-cert)")),
        }
    }

    /// A good certificate for other hosts.
    ///
    /// # Errors
    /// [`Stop::NotApplicable`](crate::Stop) where we have no authority that is trusted there.
    pub fn other(&self, hosts: &[&str]) -> Check<Arc<ClientConfig>> {
        match &self.peer {
            Peer::Any(authority) => self.showing(authority.issue(hosts).map_err(unmade)?),
            _ => Err(not_applicable("needs a certificate of an authority that is trusted there")),
        }
    }

    /// A certificate that nobody vouches for.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn stranger(&self, host: &str) -> Check<Arc<ClientConfig>> {
        self.showing(self_signed(host).map_err(unmade)?)
    }

    fn showing(&self, leaf: authority::Leaf) -> Check<Arc<ClientConfig>> {
        self.with(leaf.chain, leaf.key)
    }

    fn with(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Check<Arc<ClientConfig>> {
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(self.roots.clone()))
            .and_then(|builder| builder.with_client_auth_cert(chain, key));
        config.map(Arc::new).map_err(|error| failed("a TLS client", error))
    }
}

fn versions(
    roots: &RootCertStore,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_protocol_versions(versions)?;
    Ok(builder.with_root_certificates(roots.clone()).with_no_client_auth())
}

fn roots(pem: &[u8], from: &str) -> Result<RootCertStore, SetupError> {
    let wrong = |error: String| SetupError::new(format!("reading certificates of {from}"), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("there is none".into())) } else { Ok(roots) }
}

fn unreadable(file: &Path, error: impl ToString) -> SetupError {
    SetupError::new(format!("reading {}", file.display()), error)
}

fn unmade(error: SetupError) -> crate::Stop {
    failed("a certificate", error)
}
