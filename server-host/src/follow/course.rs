//! What a cell believes of a roster: pure.

use protocol::control::roster::{ORDERS_MAX, Position, Roster};

use crate::limits::RESIDENTS_MAX;

/// Where a cell stands in what its registrar tells.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// The furthest that was ever taken; nothing before it is believed.
    furthest: Option<Position>,
    /// Whether only a whole list will do.
    is_lost: bool,
}

/// Why a roster is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RosterFault {
    /// It is from before what was known: the registrar was set back, or it is another one.
    #[error("the roster goes back from {known:?} to {told:?}")]
    Backwards {
        /// The furthest that was taken.
        known: Position,
        /// What was told now.
        told: Position,
    },
    /// It is a part of a list whose beginning is not known.
    #[error("the roster goes on from somewhere else, to {0:?}")]
    Stray(Position),
    /// It has more orders than a cell takes.
    #[error("the roster has {0} orders")]
    TooLong(usize),
}

impl Course {
    /// From where to ask; none asks for the whole list.
    pub(crate) fn after(&self) -> Option<Position> {
        self.furthest.filter(|_| !self.is_lost)
    }

    /// Goes on to where this roster leads. After a refusal only a whole one will do.
    ///
    /// # Errors
    /// [`RosterFault`]: nothing in it is to be done.
    pub(crate) fn take(&mut self, roster: &Roster) -> Result<(), RosterFault> {
        let judged = self.judge(roster);
        match judged {
            Ok(()) => (self.furthest, self.is_lost) = (Some(roster.upto), false),
            Err(_) => self.is_lost = true,
        }
        judged
    }

    fn judge(&self, roster: &Roster) -> Result<(), RosterFault> {
        let (told, count) = (roster.upto, roster.orders.len());
        if let Some(known) = self.furthest.filter(|known| told < *known) {
            return Err(RosterFault::Backwards { known, told });
        }
        if !roster.is_whole && self.after().is_none_or(|after| after.run != told.run) {
            return Err(RosterFault::Stray(told));
        }
        let max = if roster.is_whole { RESIDENTS_MAX } else { ORDERS_MAX };
        if count > max { Err(RosterFault::TooLong(count)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(run: u64, number: u64) -> Position {
        Position { run, number }
    }

    fn roster(run: u64, number: u64, is_whole: bool) -> Roster {
        Roster { upto: at(run, number), is_whole, orders: Vec::new() }
    }

    #[test]
    fn a_whole_list_begins_and_parts_go_on_from_it() {
        let mut course = Course::default();
        assert_eq!(course.after(), None);
        assert_eq!(course.take(&roster(3, 5, false)), Err(RosterFault::Stray(at(3, 5))));
        course.take(&roster(3, 5, true)).unwrap();
        assert_eq!(course.after(), Some(at(3, 5)));
        course.take(&roster(3, 9, false)).unwrap();
        // A registrar that was started again tells everything.
        assert_eq!(course.take(&roster(4, 0, false)), Err(RosterFault::Stray(at(4, 0))));
        assert_eq!(course.after(), None);
        course.take(&roster(4, 0, true)).unwrap();
        assert_eq!(course.after(), Some(at(4, 0)));
    }

    #[test]
    fn what_goes_back_is_not_believed_whole_or_not() {
        let mut course = Course::default();
        course.take(&roster(3, 5, true)).unwrap();
        for told in [roster(2, 9, true), roster(3, 4, true), roster(2, 9, false)] {
            let fault = RosterFault::Backwards { known: at(3, 5), told: told.upto };
            assert_eq!(course.take(&told), Err(fault));
            assert_eq!(course.after(), None, "the whole list is asked for");
        }
        course.take(&roster(3, 5, true)).unwrap();
    }
}
