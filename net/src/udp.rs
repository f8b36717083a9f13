//! Questions and answers over UDP: several sockets on one port, a thread for each, and many datagrams
//! in one call of the system.
//!
//! A thread and no task: a question is answered in a microsecond, and handing a task over from the
//! thread that sees its socket to one that is free takes longer than that.

use std::array;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::drain::Drain;
use crate::limits::{ACCEPT_ERROR_PAUSE, UDP_BATCH_MAX, UDP_RECEIVE_BYTES};

const DATAGRAMS: Token = Token(0);
const DRAIN: Token = Token(1);

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

/// Who sent a datagram, and the way back.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Where it came from, or says that it does.
    pub peer: SocketAddr,
    socket: Arc<UdpSocket>,
}

impl Sender {
    /// Answers later, from the socket that the question came to.
    ///
    /// # Errors
    /// [`Unsent`].
    pub fn send(&self, answer: &[u8]) -> Result<(), Unsent> {
        self.socket.send_to(answer, self.peer).map(|_| ()).map_err(|error| Unsent::from(&error))
    }
}

impl From<&io::Error> for Unsent {
    fn from(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::Busy,
            _ => Self::Failed,
        }
    }
}

impl UdpDoor {
    /// Binds as many sockets as the runtime has threads, port 0 being any free one.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let count = Handle::current().metrics().num_workers().max(1);
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
            Ok(UdpSocket::from_std(socket))
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
        A: Fn(&[u8], &Sender, &mut Vec<u8>) -> bool + Send + Sync + 'static,
        U: Fn(Unsent) + Send + Sync + 'static,
    {
        let shared = Arc::new((answer, unsent));
        let (mut wakers, mut ends) = (Vec::new(), Vec::new());
        for socket in self.0 {
            let (shared, ending) = (Arc::clone(&shared), drain.clone());
            let begun = Batches::new(socket, bytes_max).and_then(|(mut batches, waker)| {
                let (ends, end) = oneshot::channel::<()>();
                let serve = move || {
                    // Dropped when the thread ends, however it does.
                    let _ends = ends;
                    batches.serve(&ending, &shared.0, &shared.1);
                };
                thread::Builder::new().name("udp".to_owned()).spawn(serve)?;
                Ok((waker, end))
            });
            match begun {
                Ok((waker, end)) => {
                    wakers.push(waker);
                    ends.push(end);
                }
                Err(error) => tracing::error!(%error, "a UDP socket cannot be served"),
            }
        }
        drain.draining().await;
        for (waker, end) in wakers.iter().zip(ends) {
            match waker.wake() {
                Ok(()) => drop(end.await),
                Err(error) => tracing::error!(%error, "a UDP socket cannot be told to end"),
            }
        }
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
    Ok(UdpSocket::from_std(socket.into()))
}

/// One socket, the datagrams that came together, and their answers.
struct Batches {
    poll: Poll,
    sender: Sender,
    /// A slot for each datagram.
    bytes: Vec<u8>,
    bytes_max: usize,
    arrived: Vec<(usize, Option<SockaddrStorage>)>,
    answers: Vec<Vec<u8>>,
    /// Whom the first of them go to.
    peers: Vec<Option<SockaddrStorage>>,
}

/// What the system is told of a batch, each time anew. Kept by the thread.
struct Headers {
    receiving: MultiHeaders<SockaddrStorage>,
    sending: MultiHeaders<SockaddrStorage>,
}

impl Batches {
    fn new(mut socket: UdpSocket, bytes_max: usize) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        // Not for writing too: every answer that is taken would be news.
        poll.registry().register(&mut socket, DATAGRAMS, Interest::READABLE)?;
        let waker = Waker::new(poll.registry(), DRAIN)?;
        let peer = SocketAddr::from(([0; 4], 0));
        let batches = Self {
            poll,
            sender: Sender { peer, socket: Arc::new(socket) },
            bytes: vec![0; bytes_max * UDP_BATCH_MAX],
            bytes_max,
            arrived: Vec::with_capacity(UDP_BATCH_MAX),
            answers: vec![Vec::new(); UDP_BATCH_MAX],
            peers: Vec::with_capacity(UDP_BATCH_MAX),
        };
        Ok((batches, waker))
    }

    /// Waits and answers until the drain begins.
    fn serve(
        &mut self,
        drain: &Drain,
        answer: impl Fn(&[u8], &Sender, &mut Vec<u8>) -> bool,
        unsent: impl Fn(Unsent),
    ) {
        let mut events = Events::with_capacity(2);
        let mut headers = Headers {
            receiving: MultiHeaders::preallocate(UDP_BATCH_MAX, None),
            sending: MultiHeaders::preallocate(UDP_BATCH_MAX, None),
        };
        while !drain.is_draining() {
            if let Err(error) = self.poll.poll(&mut events, None) {
                pause_after(&error);
            }
            // What has been taken is answered; the rest may be another process's by now.
            while !drain.is_draining() && self.receive(&mut headers) {
                self.answer(&answer);
                self.send(&mut headers, &unsent);
                // That there was room for more says that there is nothing more to read.
                if self.arrived.len() < UDP_BATCH_MAX {
                    break;
                }
            }
        }
    }

    /// Takes what has come; false if that is nothing.
    fn receive(&mut self, headers: &mut Headers) -> bool {
        self.arrived.clear();
        let mut slots = self.bytes.chunks_exact_mut(self.bytes_max.max(1));
        let mut slots: [[IoSliceMut<'_>; 1]; UDP_BATCH_MAX] =
            array::from_fn(|_| [IoSliceMut::new(slots.next().unwrap_or_default())]);
        let (socket, flags) = (self.sender.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        match recvmmsg(socket, &mut headers.receiving, slots.iter_mut(), flags, None) {
            Ok(taken) => {
                self.arrived.extend(taken.map(|datagram| (datagram.bytes, datagram.address)));
            }
            Err(Errno::EAGAIN) => return false,
            Err(error) => pause_after(&error.into()),
        }
        true
    }

    fn answer(&mut self, answer: impl Fn(&[u8], &Sender, &mut Vec<u8>) -> bool) {
        self.peers.clear();
        let slots = self.bytes.chunks_exact(self.bytes_max.max(1));
        for ((length, from), slot) in self.arrived.iter().zip(slots) {
            let Some(peer) = from.as_ref().and_then(address) else { continue };
            let Some(out) = self.answers.get_mut(self.peers.len()) else { break };
            self.sender.peer = peer;
            if answer(slot.get(..*length).unwrap_or_default(), &self.sender, out) {
                self.peers.push(*from);
            }
        }
    }

    fn send(&self, headers: &mut Headers, unsent: impl Fn(Unsent)) {
        let answers: [[IoSlice<'_>; 1]; UDP_BATCH_MAX] = array::from_fn(|at| {
            [IoSlice::new(self.answers.get(at).map(Vec::as_slice).unwrap_or_default())]
        });
        let (socket, flags) = (self.sender.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let mut done = 0;
        while let Some(peers) = self.peers.get(done..).filter(|peers| !peers.is_empty()) {
            let answers = answers.get(done..).unwrap_or_default();
            match sendmmsg(socket, &mut headers.sending, answers, peers, [], flags) {
                Ok(sent) => done += sent.count().max(1),
                // The first of them is meant.
                Err(error) => {
                    unsent(Unsent::from(&io::Error::from(error)));
                    done += 1;
                }
            }
        }
    }
}

/// An error that is no interruption is likely to come again.
fn pause_after(error: &io::Error) {
    if error.kind() != io::ErrorKind::Interrupted {
        thread::sleep(ACCEPT_ERROR_PAUSE);
    }
}

fn address(from: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = from.as_sockaddr_in().map(|v4| SocketAddrV4::from(*v4).into());
    v4.or_else(|| from.as_sockaddr_in6().map(|v6| SocketAddrV6::from(*v6).into()))
}
