//! Why a choice fell as it did, for programs and, in `warren placement explain`, for people.

use protocol::control::names::{CellId, NodeName, SwarmName};
use serde::{Deserialize, Serialize};

use super::policy::Policy;
use super::refusal::Refusal;
use super::score::Part;

/// A choice and its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The policy.
    pub policy: Policy,
    /// The best one: of those with the most points, the one with the lowest number.
    pub chosen: Option<CellId>,
    /// All cells that were looked at, in the order of their numbers.
    pub candidates: Vec<Judged>,
}

/// A cell that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Which.
    pub cell: CellId,
    /// Where it runs.
    pub swarm: SwarmName,
    /// On which machine.
    pub node: Option<NodeName>,
    /// In which zone.
    pub zone: Option<String>,
    /// Who lives in it.
    pub count: u32,
    /// For how many it has room.
    pub capacity: u32,
    /// What it came to.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What looking at a cell came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// It may not take her.
    Refused {
        /// All rules that it breaks.
        reasons: Vec<Refusal>,
    },
    /// It may.
    Scored {
        /// The sum of its parts.
        points: i64,
        /// For what it has them.
        parts: Vec<Part>,
    },
}

impl Judged {
    /// Its points, unless it was refused.
    #[must_use]
    pub fn points(&self) -> Option<i64> {
        match &self.verdict {
            Verdict::Refused { .. } => None,
            Verdict::Scored { points, .. } => Some(*points),
        }
    }
}
