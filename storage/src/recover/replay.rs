//! A state that grows record by record.

use std::io;
use std::sync::Arc;

use crate::chain::{Chain, Position};
use crate::error::{OpenError, Why};
use crate::format::{Kind, Mode, Op, Opening, Ops, snapshot_end_count};
use crate::index::{Index, RecordPlace};
use crate::scan::{Next, Scanner, read_opening};
use crate::volume::Segment;

/// A state that grows record by record.
pub(super) struct Replay {
    pub(super) index: Index,
    pub(super) at: Position,
    pub(super) records: u64,
    /// What the last record says of how far its segment was durable before it.
    pub(super) settled: u32,
    /// Entries that an unfinished snapshot has brought so far.
    pub(super) snapshot: Option<u64>,
}

impl Replay {
    pub(super) fn new() -> Self {
        let at = Position { seq: 0, chain: Chain::from_bytes([0; 32]), end: 0 };
        Self { index: Index::default(), at, records: 0, settled: 0, snapshot: None }
    }

    /// Takes in the body of a sound record.
    fn apply(&mut self, kind: Kind, place: RecordPlace, body: &[u8]) -> Result<(), Why> {
        match (kind, self.snapshot) {
            (Kind::Opening, None) => {
                let mode = Opening::parse(body).ok_or(Why::Body)?.mode;
                self.snapshot = (mode == Mode::Compacted).then_some(0);
            }
            (Kind::Ops, None) => self.apply_ops(place, body, false).map(drop)?,
            (Kind::Snapshot, Some(entries)) => {
                self.snapshot = Some(entries + self.apply_ops(place, body, true)?);
            }
            (Kind::SnapshotEnd, Some(entries)) if snapshot_end_count(body) == Some(entries) => {
                self.snapshot = None;
            }
            _ => return Err(Why::Body),
        }
        self.records += 1;
        Ok(())
    }

    fn apply_ops(&mut self, place: RecordPlace, body: &[u8], keeps: bool) -> Result<u64, Why> {
        let mut count = 0;
        for op in Ops::new(body) {
            let op = op.map_err(|_| Why::Body)?;
            if matches!(op, Op::Keep { .. }) != keeps {
                return Err(Why::Body);
            }
            self.index.apply(op, place);
            count += 1;
        }
        Ok(count)
    }

    /// Replays a segment to `end`, or to its own, or to the first bytes that are no record of it.
    /// `watch` sees each point between two records.
    pub(super) fn run(
        &mut self,
        scanner: &mut Scanner<'_>,
        end: Option<u32>,
        mut watch: impl FnMut(&Position) -> Result<(), OpenError>,
        io: impl FnOnce(io::Error) -> OpenError,
    ) -> Result<Option<Why>, OpenError> {
        loop {
            if end.is_some_and(|end| scanner.position().end >= end) {
                return Ok(None);
            }
            match scanner.next() {
                Ok(Next::End) => return Ok(None),
                Ok(Next::Broken(why)) => return Ok(Some(why)),
                Ok(Next::Record(kind, place, body)) => {
                    if let Err(why) = self.apply(kind, place, body) {
                        return Ok(Some(why));
                    }
                }
                Err(error) => return Err(io(error)),
            }
            (self.at, self.settled) = (scanner.position(), scanner.settled());
            watch(&self.at)?;
        }
    }
}

/// The index of segments whose history is known to end at `at`: for a store that has to forget what
/// it could not make durable.
pub(crate) fn index_of(segments: &[Arc<Segment>], at: &Position) -> io::Result<Index> {
    let mut replay = Replay::new();
    let damaged = |why: Why| io::Error::other(why.to_string());
    for (number, segment) in segments.iter().enumerate() {
        let (opening, seq) = read_opening(segment)?.map_err(damaged)?;
        let mut scanner = Scanner::new(segment, &opening, seq)?;
        let end = match segments.get(number + 1) {
            // Behind the end that the next one names, a fenced writer may have left something.
            Some(next) => read_opening(next)?.map_err(damaged)?.0.continues.map_or(0, |at| at.end),
            None => at.end,
        };
        while scanner.position().end != end {
            match scanner.next()? {
                Next::Record(kind, place, body) => {
                    replay.apply(kind, place, body).map_err(damaged)?;
                }
                Next::End => break,
                Next::Broken(why) => return Err(damaged(why)),
            }
        }
        replay.at = scanner.position();
    }
    match replay.at == *at {
        true => Ok(replay.index),
        false => Err(io::Error::other("the durable end is not there")),
    }
}
