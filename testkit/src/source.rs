//! Whom a replica follows.

use std::path::PathBuf;

use crate::Endpoints;

/// The feed over HTTPS, of a registrar or of a directory that relays it.
#[derive(Debug, Clone)]
pub struct Source {
    /// `https://host:port`.
    pub url: String,
    /// The authority to trust there.
    pub ca_file: PathBuf,
    /// Where the token stands.
    pub token_file: PathBuf,
    /// With which the feed is signed.
    pub feed_key: String,
}

impl Source {
    /// The registrar itself.
    pub fn registrar(endpoints: &Endpoints) -> Self {
        Self {
            url: endpoints.registrar.clone(),
            ca_file: endpoints.ca_file.clone(),
            token_file: endpoints.admin_token_file.clone(),
            feed_key: endpoints.feed_key.clone(),
        }
    }
}
