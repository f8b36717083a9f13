//! Somebody with a server in a cell.

use std::sync::Arc;

use rustls::ClientConfig;

use crate::{LineClient, Warren, client_config};

/// Who she is, and how she reaches her server.
pub struct Tenant {
    /// Her name.
    pub name: &'static str,
    address: String,
    secret: String,
    config: Arc<ClientConfig>,
}

impl Tenant {
    /// Registers her.
    pub fn register(warren: &Warren, name: &'static str) -> Self {
        let (address, secret) = warren.register(name);
        Self { name, address, secret, config: client_config(&warren.endpoints.ca_file) }
    }

    /// A connection that CRAM has made hers.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub fn connect(&self) -> std::io::Result<LineClient> {
        let mut client = LineClient::connect_with(&self.address, Arc::clone(&self.config))?;
        client.try_cram(self.name, &self.secret)?;
        Ok(client)
    }
}
