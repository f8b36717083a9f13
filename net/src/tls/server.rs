//! The server's end of TLS.

use std::fmt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio_rustls::TlsAcceptor;

use super::key_slot::KeySlot;
use super::unproven::UnprovenClients;
use super::{TlsError, TlsMaterial, provider};

/// How a server greets: TLS 1.2 and 1.3, a client certificate asked for but not required, nothing
/// resumed (some clients take a session ticket for an error; none of them resumes).
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    slot: Arc<KeySlot>,
}

impl ServerTls {
    /// Serves with this certificate.
    ///
    /// # Errors
    /// [`TlsError::Configure`] if the TLS library refuses.
    pub fn new(material: &TlsMaterial) -> Result<Self, TlsError> {
        let provider = provider();
        let slot = KeySlot::new(Some(material));
        let clients = UnprovenClients::new(provider.signature_verification_algorithms);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Configure)?
            .with_client_cert_verifier(Arc::new(clients))
            .with_cert_resolver(Arc::clone(&slot) as _);
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { config: Arc::new(config), slot })
    }

    /// Handshakes from now on show the new certificate; connections that exist live on.
    pub fn reload(&self, material: &TlsMaterial) {
        self.slot.replace(material);
    }

    /// For a stream that [`handshake::accept`](crate::handshake::accept) does not cover.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls")
    }
}
