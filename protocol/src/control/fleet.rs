//! Machines and cells: what the registrar wants of a swarm, and what the agent on each of its
//! machines tells.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use super::names::{CellId, NodeName, SwarmName};
use super::roster::Position;

/// Most labels of a node, and most lines of drift in a report.
pub const NODE_ITEMS_MAX: usize = 256;

/// What the agent on a machine sees: `PUT /v1/nodes/{node}`, every few seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeReport {
    /// To which swarm the machine belongs.
    pub swarm: SwarmName,
    /// What the machine calls itself.
    pub hostname: String,
    /// Where other machines of the swarm reach it.
    pub address: IpAddr,
    /// What the engine says about it.
    pub engine: EngineReport,
    /// How much of the machine is used.
    pub pressure: Pressure,
    /// What was not as the plan wants it, and was mended or could not be.
    pub drift: Vec<String>,
    /// The agent's version.
    pub version: String,
}

/// What an engine says about its node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineReport {
    /// Whether it answers at all; the rest is what it said last.
    pub is_answering: bool,
    /// Whether it leads the managers: its agent is the one that makes services.
    pub is_leader: bool,
    /// Whether it takes new tasks.
    pub availability: Availability,
    /// The node's labels, such as `zone` and `tier`.
    pub labels: BTreeMap<String, String>,
}

/// Whether a node takes work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Availability {
    /// It does.
    #[default]
    Active,
    /// It keeps what it has.
    Pause,
    /// It gives away what it has.
    Drain,
}

/// How much of a machine is used; 0 to 1000, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pressure {
    /// Of its memory.
    pub memory: u16,
    /// Of the volume's room.
    pub disk: u16,
    /// Of its file handles.
    pub handles: u16,
}

/// What one cell of a swarm is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellSpec {
    /// Which cell.
    pub cell: CellId,
    /// The image that it runs.
    pub image: String,
    /// On which port of its machine it takes connections from routers; no two cells share one.
    pub port: NonZeroU16,
    /// Its limit of memory, in bytes.
    pub memory_bytes: u64,
    /// Its limit of processor time, in thousandths of one processor.
    pub millicpus: u32,
    /// Labels that its machine must have, such as `zone` = `a`.
    pub on: BTreeMap<String, String>,
}

/// All cells that a swarm is to run: `GET /v1/swarms/{swarm}/plan?run=R&after=N&wait=SECONDS`. It is
/// always whole; a cell that is not here is to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where the agent stands once it has taken this.
    pub upto: Position,
    /// In the order of their numbers.
    pub cells: Vec<CellSpec>,
    /// Nodes that are to give away what they have, or to take work again.
    pub nodes: BTreeMap<NodeName, Availability>,
}
