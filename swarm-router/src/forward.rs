//! Carries connections to the cells, on whatever machines these are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use net::accept::Gate;
use net::backoff::pause;
use net::clock::Clock;
use net::drain::Drain;
use net::limits::LINK_DIAL_DEADLINE;
use net::preface::{self, LinkKey, Preface};
use net::socket::adopt;
use net::telemetry::Metrics;
use protocol::{Term, VolumeId};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::doors::{Door, Doors};
use crate::limits::{GATE, HOLD_GATE, HOLD_MAX, REACH_PAUSE_MAX, REACH_PAUSE_MIN};
use crate::listen::{Arrival, Backend};
use crate::relay::relay;

/// Carries each connection to the cell that serves its volume. Clones are the same.
///
/// While the cell is nowhere, or does not answer where it is said to be, the client is held: it is
/// being started, perhaps on another machine. Once a cell is started anew, connections to its
/// earlier start are cut, for that one serves nobody any more and may be unable to say so.
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
    /// Tries to reach a cell that failed.
    pub unreached: u64,
    /// Clients who waited in vain.
    pub given_up: u64,
    /// Connections cut because their cell was started anew.
    pub cut: u64,
}

/// A cell that knows whom it is talking to.
struct Reached {
    stream: TcpStream,
    term: Option<Term>,
    door: watch::Receiver<Door>,
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
        let preface = Preface { client: peer, volume };
        let reached = tokio::select! {
            reached = timeout(HOLD_MAX, self.reach(&preface)) => reached.ok().flatten(),
            // Who has just come is carried yet; who waits for a cell is not.
            () = self.drain.draining_for(LINK_DIAL_DEADLINE) => return,
        };
        let Some(Reached { mut stream, term, mut door }) = reached else {
            self.counts.given_up.fetch_add(1, Ordering::Relaxed);
            return;
        };
        tokio::select! {
            // However it ended, both sockets close.
            _ = relay(&mut client, &mut stream) => {}
            _ = door.wait_for(|door| door.term > term) => {
                self.counts.cut.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Tries until the cell takes her; none if her volume has no cell, or too many are waiting.
    async fn reach(&self, preface: &Preface) -> Option<Reached> {
        let (mut held, mut failures) = (None, 0);
        loop {
            let mut door = self.doors.of(preface.volume)?;
            let Door { term, address } = *door.borrow_and_update();
            if let Some(address) = address {
                tokio::select! {
                    dialled = preface::dial(address, preface, &self.key, self.clock.now()) => {
                        match dialled {
                            Ok(stream) => return Some(Reached { stream, term, door }),
                            Err(error) => debug!(%address, %error, "a cell cannot be reached"),
                        }
                    }
                    // It is said to be elsewhere by now.
                    _ = door.changed() => continue,
                }
                self.counts.unreached.fetch_add(1, Ordering::Relaxed);
            }
            if held.is_none() {
                held = Some(self.holding.admit(preface.client.ip()).ok()?);
            }
            failures += 1;
            tokio::select! {
                _ = door.changed() => {}
                () = sleep(pause(failures, REACH_PAUSE_MIN, REACH_PAUSE_MAX)) => {}
            }
        }
    }
}
