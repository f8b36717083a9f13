//! Who may connect: permits over all and per address, room for handshakes, and what was refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::block::Blocks;
use crate::handshake::{self, HandshakeError, ServerStream};
use crate::rooms::Rooms;
use crate::telemetry::Metrics;
use crate::tls::ServerTls;
use crate::turns::Turns;

/// What one door admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptLimits {
    /// Connections at the same time.
    pub connections_max: usize,
    /// Handshakes at the same time. Beyond it each newcomer displaces the one that has taken
    /// longest, if that is longer than
    /// [`HANDSHAKE_TURN`](crate::limits::HANDSHAKE_TURN): honest ones are done by then.
    pub handshakes_max: usize,
    /// Connections at the same time from one IPv4 address or one IPv6 network of 64 bits.
    pub per_address_max: usize,
    /// From the accepted socket to the finished handshake.
    pub handshake_deadline: Duration,
}

/// What one door admits from parts of the network, so that none takes all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockLimits {
    /// Connections at the same time from one IPv4 network of 24 bits or IPv6 network of 48 bits.
    pub per_network_max: usize,
    /// Handshakes at the same time from one IPv4 address or one IPv6 network of 64 bits. Beyond it
    /// the others wait in order, and those that take longer than
    /// [`HANDSHAKE_TURN`](crate::limits::HANDSHAKE_TURN) leave for them.
    pub handshakes_per_address_max: usize,
    /// The same for one IPv4 network of 24 bits or IPv6 network of 48 bits.
    pub handshakes_per_network_max: usize,
}

impl BlockLimits {
    /// None: [`AcceptLimits`] alone say what is admitted.
    pub const NONE: Self = Self {
        per_network_max: usize::MAX,
        handshakes_per_address_max: usize::MAX,
        handshakes_per_network_max: usize::MAX,
    };
}

/// One door's limits with their counters. Several listeners may share it.
#[derive(Debug, Clone)]
pub struct Gate(Arc<State>);

/// Held by a connection for as long as it lives.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    blocks: Blocks,
}

/// Why a connection was closed before it was served, or ended badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// [`AcceptLimits::connections_max`] is reached.
    Full,
    /// [`AcceptLimits::per_address_max`] is reached.
    AddressFull,
    /// [`BlockLimits::per_network_max`] is reached.
    NetworkFull,
    /// Others of its block had their handshakes, until [`AcceptLimits::handshake_deadline`].
    HandshakeQueue,
    /// The handshake took longer than [`AcceptLimits::handshake_deadline`].
    HandshakeDeadline,
    /// The handshake took long, and the room was needed ([`AcceptLimits::handshakes_max`]).
    HandshakeDisplaced,
    /// The client left during the handshake.
    HandshakeClosed,
    /// It spoke no TLS, or none of ours.
    HandshakeTls,
    /// The socket failed.
    Socket,
    /// The system gave no socket.
    Accept,
    /// The handler panicked.
    Panic,
}

impl Refusal {
    /// All there are.
    pub const ALL: [Self; 11] = [
        Self::Full,
        Self::AddressFull,
        Self::NetworkFull,
        Self::HandshakeQueue,
        Self::HandshakeDeadline,
        Self::HandshakeDisplaced,
        Self::HandshakeClosed,
        Self::HandshakeTls,
        Self::Socket,
        Self::Accept,
        Self::Panic,
    ];

    /// As it stands in the metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::AddressFull => "address_full",
            Self::NetworkFull => "network_full",
            Self::HandshakeQueue => "handshake_queue",
            Self::HandshakeDeadline => "handshake_deadline",
            Self::HandshakeDisplaced => "handshake_displaced",
            Self::HandshakeClosed => "handshake_closed",
            Self::HandshakeTls => "handshake_tls",
            Self::Socket => "socket",
            Self::Accept => "accept",
            Self::Panic => "panic",
        }
    }
}

impl From<&HandshakeError> for Refusal {
    fn from(error: &HandshakeError) -> Self {
        match error {
            HandshakeError::Deadline => Self::HandshakeDeadline,
            HandshakeError::Closed => Self::HandshakeClosed,
            HandshakeError::Tls(_) => Self::HandshakeTls,
            HandshakeError::Socket(_) => Self::Socket,
        }
    }
}

#[derive(Debug)]
struct State {
    limits: AcceptLimits,
    per_network_max: usize,
    handshakes: Turns,
    address_rooms: Rooms,
    network_rooms: Rooms,
    open: Mutex<Open>,
    open_gauge: Gauge,
    admitted: Counter,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
}

/// The connections that hold a permit.
#[derive(Debug, Default)]
struct Open {
    all: usize,
    addresses: HashMap<IpAddr, usize>,
    networks: HashMap<IpAddr, usize>,
}

impl From<AcceptLimits> for Gate {
    fn from(limits: AcceptLimits) -> Self {
        Self::new(limits)
    }
}

impl Gate {
    /// A door with nobody inside.
    #[must_use]
    pub fn new(limits: AcceptLimits) -> Self {
        Self::with_blocks(limits, BlockLimits::NONE)
    }

    /// The same, with limits for parts of the network.
    #[must_use]
    pub fn with_blocks(limits: AcceptLimits, blocks: BlockLimits) -> Self {
        Self(Arc::new(State {
            limits,
            per_network_max: blocks.per_network_max,
            handshakes: Turns::new(limits.handshakes_max),
            address_rooms: Rooms::new(blocks.handshakes_per_address_max),
            network_rooms: Rooms::new(blocks.handshakes_per_network_max),
            open: Mutex::default(),
            open_gauge: Gauge::default(),
            admitted: Counter::default(),
            refused: Family::default(),
        }))
    }

    /// Asks for a permit, without waiting. A refusal is counted.
    ///
    /// # Errors
    /// [`Refusal::Full`], [`Refusal::AddressFull`] or [`Refusal::NetworkFull`]: close the socket.
    pub fn admit(&self, peer: IpAddr) -> Result<Permit, Refusal> {
        let blocks = Blocks::of(peer);
        let admitted = self.open().admit(blocks, &self.0);
        admitted.inspect_err(|reason| self.count(*reason))?;
        self.0.admitted.inc();
        self.0.open_gauge.inc();
        Ok(Permit { gate: self.clone(), blocks })
    }

    /// Does the handshake within the deadline, or until its room is needed. A failure is counted.
    ///
    /// # Errors
    /// The reason; the socket is closed.
    pub async fn handshake(
        &self,
        stream: TcpStream,
        tls: &ServerTls,
    ) -> Result<ServerStream, Refusal> {
        let done = self.handshake_in_turn(stream, tls).await;
        done.inspect_err(|reason| self.count(*reason))
    }

    async fn handshake_in_turn(
        &self,
        stream: TcpStream,
        tls: &ServerTls,
    ) -> Result<ServerStream, Refusal> {
        let state = &self.0;
        let deadline = Instant::now() + state.limits.handshake_deadline;
        let peer = stream.peer_addr().map_err(|_| Refusal::Socket)?;
        let (blocks, displaced) = (Blocks::of(peer.ip()), CancellationToken::new());
        let enter = async {
            let address = state.address_rooms.enter(blocks.address, &displaced).await;
            (address, state.network_rooms.enter(blocks.network, &displaced).await)
        };
        let _inside = timeout_at(deadline, enter).await.map_err(|_| Refusal::HandshakeQueue)?;
        let turn = state.handshakes.begin();
        let left = deadline.saturating_duration_since(Instant::now());
        tokio::select! {
            done = handshake::accept(stream, tls, left) => done.map_err(|e| Refusal::from(&e)),
            () = turn.displaced() => Err(Refusal::HandshakeDisplaced),
            () = displaced.cancelled() => Err(Refusal::HandshakeDisplaced),
        }
    }

    /// Counts a refusal that happened outside.
    pub fn count(&self, reason: Refusal) {
        self.0.refused.get_or_create(&[("reason", reason.label())]).inc();
    }

    /// How often this reason was counted.
    #[must_use]
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.0.refused.get_or_create(&[("reason", reason.label())]).get()
    }

    /// What it admits.
    #[must_use]
    pub fn limits(&self) -> &AcceptLimits {
        &self.0.limits
    }

    /// Connections that hold a permit now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open().all
    }

    /// Adds the door's figures to the metrics, in a registry that carries the role's prefix.
    pub fn register(&self, metrics: &mut Metrics) {
        let state = &self.0;
        metrics.register("connections", "Connections open now", state.open_gauge.clone());
        metrics.register("accepted", "Connections admitted", state.admitted.clone());
        metrics.register("refused", "Connections closed, by reason", state.refused.clone());
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // The two counts are consistent after every statement that could panic.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn admit(&mut self, blocks: Blocks, state: &State) -> Result<(), Refusal> {
        let of_address = self.addresses.get(&blocks.address).copied().unwrap_or(0);
        let of_network = self.networks.get(&blocks.network).copied().unwrap_or(0);
        if self.all >= state.limits.connections_max {
            return Err(Refusal::Full);
        }
        if of_address >= state.limits.per_address_max {
            return Err(Refusal::AddressFull);
        }
        if of_network >= state.per_network_max {
            return Err(Refusal::NetworkFull);
        }
        self.addresses.insert(blocks.address, of_address + 1);
        self.networks.insert(blocks.network, of_network + 1);
        self.all += 1;
        Ok(())
    }

    fn leave(&mut self, blocks: Blocks) {
        self.all = self.all.saturating_sub(1);
        one_less(&mut self.addresses, blocks.address);
        one_less(&mut self.networks, blocks.network);
    }
}

fn one_less(counts: &mut HashMap<IpAddr, usize>, block: IpAddr) {
    match counts.get_mut(&block) {
        Some(count) if *count > 1 => *count -= 1,
        _ => drop(counts.remove(&block)),
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.gate.count(Refusal::Panic);
        }
        self.gate.open().leave(self.blocks);
        self.gate.0.open_gauge.dec();
    }
}
