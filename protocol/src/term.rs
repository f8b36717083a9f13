//! The number of a cell's start: whoever runs a cell under a higher one shuts the lower ones out.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::Epoch;

/// Which start of a cell this is, from 1. The registrar gives each start of a cell a higher one than
/// every start before it had, so two processes that believe to be the same cell never share one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Term(NonZeroU32);

impl Term {
    /// The term of a cell's first start.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// Reads a number from a wire or a disk; `None` for 0.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get()
    }

    /// The term after this one; `None` at the end of numbers.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// Bits of a store's epoch below the term: which restart of one server within one start of its cell.
const RESTART_BITS: u32 = 8;

impl Epoch {
    /// With which a cell opens a store: the placement's epoch comes first, so a new placement shuts
    /// out every start of the old cell; the term comes second, so a new start of the same cell shuts
    /// out the older ones; last comes how often the cell had to give this one server up and start it
    /// anew, so the new one shuts out the one that hangs. `None` for a placement that was renewed more
    /// than four thousand million times, and for a cell that was started more than sixteen million
    /// times.
    #[must_use]
    pub fn within(self, term: Term, restart: u8) -> Option<Self> {
        let placement = u32::try_from(self.number()).ok()?;
        let term = Some(term.number()).filter(|term| *term < 1 << (32 - RESTART_BITS))?;
        let below = u64::from(term) << RESTART_BITS | u64::from(restart);
        Self::from_number(u64::from(placement) << 32 | below)
    }

    /// The placement's epoch and the restart of one that was made so; `None` for a plain one.
    #[must_use]
    pub fn apart(self) -> Option<(Self, u8)> {
        let [restart, ..] = self.number().to_le_bytes();
        Some((Self::from_number(self.number() >> 32)?, restart))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "term {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_new_placement_is_above_every_term_of_the_old_one() {
        let last = Term::from_number((1 << 24) - 1).unwrap();
        let (first, second) = (Epoch::FIRST, Epoch::FIRST.next().unwrap());
        let of = |epoch: Epoch, term, restart| epoch.within(term, restart).unwrap();
        assert!(of(first, Term::FIRST, 0) < of(first, Term::FIRST, 1));
        assert!(of(first, Term::FIRST, u8::MAX) < of(first, Term::FIRST.next().unwrap(), 0));
        assert!(of(first, last, u8::MAX) < of(second, Term::FIRST, 0));
        assert!(second < of(first, Term::FIRST, 0), "also above a store without terms");
        assert_eq!(of(second, last, 7).apart(), Some((second, 7)));
        assert_eq!(second.apart(), None);
        assert_eq!(Epoch::from_number(1 << 32).unwrap().within(Term::FIRST, 0), None);
        assert_eq!(first.within(last.next().unwrap(), 0), None);
        assert_eq!(Term::from_number(u32::MAX).unwrap().next(), None);
    }
}
