//! How cells are weighed against one another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which of the cells that may take a server is the best.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The one with the largest part of its room free.
    #[default]
    LeastLoaded,
    /// Each in its turn.
    RoundRobin,
    /// The one whose machine has the most left of what it has least of.
    Resources,
    /// The fullest, so that few cells are busy and the others can be given up.
    Packing,
}

/// A text that is no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a placement policy is least-loaded, round-robin, resources or packing")]
pub struct PolicyError;

impl Policy {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::LeastLoaded, Self::RoundRobin, Self::Resources, Self::Packing];

    /// As it is written in options and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeastLoaded => "least-loaded",
            Self::RoundRobin => "round-robin",
            Self::Resources => "resources",
            Self::Packing => "packing",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Policy {
    type Err = PolicyError;
    fn from_str(text: &str) -> Result<Self, PolicyError> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or(PolicyError)
    }
}
