//! What the polling thread does: turns of accepting, of one listener after the other.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use protocol::VolumeId;
use socket2::SockRef;
use tracing::{info, warn};

use crate::budget::Outcome;
use crate::limits::{ACCEPTS_PER_TURN, LAST_ACCEPTS, OUT_OF_DESCRIPTORS_PAUSE, RETRY_INTERVAL};
use crate::listen::{Arrival, Backend, Shared};
use crate::redirect::meant;

/// Ports end at 65,535, so these tokens are no port's.
pub(crate) const WAKE: Token = Token(1 << 16);
pub(crate) const FRONT: Token = Token(WAKE.0 + 1);

/// Where connections come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entrance {
    /// The listener of one port.
    Port(u16),
    /// The one of all that are redirected.
    Front,
}

impl Entrance {
    fn of(token: Token) -> Option<Self> {
        match token {
            FRONT => Some(Self::Front),
            Token(port) => u16::try_from(port).ok().map(Self::Port),
        }
    }
}

#[derive(PartialEq, Eq)]
enum Turn {
    Drained,
    More,
}

pub(crate) fn run(mut poll: Poll, shared: &Shared, backend: &dyn Backend) {
    let mut events = Events::with_capacity(1024);
    // mio reports an arrival once; what a turn leaves behind is remembered here.
    let mut unfinished: VecDeque<Entrance> = VecDeque::new();
    while !shared.stopping.load(Ordering::Acquire) {
        let timeout = if unfinished.is_empty() { RETRY_INTERVAL } else { Duration::ZERO };
        match poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                warn!(%error, "polling the listeners failed");
                std::thread::sleep(OUT_OF_DESCRIPTORS_PAUSE);
            }
            _ => {}
        }
        unfinished.extend(events.iter().filter_map(|event| Entrance::of(event.token())));
        for _ in 0..unfinished.len() {
            let Some(entrance) = unfinished.pop_front() else { break };
            if turn(shared, entrance, backend) == Turn::More {
                unfinished.push_back(entrance);
            }
        }
        if shared.table().has_waiting() {
            for port in shared.table().retry(&shared.registry, shared.address) {
                info!(port, "port is free again; its route is open");
            }
        }
    }
    if !shared.is_succeeded.load(Ordering::Acquire) {
        take_the_last(shared, backend);
    }
}

/// Who had connected before the end was told so by the system, and can know nothing of the end.
fn take_the_last(shared: &Shared, backend: &dyn Backend) {
    let began = Instant::now();
    let ports = shared.table().listened();
    let entrances = ports.into_iter().map(Entrance::Port).chain([Entrance::Front]);
    for entrance in entrances {
        while began.elapsed() < LAST_ACCEPTS && turn(shared, entrance, backend) == Turn::More {}
    }
}

fn turn(shared: &Shared, entrance: Entrance, backend: &dyn Backend) -> Turn {
    for _ in 0..ACCEPTS_PER_TURN {
        match accept(shared, entrance) {
            Ok(Some((target, stream, client))) => match target {
                Some(volume) => hand_over(shared, volume, stream, client, backend),
                None => {
                    shared.purse.count(Outcome::NoRoute);
                    refuse(&stream);
                }
            },
            Ok(None) => return Turn::Drained,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Drained,
            // The client was gone before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!(%error, ?entrance, "accepting failed; trying again shortly");
                std::thread::sleep(OUT_OF_DESCRIPTORS_PAUSE);
                return Turn::More;
            }
        }
    }
    Turn::More
}

type Accepted = (Option<VolumeId>, TcpStream, SocketAddr);

/// The next connection there, if there is a listener at all, and where it leads.
fn accept(shared: &Shared, entrance: Entrance) -> io::Result<Option<Accepted>> {
    match entrance {
        Entrance::Port(port) => {
            let table = shared.table();
            let Some(route) = table.get(port) else { return Ok(None) };
            let (stream, client) = route.listener.accept()?;
            Ok(Some((Some(route.volume), stream.into(), client)))
        }
        Entrance::Front => {
            let front = shared.front();
            let Some(listener) = &*front else { return Ok(None) };
            let (stream, client) = listener.accept()?;
            drop(front);
            let port = meant(&stream, client.ip()).map(|meant| meant.port());
            let target = port.and_then(|port| shared.table().redirected(port));
            Ok(Some((target, stream.into(), client)))
        }
    }
}

fn hand_over(
    shared: &Shared,
    volume: VolumeId,
    stream: TcpStream,
    client: SocketAddr,
    backend: &dyn Backend,
) {
    match shared.purse.admit(client.ip(), volume) {
        Some(permit) => backend.deliver(volume, Arrival { stream, client, permit }),
        None => refuse(&stream),
    }
}

/// Ends a connection as a port does that nobody listens on.
fn refuse(stream: &TcpStream) {
    // Without this it is closed in order, which is worse for her and no harm.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
