//! One service of ours that may stand behind any of several addresses, as our daemons ask it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use protocol::Address;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::client::{HttpsClient, HttpsError};
use crate::dial::{DialPolicy, Dialer};
use crate::limits::UPSTREAM_DIAL_DEADLINE;
use crate::tls::ClientTls;

/// Asks whichever address answered last, and the others after it in their order. Clones are the
/// same.
#[derive(Debug, Clone)]
pub struct Upstream {
    client: HttpsClient,
    addresses: Arc<[Address]>,
    token: Arc<str>,
    last: Arc<AtomicUsize>,
}

/// Why there is nothing to go on with.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No address gave an answer; the last one's reason.
    #[error("{address} gives no answer")]
    Silent {
        /// Which was asked last.
        address: Address,
        /// What it came to.
        source: HttpsError,
    },
    /// It answered with something else than success.
    #[error("{address} refuses with status {status}: {detail}")]
    Refused {
        /// Which.
        address: Address,
        /// Its status, 300 to 599.
        status: u16,
        /// What it says for people, if it does.
        detail: String,
    },
    /// It answered with something that makes no sense.
    #[error("{address} gives an answer that cannot be read")]
    Nonsense {
        /// Which.
        address: Address,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It was given no address to ask.
    #[error("there is no address to ask")]
    NoAddress,
}

impl UpstreamError {
    /// The status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Silent { .. } | Self::Nonsense { .. } | Self::NoAddress => None,
        }
    }
}

impl Upstream {
    /// Asks `addresses` with a bearer token; trusts what `tls` trusts.
    #[must_use]
    pub fn new(tls: ClientTls, addresses: Vec<Address>, token: &str) -> Self {
        let dialer = Dialer::new(tls, DialPolicy::Any, UPSTREAM_DIAL_DEADLINE);
        let client = HttpsClient::with_dialer(dialer);
        Self { client, addresses: addresses.into(), token: token.into(), last: Arc::default() }
    }

    /// The same with another deadline for one request at one address.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { client: self.client.with_deadline(deadline), ..self.clone() }
    }

    /// The same that takes answers up to this size.
    #[must_use]
    pub fn with_answer_bytes_max(&self, bytes: usize) -> Self {
        Self { client: self.client.with_answer_bytes_max(bytes), ..self.clone() }
    }

    /// Gets JSON.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, UpstreamError> {
        let (address, body) = self.ask(Method::GET, path, None::<&()>).await?;
        read(address, &body)
    }

    /// Sends JSON and gets JSON.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, UpstreamError> {
        let (address, body) = self.ask(method, path, Some(body)).await?;
        read(address, &body)
    }

    /// Sends JSON, and needs no answer but success.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(), UpstreamError> {
        self.ask(method, path, Some(body)).await.map(drop)
    }

    /// Whoever answers is believed: a refusal of one address is not asked for again at another.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(&Address, Vec<u8>), UpstreamError> {
        let first = self.last.load(Ordering::Relaxed);
        let mut silent = UpstreamError::NoAddress;
        for offset in 0..self.addresses.len() {
            let index = (first + offset) % self.addresses.len();
            let Some(address) = self.addresses.get(index) else { continue };
            let asked = self.client.request(method.clone(), address, path, Some(&self.token), body);
            match asked.await {
                Ok(answer) => {
                    self.last.store(index, Ordering::Relaxed);
                    return match answer.status {
                        200..300 => Ok((address, answer.body)),
                        status => Err(refused(address, status, &answer.body)),
                    };
                }
                Err(source) => silent = UpstreamError::Silent { address: address.clone(), source },
            }
        }
        Err(silent)
    }
}

fn read<T: DeserializeOwned>(address: &Address, body: &[u8]) -> Result<T, UpstreamError> {
    let nonsense = |source| UpstreamError::Nonsense { address: address.clone(), source };
    serde_json::from_slice(body).map_err(nonsense)
}

fn refused(address: &Address, status: u16, body: &[u8]) -> UpstreamError {
    #[derive(serde::Deserialize)]
    struct Problem {
        detail: String,
    }
    let detail = serde_json::from_slice::<Problem>(body).map(|problem| problem.detail);
    UpstreamError::Refused { address: address.clone(), status, detail: detail.unwrap_or_default() }
}
