//! Outgoing TLS connections: the only way out.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::Address;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::limits::DIAL_ADDRESSES_MAX;
pub use crate::reach::{DialPolicy, DialTarget, DialTargetError};
#[cfg(feature = "sim")]
use crate::sim::SimNet;
use crate::socket::Socket;
use crate::tls::ClientTls;

/// A connection to a server whose certificate carries the name that was dialled.
pub type ClientStream = tokio_rustls::client::TlsStream<Socket>;

/// Calls servers. The name is resolved once; the address that the policy was asked about is the
/// address that is connected; the certificate is checked for the name.
#[derive(Debug, Clone)]
pub struct Dialer {
    tls: ClientTls,
    policy: DialPolicy,
    deadline: Duration,
    #[cfg(feature = "sim")]
    simulated: Option<SimNet>,
}

/// Why a call did not come about.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("{host} cannot be resolved")]
    Resolve {
        /// Whose.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// All its addresses are forbidden.
    #[error("{0} is at no public address, and at none that the operator lists as reachable")]
    Forbidden(String),
    /// Nobody answers at its addresses.
    #[error("cannot connect to {address}")]
    Connect {
        /// Which.
        address: String,
        /// What the system said of the last try.
        source: io::Error,
    },
    /// There is no TLS, or the certificate is not good for this name.
    #[error("the TLS handshake with {address} failed")]
    Tls {
        /// Which.
        address: String,
        /// What the TLS library said.
        source: io::Error,
    },
    /// It all took too long.
    #[error("{0} did not answer in time")]
    Deadline(String),
}

impl DialError {
    /// Whether trying again soon may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Forbidden(_))
    }
}

impl Dialer {
    /// The deadline is for one call in all: resolving, connecting, handshake.
    #[must_use]
    pub fn new(tls: ClientTls, policy: DialPolicy, deadline: Duration) -> Self {
        Self {
            tls,
            policy,
            deadline,
            #[cfg(feature = "sim")]
            simulated: None,
        }
    }

    /// The same on a network inside the process.
    #[cfg(feature = "sim")]
    #[must_use]
    pub fn simulated(tls: ClientTls, network: SimNet, deadline: Duration) -> Self {
        Self { simulated: Some(network), ..Self::new(tls, DialPolicy::Any, deadline) }
    }

    /// Calls this server.
    ///
    /// # Errors
    /// [`DialError`] says how far it came.
    pub async fn dial(&self, address: &Address) -> Result<ClientStream, DialError> {
        timeout(self.deadline, self.call(address))
            .await
            .unwrap_or_else(|_| Err(DialError::Deadline(address.to_string())))
    }

    async fn call(&self, address: &Address) -> Result<ClientStream, DialError> {
        let stream = self.connect(address).await?;
        let refused = |source| DialError::Tls { address: address.to_string(), source };
        stream.prepare().map_err(refused)?;
        let name = ServerName::try_from(address.host.as_str().to_owned())
            .map_err(|e| refused(io::Error::new(io::ErrorKind::InvalidInput, e)))?;
        self.tls.connector().connect(name, stream).await.map_err(refused)
    }

    async fn connect(&self, address: &Address) -> Result<Socket, DialError> {
        #[cfg(feature = "sim")]
        if let Some(network) = &self.simulated {
            let connected = network.connect(address);
            let address = address.to_string();
            return connected.map_err(|source| DialError::Connect { address, source });
        }
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let targets = self.targets(address).await?;
        // One that swallows packets must not take the time of all others.
        let share = self.deadline / u32::try_from(targets.len()).unwrap_or(u32::MAX).max(1);
        for target in targets {
            match timeout(share, TcpStream::connect(target)).await {
                Ok(Ok(stream)) => return Ok(stream.into()),
                Ok(Err(e)) => last = e,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(DialError::Connect { address: address.to_string(), source: last })
    }

    async fn targets(&self, address: &Address) -> Result<Vec<SocketAddr>, DialError> {
        let host = address.host.as_str();
        // This machine, whoever is asked (RFC 6761, section 6.3); not every resolver knows.
        let called = if host.ends_with(".localhost") { "localhost" } else { host };
        let resolved = tokio::net::lookup_host((called, address.port.get()))
            .await
            .map_err(|source| DialError::Resolve { host: host.to_owned(), source })?;
        let allowed = resolved.filter(|target| self.policy.allows(address, *target));
        let targets: Vec<_> = allowed.take(DIAL_ADDRESSES_MAX).collect();
        match targets.is_empty() {
            true => Err(DialError::Forbidden(host.to_owned())),
            false => Ok(targets),
        }
    }
}
