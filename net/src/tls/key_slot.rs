//! The certificate in use, which can be replaced while connections live.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::TlsMaterial;

/// Answers the TLS library's question "which certificate?" for both ends of a connection.
#[derive(Debug)]
pub(super) struct KeySlot(ArcSwapOption<CertifiedKey>);

impl KeySlot {
    pub(super) fn new(material: Option<&TlsMaterial>) -> Arc<Self> {
        Arc::new(Self(ArcSwapOption::new(material.map(TlsMaterial::certified_key))))
    }

    /// Handshakes that begin after this use the new material; nobody else notices.
    pub(super) fn replace(&self, material: &TlsMaterial) {
        self.0.store(Some(material.certified_key()));
    }
}

impl ResolvesServerCert for KeySlot {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

impl ResolvesClientCert for KeySlot {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.load_full().filter(|pair| pair.key.choose_scheme(schemes).is_some())
    }

    fn has_certs(&self) -> bool {
        self.0.load().is_some()
    }
}
