//! What is known of a cell when one is to be chosen.

use std::collections::BTreeMap;
use std::fmt;

use protocol::control::fleet::{Availability, Pressure};
use protocol::control::names::{CellId, NodeName, SwarmName};
use serde::{Deserialize, Serialize};

/// Labels of a machine, or those that are asked for.
pub type Labels = BTreeMap<String, String>;

/// The label of what fails together: a hall, a power line.
pub const ZONE: &str = "zone";

/// The label of what kind of server a cell is for.
pub const TIER: &str = "tier";

/// A cell that could be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Which.
    pub cell: CellId,
    /// Where it runs.
    pub swarm: &'a SwarmName,
    /// Servers that live in it, those included that are on their way.
    pub count: u32,
    /// For how many it has room.
    pub capacity: u32,
    /// Of those that live in it, how many stand and fall with the one to be placed: those of the
    /// same owner or group, which are better off apart.
    pub companions: u32,
    /// Whether it runs.
    pub life: Life,
    /// For how long it has been heard without a gap, in milliseconds; none if it is not heard now.
    pub heard_ms: Option<u64>,
    /// It fell silent and was emptied for it: it has to be heard for a while before it gets anybody.
    pub is_resting: bool,
    /// On which machine its newest start is.
    pub machine: Option<Machine<'a>>,
    /// Labels that its machine must have.
    pub on: &'a Labels,
}

/// Whether a cell runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It is to go, or to be emptied; nobody comes into it any more.
    Retired,
    /// Nobody has started it yet.
    Waiting,
    /// It runs, and reported so many milliseconds ago.
    Running {
        /// Age of its newest report.
        age_ms: u64,
    },
}

/// The machine of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine<'a> {
    /// Which.
    pub node: &'a NodeName,
    /// What the operator wants of it.
    pub wanted: Availability,
    /// What its agent said last; none where there is no agent.
    pub seen: Option<Seen<'a>>,
}

/// What a machine's agent said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// How long ago, in milliseconds.
    pub age_ms: u64,
    /// What the engine thinks of the machine.
    pub availability: Availability,
    /// How much of it is used.
    pub pressure: Pressure,
    /// Its labels.
    pub labels: &'a Labels,
}

impl<'a> Candidate<'a> {
    /// The value of a label. What the machine says of itself goes before what was asked for.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&'a str> {
        let said = self.seen().and_then(|seen| seen.labels.get(name));
        said.or_else(|| self.on.get(name)).map(String::as_str)
    }

    /// The zone of its machine.
    #[must_use]
    pub fn zone(&self) -> Option<&'a str> {
        self.label(ZONE)
    }

    /// What its machine's agent said last.
    #[must_use]
    pub fn seen(&self) -> Option<Seen<'a>> {
        self.machine?.seen
    }
}

impl Seen<'_> {
    /// What the machine has least of, and how much of that is used, in thousandths.
    #[must_use]
    pub fn scarcest(&self) -> (u16, Resource) {
        let Pressure { memory, disk, handles } = self.pressure;
        let used =
            [(memory, Resource::Memory), (disk, Resource::Disk), (handles, Resource::Handles)];
        let (used, resource) = used.into_iter().max().unwrap_or_default();
        (used.min(1_000), resource)
    }
}

/// What a machine may run out of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resource {
    /// Memory.
    #[default]
    Memory,
    /// Room on the volume.
    Disk,
    /// File handles.
    Handles,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Handles => "file handles",
        })
    }
}
