//! Carries connections to the cells, on whatever machines these are.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use net::accept::Gate;
use net::backoff::pause;
use net::clock::Clock;
use net::drain::Drain;
use net::limits::LINK_DIAL_DEADLINE;
use net::preface::{self, LinkKey, Preface};
use net::socket::adopt;
use net::telemetry::Metrics;
use protocol::{Term, VolumeId};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::doors::{Door, Doors};
use crate::guests::Guest;
use crate::limits::{
    FIRST_BYTES_MAX, GATE, HOLD_GATE, HOLD_MAX, PART_GRACE, REACH_PAUSE_MAX, REACH_PAUSE_MIN,
};
use crate::listen::{Arrival, Backend};
use crate::pipes::Pipes;
use crate::relay::relay;

/// Carries each connection to the cell that serves its volume. Clones are the same.
///
/// While the cell is nowhere, or does not answer where it is said to be, the client is held: it is
/// being started, perhaps on another machine. Once a cell is started anew, connections to its
/// earlier start are cut, for that one serves nobody any more and may be unable to say so; once a
/// volume is moved to another cell, those to the old one are, a moment later.
#[derive(Clone)]
pub struct Forwarder(Arc<Inner>);

struct Inner {
    key: LinkKey,
    clock: Arc<dyn Clock>,
    doors: Arc<Doors>,
    runtime: Handle,
    drain: Drain,
    gate: Gate,
    holding: Gate,
    pipes: Arc<Pipes>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    unreached: AtomicU64,
    given_up: AtomicU64,
    cut: AtomicU64,
}

/// What a forwarder counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwarderCounters {
    /// Connections that are carried or held now.
    pub connections: usize,
    /// Of them those that wait for their cell.
    pub held: usize,
    /// Pipes through which much is carried now.
    pub pipes: usize,
    /// Tries to reach a cell that failed.
    pub unreached: u64,
    /// Clients who waited in vain.
    pub given_up: u64,
    /// Connections cut because their cell was started anew, or their volume was moved.
    pub cut: u64,
}

/// A cell that knows whom it is talking to.
struct Reached {
    stream: TcpStream,
    term: Option<Term>,
    door: watch::Receiver<Door>,
    guest: Guest,
}

impl Forwarder {
    /// Knows no cell yet; its connections live on the current runtime and belong to `drain`.
    #[must_use]
    pub fn new(key: LinkKey, clock: Arc<dyn Clock>, drain: Drain) -> Self {
        Self(Arc::new(Inner {
            key,
            clock,
            doors: Arc::default(),
            runtime: Handle::current(),
            drain,
            gate: Gate::new(GATE),
            holding: Gate::new(HOLD_GATE),
            pipes: Arc::default(),
            counts: Counts::default(),
        }))
    }

    pub(crate) fn doors(&self) -> &Arc<Doors> {
        &self.0.doors
    }

    /// Adds the connections' figures to the metrics, in a registry that carries the role's prefix.
    pub fn register(&self, metrics: &mut Metrics) {
        self.0.gate.register(metrics);
        self.0.holding.register(metrics.sub_registry_with_prefix("held"));
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> ForwarderCounters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        ForwarderCounters {
            connections: self.0.gate.connections(),
            held: self.0.holding.connections(),
            pipes: self.0.pipes.taken(),
            unreached: read(&self.0.counts.unreached),
            given_up: read(&self.0.counts.given_up),
            cut: read(&self.0.counts.cut),
        }
    }
}

impl Backend for Forwarder {
    fn deliver(&self, volume: VolumeId, arrival: Arrival) {
        let Ok(place) = self.0.gate.admit(arrival.client.ip()) else { return };
        let inner = Arc::clone(&self.0);
        let _entered = self.0.runtime.enter();
        self.0.drain.spawn(async move {
            let Arrival { stream, client, permit } = arrival;
            if let Ok(stream) = adopt(stream) {
                inner.carry(volume, stream, client).await;
            }
            drop((place, permit));
        });
    }
}

impl Inner {
    async fn carry(&self, volume: VolumeId, mut client: TcpStream, peer: SocketAddr) {
        // What reaching takes is given back before the connection comes to rest.
        let Some(reached) =
            Box::pin(self.reached(Preface { client: peer, volume }, &mut client)).await
        else {
            return;
        };
        let Reached { mut stream, term, mut door, guest } = reached;
        tokio::select! {
            // However it ended, both sockets close.
            _ = relay(&mut client, &mut stream, &self.pipes) => {}
            _ = door.wait_for(|door| door.term > term) => {
                self.counts.cut.fetch_add(1, Ordering::Relaxed);
            }
            () = moved(guest) => {
                self.counts.cut.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The cell, in bounded time; none if the router ends.
    async fn reached(&self, preface: Preface, client: &mut TcpStream) -> Option<Reached> {
        let reached = tokio::select! {
            reached = timeout(HOLD_MAX, self.reach(&preface, client)) => reached.ok().flatten(),
            // Who has just come is carried yet; who waits for a cell is not.
            () = self.drain.draining_for(LINK_DIAL_DEADLINE) => return None,
        };
        if reached.is_none() {
            self.counts.given_up.fetch_add(1, Ordering::Relaxed);
        }
        reached
    }

    /// Tries until the cell takes her; none if her volume has no cell, or too many are waiting.
    async fn reach(&self, preface: &Preface, client: &mut TcpStream) -> Option<Reached> {
        let (mut held, mut failures) = (None, 0);
        // It is said again wherever she is taken in the end.
        let mut first = Vec::new();
        loop {
            let mut guest = self.doors.guest(preface.volume);
            let mut door = self.doors.of(preface.volume)?;
            let Door { term, address } = *door.borrow_and_update();
            if let Some(address) = address {
                tokio::select! {
                    dialled = preface::dial(
                        address,
                        preface,
                        &self.key,
                        self.clock.now(),
                        what_is_there(client, &mut first),
                    ) => {
                        match dialled {
                            Ok(stream) => return Some(Reached { stream, term, door, guest }),
                            Err(error) => debug!(%address, %error, "a cell cannot be reached"),
                        }
                    }
                    // It is said to be elsewhere by now.
                    _ = door.changed() => continue,
                    () = guest.parted() => continue,
                }
                self.counts.unreached.fetch_add(1, Ordering::Relaxed);
            }
            if held.is_none() {
                held = Some(self.holding.admit(preface.client.ip()).ok()?);
            }
            failures += 1;
            tokio::select! {
                _ = door.changed() => {}
                () = guest.parted() => {}
                () = sleep(pause(failures, REACH_PAUSE_MIN, REACH_PAUSE_MAX)) => {}
            }
        }
    }
}

/// Returns a moment after the volume was moved: the old cell may end the connection in order.
async fn moved(mut guest: Guest) {
    guest.parted().await;
    Box::pin(sleep(PART_GRACE)).await;
}

/// What has come of her by now, if nothing came before; it waits for nothing.
async fn what_is_there<'a>(client: &mut TcpStream, first: &'a mut Vec<u8>) -> &'a [u8] {
    if first.is_empty() {
        poll_fn(|cx| {
            let mut bytes = [0; FIRST_BYTES_MAX];
            let mut bytes = ReadBuf::new(&mut bytes);
            // If it fails, so will the next who reads.
            let _ = Pin::new(&mut *client).poll_read(cx, &mut bytes);
            first.extend_from_slice(bytes.filled());
            Poll::Ready(())
        })
        .await;
    }
    first
}
