//! What the store keeps of swarms, cells and nodes.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use protocol::control::fleet::{Availability, CellSpec};
use protocol::control::names::{CellId, NodeName, SwarmName};
use protocol::{Term, Timestamp};
use serde::{Deserialize, Serialize};

/// One swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwarmRecord {
    /// When it was made known.
    pub since: Timestamp,
}

/// What is wanted of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// To which swarm it belongs.
    pub swarm: SwarmName,
    /// Whether it is to take work.
    pub availability: Availability,
}

/// Whether a cell is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellState {
    /// It is.
    Active,
    /// It is not any more, and its number is not given to another one.
    Retired,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellRecord {
    /// The swarm that runs it.
    pub swarm: SwarmName,
    /// See [`CellSpec::image`].
    pub image: String,
    /// See [`CellSpec::port`].
    pub port: NonZeroU16,
    /// For how many identities it has room.
    pub capacity: u32,
    /// See [`CellSpec::memory_bytes`].
    pub memory_bytes: u64,
    /// See [`CellSpec::millicpus`].
    pub millicpus: u32,
    /// See [`CellSpec::on`].
    pub on: BTreeMap<String, String>,
    /// Whether it is to run.
    pub state: CellState,
    /// Whether all who live in it are to go to other cells, and nobody is to come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_draining: bool,
    /// Its newest start; none before the first.
    pub start: Option<CellStart>,
}

/// One start of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellStart {
    /// Higher than that of every start before.
    pub term: Term,
    /// On which node, as its process says.
    pub node: NodeName,
    /// Where the node was reached then.
    pub address: IpAddr,
    /// The version of the program.
    pub version: String,
    /// When.
    pub since: Timestamp,
}

impl CellRecord {
    /// What the swarm's agents are told.
    #[must_use]
    pub fn spec(&self, cell: CellId) -> CellSpec {
        CellSpec {
            cell,
            image: self.image.clone(),
            port: self.port,
            memory_bytes: self.memory_bytes,
            millicpus: self.millicpus,
            on: self.on.clone(),
        }
    }

    /// Whether it is to run.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.state == CellState::Active
    }

    /// Its newest term.
    #[must_use]
    pub fn term(&self) -> Option<Term> {
        self.start.as_ref().map(|start| start.term)
    }

    /// Its door, on the machine at `address`.
    #[must_use]
    pub fn door(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.port.get())
    }
}
