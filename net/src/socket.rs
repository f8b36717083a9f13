//! What TLS runs on: a TCP connection, or in simulations a pipe inside the process.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::SockRef;
#[cfg(feature = "sim")]
use tokio::io::DuplexStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::handshake::prepare;
use crate::limits::ACCEPT_BACKLOG;

/// Listens here, with room for a crowd that comes at once.
///
/// # Errors
/// Those of the system: most often the port is taken.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ACCEPT_BACKLOG)
}

/// From now on, connections of this listener have buffers of so many bytes in the system for what
/// waits to be read and to be sent. Otherwise a peer who does not read makes the system keep
/// megabytes for her, and us fill them.
///
/// # Errors
/// Those of the system.
pub fn bound_buffers(listener: &TcpListener, bytes: usize) -> io::Result<()> {
    let socket = SockRef::from(listener);
    socket.set_send_buffer_size(bytes)?;
    socket.set_recv_buffer_size(bytes)
}

/// Takes a connection that somebody else accepted: small writes without delay, signs of life asked
/// of silent peers.
///
/// # Errors
/// Those of the system.
pub fn adopt(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    let stream = TcpStream::from_std(stream)?;
    prepare(&stream)?;
    Ok(stream)
}

/// A connection before TLS.
#[derive(Debug)]
pub struct Socket(Wire);

#[derive(Debug)]
enum Wire {
    Tcp(TcpStream),
    #[cfg(feature = "sim")]
    Pipe(DuplexStream),
}

/// Does the same on whichever wire it is.
macro_rules! on_wire {
    ($socket:expr, $wire:ident => $call:expr) => {
        match &mut $socket.get_mut().0 {
            Wire::Tcp($wire) => $call,
            #[cfg(feature = "sim")]
            Wire::Pipe($wire) => $call,
        }
    };
}

impl Socket {
    /// The TCP connection, where it is one.
    #[must_use]
    pub fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Wire::Tcp(stream) => Some(stream),
            #[cfg(feature = "sim")]
            Wire::Pipe(_) => None,
        }
    }

    /// What every socket of ours gets.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match &self.0 {
            Wire::Tcp(stream) => prepare(stream),
            #[cfg(feature = "sim")]
            Wire::Pipe(_) => Ok(()),
        }
    }
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self(Wire::Tcp(stream))
    }
}

#[cfg(feature = "sim")]
impl From<DuplexStream> for Socket {
    fn from(pipe: DuplexStream) -> Self {
        Self(Wire::Pipe(pipe))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_wire!(self, wire => Pin::new(wire).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_wire!(self, wire => Pin::new(wire).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_wire!(self, wire => Pin::new(wire).poll_write_vectored(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Wire::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(feature = "sim")]
            Wire::Pipe(pipe) => pipe.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self, wire => Pin::new(wire).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self, wire => Pin::new(wire).poll_shutdown(cx))
    }
}
