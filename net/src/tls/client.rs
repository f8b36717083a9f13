//! The client's end of TLS.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio_rustls::TlsConnector;

use super::key_slot::KeySlot;
use super::{TlsError, TlsMaterial, TrustRoots, provider};

/// How we call: the other side's certificate must come from a trusted root and carry the host's
/// name; ours is shown if we are asked and have one.
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    slot: Arc<KeySlot>,
}

impl ClientTls {
    /// Trusts `roots`; between servers `material` is the server's own (the protocol's section 3.3).
    ///
    /// # Errors
    /// [`TlsError::Configure`] if the TLS library refuses.
    pub fn new(roots: &TrustRoots, material: Option<&TlsMaterial>) -> Result<Self, TlsError> {
        let slot = KeySlot::new(material);
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Configure)?
            .with_root_certificates(roots.store())
            .with_client_cert_resolver(Arc::clone(&slot) as _);
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), slot })
    }

    /// Calls from now on show the new certificate.
    pub fn reload(&self, material: &TlsMaterial) {
        self.slot.replace(material);
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.config))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientTls")
    }
}
