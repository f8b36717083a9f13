//! A socket to the kernel, over which changes are made and their outcome is heard.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::sockopt::{Timeout, set_socket_send_buffer_size, set_socket_timeout};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, sendto,
    socket_with, sockopt,
};

use super::message::{Answer, Batch, answers, listeners_of, port_of};
use crate::limits::{KERNEL_ANSWER_BYTES, KERNEL_ANSWERS_MAX, KERNEL_DEADLINE, KERNEL_SEND_BYTES};

/// A socket to one part of the kernel.
#[derive(Debug)]
pub(super) struct KernelSocket(OwnedFd);

impl KernelSocket {
    /// To the packet filter.
    pub(super) fn to_filter() -> io::Result<Self> {
        Self::open(netlink::NETFILTER)
    }

    fn open(part: Protocol) -> io::Result<Self> {
        let family = AddressFamily::NETLINK;
        let flags = SocketFlags::CLOEXEC;
        let socket = Self(socket_with(family, SocketType::RAW, flags, Some(part))?);
        set_socket_timeout(&socket.0, Timeout::Recv, Some(KERNEL_DEADLINE))?;
        set_socket_send_buffer_size(&socket.0, KERNEL_SEND_BYTES)?;
        Ok(socket)
    }

    /// Takes one that somebody else opened, if it is what it should be.
    pub(super) fn adopt(socket: OwnedFd) -> Option<Self> {
        let is_ours = sockopt::socket_domain(&socket) == Ok(AddressFamily::NETLINK)
            && sockopt::socket_protocol(&socket) == Ok(Some(netlink::NETFILTER));
        is_ours.then_some(Self(socket))
    }

    /// Makes these changes: all of them or, where there is an error, none.
    pub(super) fn change(&self, batch: Batch) -> io::Result<()> {
        let (bytes, mut awaited) = batch.finish();
        let all = awaited.start.saturating_sub(1)..awaited.end;
        self.send(&bytes)?;
        let mut buffer = vec![0; KERNEL_ANSWER_BYTES];
        for _ in 0..KERNEL_ANSWERS_MAX {
            let (read, _) = recv(&self.0, &mut buffer[..], RecvFlags::empty())?;
            if is_done(buffer.get(..read).unwrap_or_default(), &all, &mut awaited)? {
                return Ok(());
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let kernel = netlink::SocketAddrNetlink::new(0, 0);
        let sent = sendto(&self.0, bytes, SendFlags::empty(), &kernel)?;
        if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}

impl AsFd for KernelSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Takes what came; whether that was the last outcome that is waited for. Answers to what was asked
/// earlier, or by another process that has this socket, do not count.
fn is_done(bytes: &[u8], all: &Range<u32>, awaited: &mut Range<u32>) -> io::Result<bool> {
    for answer in answers(bytes) {
        match answer {
            Answer::Outcome(number, 0) if number == awaited.start => awaited.start += 1,
            // A transaction that fails as a whole names its first mark.
            Answer::Outcome(number, error) if error != 0 && all.contains(&number) => {
                return Err(io::Error::from_raw_os_error(error));
            }
            _ => {}
        }
    }
    Ok(awaited.start >= awaited.end)
}

/// The ports on which some TCP socket of this machine listens.
pub(super) fn listening_ports() -> io::Result<BTreeSet<u16>> {
    const FAMILIES: [u8; 2] = [2, 10];
    let socket = KernelSocket::open(netlink::SOCK_DIAG)?;
    let mut ports = BTreeSet::new();
    let mut buffer = vec![0; KERNEL_ANSWER_BYTES];
    for (number, family) in (1..).zip(FAMILIES) {
        socket.send(&listeners_of(family, number))?;
        while !has_ended(&socket, &mut buffer, number, &mut ports)? {}
    }
    Ok(ports)
}

fn has_ended(
    socket: &KernelSocket,
    buffer: &mut [u8],
    wanted: u32,
    ports: &mut BTreeSet<u16>,
) -> io::Result<bool> {
    let (read, _) = recv(&socket.0, &mut *buffer, RecvFlags::empty())?;
    for answer in answers(buffer.get(..read).unwrap_or_default()) {
        match answer {
            Answer::Part(number, part) if number == wanted => ports.extend(port_of(part)),
            Answer::End(number) if number == wanted => return Ok(true),
            Answer::Outcome(_, error) if error != 0 => {
                return Err(io::Error::from_raw_os_error(error));
            }
            _ => {}
        }
    }
    Ok(false)
}
