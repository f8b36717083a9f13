//! Questions and answers over UDP: several sockets on one port, one task for each.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use crate::drain::Drain;
use crate::limits::{ACCEPT_ERROR_PAUSE, UDP_RECEIVE_BYTES, UDP_TURN_MAX};

/// Sockets that share a port; the system spreads the senders over them.
#[derive(Debug)]
pub struct UdpDoor(Vec<UdpSocket>);

/// Why an answer was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// The socket's buffer is full.
    Busy,
    /// The system does not send to where the question came from.
    Failed,
}

impl UdpDoor {
    /// Binds as many sockets as the runtime has threads, port 0 being any free one.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let count = tokio::runtime::Handle::current().metrics().num_workers().max(1);
        let mut sockets = vec![bind(address)?];
        for _ in 1..count {
            let shared = sockets[0].local_addr()?;
            sockets.push(bind(shared)?);
        }
        Ok(Self(sockets))
    }

    /// The sockets of a door that was open before.
    pub(crate) fn of(sockets: Vec<OwnedFd>) -> io::Result<Self> {
        let take = |socket| {
            let socket = std::net::UdpSocket::from(socket);
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket)
        };
        sockets.into_iter().map(take).collect::<io::Result<_>>().map(Self)
    }

    pub(crate) fn sockets(&self) -> &[UdpSocket] {
        &self.0
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.first().ok_or(io::ErrorKind::NotConnected)?.local_addr()
    }

    /// Gives each datagram to `answer`, and sends what that leaves in its buffer back, if it says
    /// so, until the drain begins. What is longer than `bytes_max` arrives cut off.
    pub async fn serve<A, U>(self, bytes_max: usize, drain: Drain, answer: A, unsent: U)
    where
        A: Fn(&[u8], SocketAddr, &mut Vec<u8>) -> bool + Send + Sync + 'static,
        U: Fn(Unsent) + Send + Sync + 'static,
    {
        let shared = Arc::new((answer, unsent));
        for socket in self.0 {
            let (shared, ending) = (Arc::clone(&shared), drain.clone());
            drain.spawn(async move {
                tokio::select! {
                    biased;
                    () = ending.draining() => {}
                    () = serve_one(&socket, bytes_max, &shared.0, &shared.1) => {}
                }
            });
        }
        drain.draining().await;
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    // The system may give less; it does not say so.
    socket.set_recv_buffer_size(UDP_RECEIVE_BYTES)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

async fn serve_one(
    socket: &UdpSocket,
    bytes_max: usize,
    answer: impl Fn(&[u8], SocketAddr, &mut Vec<u8>) -> bool,
    unsent: impl Fn(Unsent),
) {
    let (mut question, mut out) = (vec![0; bytes_max], Vec::new());
    loop {
        if socket.readable().await.is_err() {
            tokio::time::sleep(ACCEPT_ERROR_PAUSE).await;
        }
        while serve_turn(socket, &mut question, &mut out, &answer, &unsent) {
            tokio::task::yield_now().await;
        }
    }
}

/// Answers what has come; whether there may be more.
fn serve_turn(
    socket: &UdpSocket,
    question: &mut [u8],
    out: &mut Vec<u8>,
    answer: impl Fn(&[u8], SocketAddr, &mut Vec<u8>) -> bool,
    unsent: impl Fn(Unsent),
) -> bool {
    for _ in 0..UDP_TURN_MAX {
        // An error tells of an earlier answer that could not be delivered, if it is not that there
        // is nothing more to read.
        let (length, peer) = match socket.try_recv_from(question) {
            Ok(received) => received,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => continue,
        };
        if answer(question.get(..length).unwrap_or_default(), peer, out) {
            match socket.try_send_to(out, peer) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => unsent(Unsent::Busy),
                Err(_) => unsent(Unsent::Failed),
            }
        }
    }
    true
}
