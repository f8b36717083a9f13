//! From an accepted socket to a TLS stream, within a deadline.

use std::io;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::limits::{KEEPALIVE_AFTER, KEEPALIVE_INTERVAL};
use crate::socket::Socket;
use crate::tls::ServerTls;

/// A client's connection, its handshake done.
pub type ServerStream = tokio_rustls::server::TlsStream<Socket>;

/// Why a handshake did not come about. It is counted; nobody logs it.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client took too long.
    #[error("the TLS handshake took too long")]
    Deadline,
    /// The client went away.
    #[error("the client closed before the TLS handshake was done")]
    Closed,
    /// What came was not TLS, or not a TLS that we speak.
    #[error("the client does not speak our TLS")]
    Tls(#[source] io::Error),
    /// The socket failed.
    #[error("the socket failed")]
    Socket(#[source] io::Error),
}

/// Brings a socket to a TLS stream: no delay for small writes, signs of life asked of silent peers.
///
/// # Errors
/// [`HandshakeError`] by reason; the socket is closed.
pub async fn accept(
    stream: impl Into<Socket>,
    tls: &ServerTls,
    deadline: Duration,
) -> Result<ServerStream, HandshakeError> {
    let stream = stream.into();
    stream.prepare().map_err(HandshakeError::Socket)?;
    match tokio::time::timeout(deadline, tls.acceptor().accept(stream)).await {
        Err(_) => Err(HandshakeError::Deadline),
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(e)) => Err(match e.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => HandshakeError::Closed,
            io::ErrorKind::InvalidData => HandshakeError::Tls(e),
            _ => HandshakeError::Socket(e),
        }),
    }
}

/// The certificates that the client showed, its own first; empty if none. They prove nothing until
/// [`TrustRoots::verify_client`](crate::tls::TrustRoots::verify_client) has looked at them.
#[must_use]
pub fn peer_certificates(stream: &ServerStream) -> &[CertificateDer<'static>] {
    stream.get_ref().1.peer_certificates().unwrap_or_default()
}

/// What every socket of ours gets.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
