//! How a cell went, minute by minute. Pure.

use std::collections::VecDeque;

use protocol::Timestamp;
use protocol::control::roster::CellCounts;
use serde::Serialize;

use crate::limits::CELL_HISTORY_MINUTES;

/// Milliseconds of one row.
const ROW_MS: i64 = 60_000;

/// The newest minutes in which a cell reported, oldest first.
#[derive(Debug, Clone, Default)]
pub struct History(VecDeque<Minute>);

/// What a cell reported in one minute: the most of each count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Minute {
    /// When it began.
    pub at: Timestamp,
    /// The most of each.
    #[serde(flatten)]
    pub most: CellCounts,
}

impl History {
    /// Takes in a report. One from a minute that is over counts for the newest: clocks may go back.
    pub fn note(&mut self, counts: CellCounts, now: Timestamp) {
        let at = Timestamp(now.0.div_euclid(ROW_MS) * ROW_MS);
        match self.0.back_mut() {
            Some(newest) if newest.at >= at => newest.most = most(newest.most, counts),
            _ => {
                if self.0.len() >= CELL_HISTORY_MINUTES {
                    self.0.pop_front();
                }
                self.0.push_back(Minute { at, most: counts });
            }
        }
    }

    /// All rows, oldest first.
    pub fn minutes(&self) -> impl Iterator<Item = &Minute> {
        self.0.iter()
    }
}

fn most(one: CellCounts, other: CellCounts) -> CellCounts {
    CellCounts {
        residents: one.residents.max(other.residents),
        awake: one.awake.max(other.awake),
        connections: one.connections.max(other.connections),
        memory_bytes: one.memory_bytes.max(other.memory_bytes),
        fenced: one.fenced.max(other.fenced),
        restarts: one.restarts.max(other.restarts),
        quarantined: one.quarantined.max(other.quarantined),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(awake: u64, connections: u64) -> CellCounts {
        CellCounts { awake, connections, ..CellCounts::default() }
    }

    #[test]
    fn reports_of_one_minute_are_one_row_with_the_most_of_each() {
        let mut history = History::default();
        history.note(counts(1, 9), Timestamp(60_000));
        history.note(counts(5, 2), Timestamp(119_999));
        history.note(counts(0, 0), Timestamp(120_000));
        history.note(counts(7, 0), Timestamp(60_001));
        let rows: Vec<_> = history.minutes().copied().collect();
        let first = Minute { at: Timestamp(60_000), most: counts(5, 9) };
        assert_eq!(rows, [first, Minute { at: Timestamp(120_000), most: counts(7, 0) }]);
    }

    #[test]
    fn only_the_newest_minutes_are_kept() {
        let mut history = History::default();
        for minute in 0..10_000 {
            history.note(counts(0, 0), Timestamp(minute * ROW_MS));
        }
        assert_eq!(history.minutes().count(), CELL_HISTORY_MINUTES);
        assert_eq!(history.minutes().last().map(|row| row.at), Some(Timestamp(9_999 * ROW_MS)));
    }
}
