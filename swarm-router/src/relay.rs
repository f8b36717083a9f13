//! Bytes from one side to the other and back, until both have ended.
//!
//! A connection that rests has no buffer: what is read is written at once, and only what the other
//! side does not take is kept until it does.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use net::limits::CLOSE_DEADLINE;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::timeout;

use crate::limits::{AFTER_SERVER_MAX, COPY_BYTES, STALL_MAX};

/// Copies both ways. A side that has said its last may still hear the other out; but a client whose
/// server has ended does not keep her place for long.
pub(crate) async fn relay(client: &mut TcpStream, cell: &mut TcpStream) -> io::Result<()> {
    let ((from_client, to_client), (from_cell, to_cell)) = (client.split(), cell.split());
    let (up, down) = (pump(from_client, to_cell), pump(from_cell, to_client));
    tokio::pin!(up, down);
    tokio::select! {
        ended = &mut up => {
            ended?;
            down.await
        }
        ended = &mut down => {
            ended?;
            timeout(AFTER_SERVER_MAX, up).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
        }
    }
}

async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
    loop {
        match poll_fn(|cx| poll_copy(cx, &mut from, &to)).await? {
            Copied::All => {}
            Copied::Part(rest) => push(&to, &rest).await?,
            Copied::End => break,
        }
    }
    match timeout(CLOSE_DEADLINE, to.shutdown()).await {
        // Whoever is gone need not be told that the other is.
        Ok(Err(error)) if error.kind() != io::ErrorKind::NotConnected => Err(error),
        _ => Ok(()),
    }
}

enum Copied {
    /// What was there.
    All,
    /// This was read and not taken.
    Part(Vec<u8>),
    /// Nothing will come.
    End,
}

/// Waits until something is there, and gives it to the other side as far as that takes it.
fn poll_copy(
    cx: &mut Context<'_>,
    from: &mut ReadHalf<'_>,
    to: &WriteHalf<'_>,
) -> Poll<io::Result<Copied>> {
    let mut buffer = [MaybeUninit::uninit(); COPY_BYTES];
    let mut buffer = ReadBuf::uninit(&mut buffer);
    ready!(Pin::new(from).poll_read(cx, &mut buffer))?;
    let read = buffer.filled();
    if read.is_empty() {
        return Poll::Ready(Ok(Copied::End));
    }
    let taken = or_later(to.try_write(read))?.unwrap_or(0);
    let rest = read.get(taken..).unwrap_or_default();
    Poll::Ready(Ok(if rest.is_empty() { Copied::All } else { Copied::Part(rest.to_vec()) }))
}

async fn push(to: &WriteHalf<'_>, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        let stalled = |_| io::Error::from(io::ErrorKind::TimedOut);
        timeout(STALL_MAX, to.writable()).await.map_err(stalled)??;
        let taken = or_later(to.try_write(rest))?.unwrap_or(0);
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(())
}

fn or_later(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
