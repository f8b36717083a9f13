//! An identity and the ways to her server.

use std::sync::Arc;

use rustls::ClientConfig;

use super::credential::{Credential, cram_digest};
use super::{RsaKeys, Tls};
use crate::check::{Check, not_applicable};
use crate::wire::Client;

/// An identity whose owner we are.
pub struct Identity {
    /// With its `@`.
    pub name: String,
    /// Host of the server, as the directory says.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    credential: Credential,
    tls: Arc<Tls>,
}

impl Identity {
    /// One whose address is known.
    pub fn new(
        name: String,
        address: (String, u16),
        credential: Credential,
        tls: Arc<Tls>,
    ) -> Self {
        Self { name, host: address.0, port: address.1, credential, tls }
    }

    /// Without its `@`.
    pub fn bare(&self) -> &str {
        self.name.trim_start_matches('@')
    }

    /// An open connection, its greeting read.
    ///
    /// # Errors
    /// Where there is no greeting.
    pub async fn connect(&self) -> Check<Client> {
        self.connect_with(self.tls.plain()).await
    }

    /// The same with other certificates or versions of TLS.
    ///
    /// # Errors
    /// Where there is no greeting.
    pub async fn connect_with(&self, config: Arc<ClientConfig>) -> Check<Client> {
        let mut client = self.connect_ungreeted(config).await?;
        client.is_told("the greeting of the server", "@").await?;
        Ok(client)
    }

    /// The same before its greeting.
    ///
    /// # Errors
    /// Where there is no connection.
    pub async fn connect_ungreeted(&self, config: Arc<ClientConfig>) -> Check<Client> {
        Client::connect(&self.host, self.port, config).await
    }

    /// A connection of the owner.
    ///
    /// # Errors
    /// Where she is not let in.
    pub async fn owner(&self) -> Check<Client> {
        let mut client = self.connect().await?;
        self.authenticate(&mut client, "").await?;
        Ok(client)
    }

    /// Makes a connection the owner's; `options` follow the name in `from:`.
    ///
    /// # Errors
    /// Where she is not let in.
    pub async fn authenticate(&self, client: &mut Client, options: &str) -> Check {
        let challenge = client.data(&format!("from:{}{options}", self.name)).await?;
        let proof = self.credential.proof(&challenge)?;
        client.expect(&proof, &self.success()).await
    }

    /// The same with a key pair that was stored at the server.
    ///
    /// # Errors
    /// Where she is not let in.
    pub async fn pkam(&self, client: &mut Client, keys: &RsaKeys) -> Check {
        let challenge = client.data(&format!("from:{}", self.name)).await?;
        client.expect(&format!("pkam:{}", keys.sign(&challenge)?), &self.success()).await
    }

    /// The same as an enrolment.
    ///
    /// # Errors
    /// Where it is not let in.
    pub async fn enrolled(&self, id: &str, keys: &RsaKeys) -> Check<Client> {
        let mut client = self.connect().await?;
        let challenge = client.data(&format!("from:{}", self.name)).await?;
        let proof = format!("pkam:enrollmentId:{id}:{}", keys.sign(&challenge)?);
        client.expect(&proof, &self.success()).await?;
        Ok(client)
    }

    /// What a successful proof is answered with.
    pub fn success(&self) -> String {
        format!("data:success\n{}@", self.name)
    }

    /// Whether she is known by her activation secret.
    pub fn has_secret(&self) -> bool {
        matches!(self.credential, Credential::Secret(_))
    }

    /// The digest for `cram:`.
    ///
    /// # Errors
    /// [`Stop::NotApplicable`](crate::Stop) where we have keys instead of the secret.
    pub fn cram(&self, challenge: &str) -> Check<String> {
        match &self.credential {
            Credential::Secret(secret) => Ok(cram_digest(secret, challenge)),
            Credential::Keys(..) => Err(not_applicable("needs an activation secret, not keys")),
        }
    }

    /// An owner's connection by CRAM, her PKAM key stored.
    ///
    /// # Errors
    /// [`Stop::NotApplicable`](crate::Stop) where we have keys instead of the secret.
    pub async fn activated(&self, keys: &RsaKeys) -> Check<Client> {
        let mut client = self.connect().await?;
        let challenge = client.data(&format!("from:{}", self.name)).await?;
        client.expect(&format!("cram:{}", self.cram(&challenge)?), &self.success()).await?;
        client.gives(&format!("update:privatekey:at_pkam_publickey {}", keys.public), "-1").await?;
        Ok(client)
    }
}
