//! Which way a connection would take, and why, as far as this router knows.

use std::net::SocketAddr;
use std::num::NonZeroU16;

use protocol::control::names::CellId;
use protocol::control::roster::Position;
use protocol::control::routes::Target;
use protocol::{HostLabel, Term, Timestamp, VolumeId};
use serde::{Deserialize, Serialize};

use crate::doors::Door;
use crate::route_table::PortState;

/// Where a connection comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entrance {
    /// At a port of an identity's own.
    Port(NonZeroU16),
    /// At the port of all names, with this label.
    Name(HostLabel),
}

/// What happens to a connection now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Where it comes in.
    pub entrance: Entrance,
    /// How it is taken, and what becomes of it.
    pub way: Way,
    /// Whether it comes in through the socket of a whole range.
    pub is_redirected: bool,
    /// To whose server the registrar says that it leads.
    pub volume: Option<VolumeId>,
    /// Which cell serves her.
    pub cell: Option<CellId>,
    /// Which start of the cell is known.
    pub term: Option<Term>,
    /// Where that one is; none while nobody runs it.
    pub address: Option<SocketAddr>,
    /// How old all of this is.
    pub knowledge: Knowledge,
}

/// Where a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To the cell.
    Carried,
    /// Nowhere yet: it is held until the cell runs somewhere, or for too long.
    Held,
    /// To another program that listens on the port.
    OtherProgram,
    /// Nowhere: it is refused.
    Refused,
}

/// How old what a router knows is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knowledge {
    /// Up to where the registrar was followed; none if nothing is known.
    pub at: Option<Position>,
    /// Milliseconds since the registrar last answered; none if it has not in this run.
    pub heard_ms: Option<u64>,
    /// When an earlier run wrote down what this one began with.
    pub kept: Option<Timestamp>,
}

impl Trace {
    pub(crate) fn new(
        (entrance, state): (Entrance, PortState),
        target: Option<Target>,
        door: Door,
        knowledge: Knowledge,
    ) -> Self {
        let way = match (state, door.address) {
            (PortState::Closed, _) => Way::Refused,
            (PortState::Taken(_), _) => Way::OtherProgram,
            (_, Some(_)) => Way::Carried,
            (_, None) => Way::Held,
        };
        Self {
            entrance,
            way,
            is_redirected: matches!(state, PortState::Redirected(_)),
            volume: target.map(|target| target.volume),
            cell: target.map(|target| target.cell),
            term: door.term,
            address: door.address,
            knowledge,
        }
    }
}
