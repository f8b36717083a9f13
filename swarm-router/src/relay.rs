//! Bytes from one side to the other and back, until both have ended.
//!
//! A connection that rests has neither buffer nor pipe, and its task is small: what is rare lies on
//! the heap for as long as it takes. What is read is written at once, and only what the other side
//! does not take is kept until it does. Where much flows, it flows through a pipe of the system's
//! ([`crate::pipes`]) until nothing more is there.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::limits::{AFTER_SERVER_MAX, COPY_BYTES, POUR_BYTES, STALL_MAX};
use crate::pipes::{Pipe, Pipes};

/// Carries both ways. A side that has said its last may still hear the other out; but a client whose
/// server has ended does not keep her place for long.
pub(crate) async fn relay(
    client: &mut TcpStream,
    cell: &mut TcpStream,
    pipes: &Arc<Pipes>,
) -> io::Result<()> {
    let ((from_client, to_client), (from_cell, to_cell)) = (client.split(), cell.split());
    let up = pump(from_client, to_cell.as_ref(), pipes);
    let down = pump(from_cell, to_client.as_ref(), pipes);
    tokio::pin!(up, down);
    // Whoever ended last is told by the end of both sockets.
    tokio::select! {
        ended = &mut up => {
            ended?;
            end(to_cell.as_ref())?;
            down.await
        }
        ended = &mut down => {
            ended?;
            end(to_client.as_ref())?;
            let rest = Box::pin(timeout(AFTER_SERVER_MAX, up));
            rest.await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
        }
    }
}

/// Says that nothing will come. Whoever is gone need not be told.
fn end(to: &TcpStream) -> io::Result<()> {
    match SockRef::from(to).shutdown(Shutdown::Write) {
        Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(error),
        _ => Ok(()),
    }
}

/// Carries one way, until nothing will come.
async fn pump(mut from: ReadHalf<'_>, to: &TcpStream, pipes: &Arc<Pipes>) -> io::Result<()> {
    let mut is_much = false;
    loop {
        if is_much {
            poll_fn(|cx| from.as_ref().poll_read_ready(cx)).await?;
            if let Some(pipe) = pipes.take() {
                match Box::pin(pour(from.as_ref(), to, pipe)).await? {
                    Poured::Bytes(bytes) => is_much = bytes >= COPY_BYTES,
                    Poured::End => return Ok(()),
                }
                continue;
            }
        }
        match poll_fn(|cx| poll_copy(cx, &mut from, to)).await? {
            Copied::All(bytes) => is_much = bytes == COPY_BYTES,
            Copied::Part(rest) => Box::pin(push(to, rest)).await?,
            Copied::End => return Ok(()),
        }
    }
}

enum Copied {
    /// What was there: so many bytes.
    All(usize),
    /// This was read and not taken.
    Part(Vec<u8>),
    /// Nothing will come.
    End,
}

/// Waits until something is there, and gives it to the other side as far as that takes it.
fn poll_copy(
    cx: &mut Context<'_>,
    from: &mut ReadHalf<'_>,
    to: &TcpStream,
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
    let is_all = rest.is_empty();
    Poll::Ready(Ok(if is_all { Copied::All(taken) } else { Copied::Part(rest.to_vec()) }))
}

async fn push(to: &TcpStream, rest: Vec<u8>) -> io::Result<()> {
    let mut rest = rest.as_slice();
    while !rest.is_empty() {
        takes_more(to).await?;
        let taken = or_later(to.try_write(rest))?.unwrap_or(0);
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(())
}

enum Poured {
    /// So many; for now nothing more is there.
    Bytes(usize),
    /// Nothing will come.
    End,
}

/// Carries what is there, until nothing is.
async fn pour(from: &TcpStream, to: &TcpStream, mut pipe: Pipe) -> io::Result<Poured> {
    let (mut bytes, mut turn) = (0, 0);
    loop {
        match or_later(from.try_io(Interest::READABLE, || pipe.fill(from)))? {
            None => return Ok(Poured::Bytes(bytes)),
            Some(0) => return Ok(Poured::End),
            Some(filled) => (bytes, turn) = (bytes + filled, turn + filled),
        }
        while !pipe.is_empty() {
            if or_later(to.try_io(Interest::WRITABLE, || pipe.pour(to)))?.is_none() {
                takes_more(to).await?;
            }
        }
        if turn >= POUR_BYTES {
            turn = 0;
            yield_now().await;
        }
    }
}

/// Waits until a side takes something; one that does not for long is given up.
async fn takes_more(to: &TcpStream) -> io::Result<()> {
    let stalled = |_| io::Error::from(io::ErrorKind::TimedOut);
    timeout(STALL_MAX, to.writable()).await.map_err(stalled)?
}

fn or_later<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
