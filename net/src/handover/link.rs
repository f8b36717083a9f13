//! One connection between the two processes: packets of one word, with one socket beside it or none.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect, recvmsg, sendmsg, socket_with,
};
use rustix::process::geteuid;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::wire::{NoWord, Word};
use crate::limits::HANDOVER_WORD_BYTES_MAX;

/// The other side has been asked for, and is a process of the same user.
#[derive(Debug)]
pub(super) struct Link {
    /// It keeps packets apart, whatever the runtime calls it.
    socket: UnixStream,
    peer: i32,
}

/// Why a connection is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the other process belongs to somebody else")]
    Stranger,
    #[error("the other process has gone")]
    Gone,
    #[error("the other process does not answer")]
    Silent,
    #[error(transparent)]
    NoWord(#[from] NoWord),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Link {
    /// Connects to who listens there. Never waits: where nobody accepts any more it is an error.
    pub(super) fn connect(path: &Path) -> Result<Self, LinkError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(io::Error::from)?;
        let address = SocketAddrUnix::new(path).map_err(io::Error::from)?;
        connect(&socket, &address).map_err(io::Error::from)?;
        Self::new(UnixStream::from_std(StdUnixStream::from(socket))?)
    }

    /// Takes a connection if it is of a process of the same user.
    pub(super) fn new(socket: UnixStream) -> Result<Self, LinkError> {
        let peer = socket.peer_cred()?;
        if peer.uid() != geteuid().as_raw() {
            return Err(LinkError::Stranger);
        }
        Ok(Self { socket, peer: peer.pid().unwrap_or_default() })
    }

    /// The process that connected.
    pub(super) fn peer(&self) -> i32 {
        self.peer
    }

    /// Says a word, with a socket beside it.
    pub(super) async fn say(
        &self,
        word: &Word,
        socket: Option<BorrowedFd<'_>>,
        patience: Duration,
    ) -> Result<(), LinkError> {
        let bytes = word.to_bytes();
        let sent = self.socket.async_io(Interest::WRITABLE, || send(&self.socket, &bytes, socket));
        Ok(timeout(patience, sent).await.map_err(|_| LinkError::Silent)??)
    }

    /// Hears the next word, and the socket that came with it.
    pub(super) async fn hear(
        &self,
        patience: Duration,
    ) -> Result<(Word, Option<OwnedFd>), LinkError> {
        let mut packet = [0; HANDOVER_WORD_BYTES_MAX];
        let heard = self.socket.async_io(Interest::READABLE, || receive(&self.socket, &mut packet));
        let (length, socket) = timeout(patience, heard).await.map_err(|_| LinkError::Silent)??;
        match packet.get(..length) {
            None => Err(NoWord.into()),
            Some([]) => Err(LinkError::Gone),
            Some(bytes) => Ok((Word::parse(bytes)?, socket)),
        }
    }
}

fn send(link: &UnixStream, bytes: &[u8], socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if let Some(socket) = &socket {
        beside.push(SendAncillaryMessage::ScmRights(std::slice::from_ref(socket)));
    }
    sendmsg(link, &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// How long the packet is, which may be more than there is room for; and the socket beside it.
fn receive(link: &UnixStream, packet: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let room = packet.len();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(packet)];
    let received = recvmsg(link, &mut parts, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    let socket = beside.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    let is_cut = received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    Ok((if is_cut { room + 1 } else { received.bytes }, socket))
}
