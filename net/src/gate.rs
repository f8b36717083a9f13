//! Who may connect: permits over all and per address, room for handshakes, and what was refused.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::TcpStream;

use crate::handshake::{self, HandshakeError, ServerStream};
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

/// One door's limits with their counters. Several listeners may share it.
#[derive(Debug, Clone)]
pub struct Gate(Arc<State>);

/// Held by a connection for as long as it lives.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    block: IpAddr,
}

/// Why a connection was closed before it was served, or ended badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// [`AcceptLimits::connections_max`] is reached.
    Full,
    /// [`AcceptLimits::per_address_max`] is reached.
    AddressFull,
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
    pub const ALL: [Self; 9] = [
        Self::Full,
        Self::AddressFull,
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
    handshakes: Turns,
    open: Mutex<Open>,
    open_gauge: Gauge,
    admitted: Counter,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
}

/// The connections that hold a permit.
#[derive(Debug, Default)]
struct Open {
    all: usize,
    per_block: HashMap<IpAddr, usize>,
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
        Self(Arc::new(State {
            limits,
            handshakes: Turns::new(limits.handshakes_max),
            open: Mutex::default(),
            open_gauge: Gauge::default(),
            admitted: Counter::default(),
            refused: Family::default(),
        }))
    }

    /// Asks for a permit, without waiting. A refusal is counted.
    ///
    /// # Errors
    /// [`Refusal::Full`] or [`Refusal::AddressFull`]: close the socket.
    pub fn admit(&self, peer: IpAddr) -> Result<Permit, Refusal> {
        let block = block_of(peer);
        let admitted = self.open().admit(block, &self.0.limits);
        admitted.inspect_err(|reason| self.count(*reason))?;
        self.0.admitted.inc();
        self.0.open_gauge.inc();
        Ok(Permit { gate: self.clone(), block })
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
        let turn = self.0.handshakes.begin();
        let done = tokio::select! {
            done = handshake::accept(stream, tls, self.0.limits.handshake_deadline) => {
                done.map_err(|e| Refusal::from(&e))
            }
            () = turn.displaced() => Err(Refusal::HandshakeDisplaced),
        };
        done.inspect_err(|reason| self.count(*reason))
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
    fn admit(&mut self, block: IpAddr, limits: &AcceptLimits) -> Result<(), Refusal> {
        let of_block = self.per_block.get(&block).copied().unwrap_or(0);
        if self.all >= limits.connections_max {
            return Err(Refusal::Full);
        }
        if of_block >= limits.per_address_max {
            return Err(Refusal::AddressFull);
        }
        self.per_block.insert(block, of_block + 1);
        self.all += 1;
        Ok(())
    }

    fn leave(&mut self, block: IpAddr) {
        self.all = self.all.saturating_sub(1);
        match self.per_block.get_mut(&block) {
            Some(of_block) if *of_block > 1 => *of_block -= 1,
            _ => drop(self.per_block.remove(&block)),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.gate.count(Refusal::Panic);
        }
        self.gate.open().leave(self.block);
        self.gate.0.open_gauge.dec();
    }
}

/// Whom an address is counted with: a home gets a whole IPv6 network.
fn block_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}
