//! What a router says to a cell before a client's own bytes: who she is, and whom she wants.
//!
//! A cell sees routers only. It believes what one says about a client because the preface carries a
//! MAC under a key that the routers and cells of a swarm share, and the time, so that an old one is
//! worth nothing. Whoever can listen between the two may send one again within a minute; it opens a
//! connection under another's address and no more, for TLS and every proof of identity come after.

mod dial;
mod key;
mod wire;

use std::io;
use std::net::SocketAddr;

use protocol::{Timestamp, VolumeId};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use crate::limits::PREFACE_DEADLINE;

pub use dial::dial;
pub use key::{LinkKey, LinkKeyError};

/// Whose connection it is, and where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preface {
    /// Who connected to the router.
    pub client: SocketAddr,
    /// Whose server she wants.
    pub volume: VolumeId,
}

/// Why a connection is not one of a router. It is counted and closed.
#[derive(Debug, thiserror::Error)]
pub enum PrefaceError {
    /// It does not begin as a preface does.
    #[error("what came is not a preface")]
    Unknown,
    /// It says that it is longer than any preface.
    #[error("the preface is too long")]
    TooLong,
    /// Its MAC is not one of this swarm's key.
    #[error("the preface was not signed with this swarm's link key")]
    Forged,
    /// It was signed, and makes no sense.
    #[error("the preface was signed, and cannot be read: is the router of another version?")]
    Malformed,
    /// It was signed at another time.
    #[error("the preface is of another time: do the machines' clocks agree?")]
    Stale,
    /// It did not come in time.
    #[error("no whole preface came in time")]
    Slow,
    /// The connection ended before it was whole, or broke.
    #[error("the connection ended before the preface was whole")]
    Io(#[source] io::Error),
}

/// The bytes of a preface that is sent now.
#[must_use]
pub fn write(preface: &Preface, key: &LinkKey, now: Timestamp) -> Vec<u8> {
    wire::encode(preface, key, now)
}

/// Reads a preface and not one byte of what follows it. `now` is the time of the call.
///
/// # Errors
/// [`PrefaceError`] by reason.
pub async fn read<S>(stream: &mut S, key: &LinkKey, now: Timestamp) -> Result<Preface, PrefaceError>
where
    S: AsyncRead + Unpin,
{
    let bytes = timeout(PREFACE_DEADLINE, receive(stream)).await;
    wire::decode(&bytes.unwrap_or(Err(PrefaceError::Slow))?, key, now)
}

async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, PrefaceError> {
    let mut head = [0; wire::HEAD_BYTES];
    stream.read_exact(&mut head).await.map_err(PrefaceError::Io)?;
    let mut bytes = head.to_vec();
    bytes.resize(wire::HEAD_BYTES + wire::length_after(&head)?, 0);
    let (_, rest) = bytes.split_at_mut(wire::HEAD_BYTES);
    stream.read_exact(rest).await.map_err(PrefaceError::Io)?;
    Ok(bytes)
}
