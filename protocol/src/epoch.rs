//! The number of a placement: whoever opens a store with a higher one shuts the lower ones out.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// A placement's epoch, from 1. There is no epoch 0, and no way to make one from nothing: it comes
/// from the registrar, or from storage that read it back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(NonZeroU64);

impl Epoch {
    /// The first epoch that an identity is placed with.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// Reads a number from a wire or a disk; `None` for 0.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0.get()
    }

    /// The epoch after this one; `None` at the end of numbers.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}", self.0)
    }
}
