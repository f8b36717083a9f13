//! How segments join: which may follow which, how far each one counts, and what may stand behind that.

use std::io;
use std::sync::Arc;

use super::Recovered;
use super::replay::Replay;
use crate::chain::{Chain, Position};
use crate::error::{OpenError, Seq, Why};
use crate::format::{Continues, HEADER_BYTES, Mode, Opening};
use crate::scan::{EMPTY_SEGMENT_BYTES, Scanner, read_opening};
use crate::tail;
use crate::volume::{Segment, SegmentName, Volume};
use crate::watermark::Mark;

/// An opened segment with what its first record says.
pub(super) struct Link {
    pub(super) segment: Segment,
    pub(super) opening: Opening,
    pub(super) seq: u64,
}

impl Replay {
    /// Checks that a segment goes on from here, and steps into it.
    pub(super) fn enter(
        &mut self,
        volume: &Volume,
        link: &Link,
        before: Option<&Arc<Segment>>,
    ) -> Result<(), OpenError> {
        let chain = Chain::from_bytes(link.opening.base);
        let sound = match before {
            // What a compacted segment continued is gone; its own seal vouches for it.
            None if link.opening.mode == Mode::Created => {
                chain == Chain::genesis(volume.id, &volume.name) && link.seq == 0
            }
            None => true,
            Some(before) => self.is_continued(link, before.name, chain),
        };
        if !sound {
            return Err(OpenError::Forked { volume: volume.id, seq: Seq(link.seq) });
        }
        self.at = Position { seq: link.seq, chain, end: HEADER_BYTES as u32 };
        Ok(())
    }

    fn is_continued(&self, link: &Link, before: SegmentName, chain: Chain) -> bool {
        let here = Continues { epoch: before.epoch, number: before.number, end: self.at.end };
        link.opening.continues == Some(here)
            && link.seq == self.at.seq
            && chain == self.at.chain
            && link.segment.name.epoch >= before.epoch
    }

    /// Replays a segment whose history ends where the next one says. Behind that there may be anything
    /// that its writer wrote when it was fenced already: nothing of it was acknowledged.
    pub(super) fn whole(
        &mut self,
        volume: &Volume,
        link: &Link,
        next: Option<Continues>,
        known: Option<&Mark>,
    ) -> Result<(), OpenError> {
        let name = link.segment.name;
        let io = |error| volume.io(name, error);
        let mut scanner = Scanner::new(&link.segment, &link.opening, link.seq).map_err(io)?;
        let end = next.map_or(0, |next| next.end);
        let mut passed = known.is_none_or(|known| known.name() != name);
        let broken = self.run(
            &mut scanner,
            Some(end),
            |at| known.map_or(Ok(()), |known| pass(volume, &mut passed, at, known)),
            io,
        )?;
        if self.at.end == end && self.snapshot.is_none() {
            return match passed {
                true => Ok(()),
                false => Err(OpenError::Forked { volume: volume.id, seq: Seq(self.at.seq) }),
            };
        }
        let why = match broken {
            None if self.at.end > end => Why::Surplus,
            broken => broken.unwrap_or(Why::Cut),
        };
        Err(volume.damage(name, u64::from(self.at.end), self.at.seq, why).into())
    }

    /// Replays the watermark's segment: up to the mark everything must be there.
    pub(super) fn marked(
        &mut self,
        volume: &Volume,
        link: &Link,
        mark: &Mark,
    ) -> Result<(), OpenError> {
        let name = link.segment.name;
        let io = |error| volume.io(name, error);
        let mut scanner = Scanner::new(&link.segment, &link.opening, link.seq).map_err(io)?;
        let mut passed = false;
        let watch = |at: &Position| pass(volume, &mut passed, at, mark);
        let broken = self.run(&mut scanner, None, watch, io)?;
        let size = scanner.size();
        match broken {
            None | Some(Why::Cut) if size < u64::from(mark.end) => Err(OpenError::LostTail {
                volume: volume.id,
                expected: Seq(mark.seq),
                found: Seq(self.at.seq),
            }),
            None if passed && self.snapshot.is_none() => Ok(()),
            Some(_) if passed && self.snapshot.is_none() => {
                self.check_tail(volume, &link.segment, size)
            }
            broken => {
                let why = broken.unwrap_or(Why::Cut);
                Err(volume.damage(name, u64::from(self.at.end), self.at.seq, why).into())
            }
        }
    }

    fn check_tail(&self, volume: &Volume, segment: &Segment, size: u64) -> Result<(), OpenError> {
        let judged = tail::judge(segment, &self.at, size);
        match judged.map_err(|error| volume.io(segment.name, error))? {
            None => Ok(()),
            Some(why) => {
                let offset = u64::from(self.at.end);
                Err(volume.damage(segment.name, offset, self.at.seq, why).into())
            }
        }
    }

    /// Goes on in a segment beyond the watermark if it is whole, and puts it aside if it is torn.
    pub(super) fn adopt(
        mut self,
        volume: &Volume,
        name: SegmentName,
        found: &mut Recovered,
    ) -> Result<Self, OpenError> {
        let Some(link) = begun(volume, name)? else {
            found.unfinished.push(name);
            return Ok(self);
        };
        let Some(before) = found.segments.last().map(|segment| segment.name) else {
            return Ok(self);
        };
        if !self.is_continued(&link, before, Chain::from_bytes(link.opening.base)) {
            return Err(OpenError::Forked { volume: volume.id, seq: Seq(link.seq) });
        }
        let io = |error| volume.io(name, error);
        let fresh = link.opening.mode == Mode::Compacted;
        let mut next = if fresh { Self::new() } else { self.split() };
        next.at = Position { end: HEADER_BYTES as u32, ..self.at };
        let mut scanner = Scanner::new(&link.segment, &link.opening, link.seq).map_err(io)?;
        let broken = next.run(&mut scanner, None, |_| Ok(()), io)?;
        if next.snapshot.is_some() {
            found.unfinished.push(name);
            return Ok(self);
        }
        if broken.is_some() {
            // The judge begins where the sound records end: the opening at least is one.
            next.check_tail(volume, &link.segment, scanner.size())?;
        }
        next.records += self.records;
        if fresh {
            let left = found.segments.drain(..).map(|segment| segment.name);
            found.obsolete.extend(left);
        }
        found.segments.push(Arc::new(link.segment));
        Ok(next)
    }

    /// Hands the state over to the replay of a continuing segment.
    fn split(&mut self) -> Self {
        let index = std::mem::take(&mut self.index);
        Self { index, at: self.at, records: 0, settled: 0, snapshot: None }
    }
}

/// Opens a segment whose beginning may have been interrupted; `None` if it was.
pub(super) fn begun(volume: &Volume, name: SegmentName) -> Result<Option<Link>, OpenError> {
    let segment = match volume.open(name) {
        Ok((segment, _)) => segment,
        Err(OpenError::Damaged(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let opening = read_opening(&segment).map_err(|error| volume.io(name, error))?;
    Ok(opening.ok().map(|(opening, seq)| Link { segment, opening, seq }))
}

/// Holds the first point at or behind a mark against it.
fn pass(volume: &Volume, passed: &mut bool, at: &Position, mark: &Mark) -> Result<(), OpenError> {
    if *passed || at.end < mark.end {
        return Ok(());
    }
    *passed = true;
    let same = at.end == mark.end && at.seq == mark.seq && at.chain.short() == mark.chain;
    let (volume, seq) = (volume.id, Seq(at.seq));
    if same { Ok(()) } else { Err(OpenError::Forked { volume, seq }) }
}

/// Checks that a row of segments that others wrote has a place for the own mark: its segment, or a
/// whole state from later than it.
pub(super) fn check_known(volume: &Volume, links: &[Link], known: &Mark) -> Result<(), OpenError> {
    let is_there = links.iter().any(|link| link.segment.name == known.name());
    let is_replaced = links.first().is_some_and(|first| {
        let name = first.segment.name;
        first.opening.mode == Mode::Compacted
            && (name.epoch, name.number) > (known.epoch, known.segment)
            && first.seq >= known.seq
    });
    if is_there || is_replaced {
        return Ok(());
    }
    let (expected, segment) = (Seq(known.seq), known.name().to_string());
    Err(OpenError::OldCopy { volume: volume.id, expected, segment })
}

/// Whether a segment that somebody else began was finished. One that is larger than a mere beginning
/// and does not begin soundly is no interrupted beginning, but damage.
pub(super) fn is_whole(volume: &Volume, name: SegmentName) -> Result<bool, OpenError> {
    let io = |error| volume.io(name, error);
    let Some(link) = begun(volume, name)? else {
        return match volume.segment_size(name) {
            Ok(size) if size > EMPTY_SEGMENT_BYTES => {
                Err(volume.damage(name, 0, 0, Why::NoBeginning).into())
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io(error)),
            _ => Ok(false),
        };
    };
    if link.opening.mode != Mode::Compacted {
        return Ok(true);
    }
    let mut scanner = Scanner::new(&link.segment, &link.opening, link.seq).map_err(io)?;
    let mut replay = Replay::new();
    replay.run(&mut scanner, None, |_| Ok(()), io)?;
    Ok(replay.snapshot.is_none())
}
