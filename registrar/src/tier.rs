//! What kind of cell a server is to have.

use serde::{Deserialize, Serialize};

use crate::choice::{DEDICATED, Labels, TIER};

/// Whether a server shares its cell with others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// It does, with thousands.
    #[default]
    Shared,
    /// It goes into a cell that is kept for servers that are to live alone.
    Dedicated,
}

impl Tier {
    /// Whether it is what a server gets that asks for nothing.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        *self == Self::Shared
    }

    /// Labels that its cell must have.
    #[must_use]
    pub fn needs(self) -> Labels {
        match self {
            Self::Shared => Labels::new(),
            Self::Dedicated => Labels::from([(TIER.to_owned(), DEDICATED.to_owned())]),
        }
    }
}
