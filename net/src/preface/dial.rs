//! From a router to a cell.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use protocol::Timestamp;
use rustix::net::sockopt::set_tcp_user_timeout;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{LinkKey, Preface, write};
use crate::limits::{
    LINK_DIAL_DEADLINE, LINK_KEEPALIVE_AFTER, LINK_KEEPALIVE_INTERVAL, LINK_SILENCE_MAX,
};

/// Connects to a cell and introduces a client; what is written to the stream next is hers. A cell
/// whose machine has died is noticed within [`LINK_SILENCE_MAX`] of the last word to it.
///
/// What `first` gives once the cell is there goes along in the same segment, most often all that she
/// says at first.
///
/// # Errors
/// Those of the system; [`io::ErrorKind::TimedOut`] after [`LINK_DIAL_DEADLINE`].
pub async fn dial<'a>(
    cell: SocketAddr,
    preface: &Preface,
    key: &LinkKey,
    now: Timestamp,
    first: impl Future<Output = &'a [u8]>,
) -> io::Result<TcpStream> {
    let dialled = async {
        let mut stream = TcpStream::connect(cell).await?;
        prepare(&stream)?;
        let mut bytes = write(preface, key, now);
        bytes.extend_from_slice(first.await);
        stream.write_all(&bytes).await?;
        Ok(stream)
    };
    timeout(LINK_DIAL_DEADLINE, dialled).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive =
        TcpKeepalive::new().with_time(LINK_KEEPALIVE_AFTER).with_interval(LINK_KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    let silence = u32::try_from(LINK_SILENCE_MAX.as_millis()).unwrap_or(u32::MAX);
    Ok(set_tcp_user_timeout(stream, silence)?)
}
