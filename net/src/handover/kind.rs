//! What a socket that somebody gave us is: asked of the system, not of who gave it.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType, getsockname};

/// Whether it listens for TCP connections there; port 0 is any.
pub(super) fn is_listener_at(socket: &OwnedFd, wanted: SocketAddr) -> bool {
    socket_type(socket) == Ok(SocketType::STREAM)
        && socket_acceptconn(socket) == Ok(true)
        && is_at(socket, wanted)
}

/// Whether it takes datagrams there; port 0 is any.
pub(super) fn is_datagram_at(socket: &OwnedFd, wanted: SocketAddr) -> bool {
    socket_type(socket) == Ok(SocketType::DGRAM) && is_at(socket, wanted)
}

/// Whether it listens as a process does that can be replaced.
pub(super) fn is_offer(socket: &OwnedFd) -> bool {
    socket_domain(socket) == Ok(AddressFamily::UNIX)
        && socket_type(socket) == Ok(SocketType::SEQPACKET)
        && socket_acceptconn(socket) == Ok(true)
}

fn is_at(socket: &OwnedFd, wanted: SocketAddr) -> bool {
    let Ok(address) = getsockname(socket) else { return false };
    let is_port = |port| wanted.port() == 0 || wanted.port() == port;
    SocketAddr::try_from(address)
        .is_ok_and(|address| address.ip() == wanted.ip() && is_port(address.port()))
}
