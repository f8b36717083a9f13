//! Recovery: from the files of a volume and its watermark to a state, or to a refusal.
//!
//! 1. The watermark names a segment. From there the openings lead back to the segment in which the
//!    state begins; every record of these is replayed, and must be sound.
//! 2. Up to the watermark everything was acknowledged: whatever is missing there is a lost tail,
//!    whatever differs is damage or a fork.
//! 3. Beyond the watermark there may be records that were durable but not acknowledged (kept), then
//!    the remains of a write that the machine died in (cut). Anything else is damage ([`crate::tail`]).
//! 4. A later segment than the watermark's is one whose beginning was interrupted: if it is whole and
//!    goes on from exactly here it is kept, if it is torn it never counted and is removed.

mod foreign;
mod join;
mod replay;

use std::sync::Arc;

use protocol::Epoch;

use crate::chain::Position;
use crate::error::{OpenError, Seq, Why};
use crate::format::{HEADER_BYTES, HeaderError, Mode};
use crate::index::Index;
use crate::keyring::Key;
use crate::limits::SEGMENTS_MAX;
use crate::log::mark;
use crate::scan::{Scanner, read_opening};
use crate::volume::{Segment, SegmentName, Volume};
use crate::watermark::Mark;
pub(crate) use foreign::recover_foreign;
use join::{Link, begun};
use replay::Replay;
pub(crate) use replay::index_of;

/// What an opening found and mended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Records that were read and proven.
    pub records: u64,
    /// Bytes of a torn write that were cut off the end. They were never acknowledged.
    pub cut_bytes: u64,
    /// Bytes that were durable but not yet under the watermark.
    pub unmarked_bytes: u64,
    /// Segments that were begun and never counted.
    pub unfinished_segments: usize,
}

/// A volume as it was found.
pub(crate) struct Recovered {
    /// The segments that hold the state; the last is the one to go on in.
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) key: Key,
    pub(crate) index: Index,
    pub(crate) at: Position,
    /// Where the last record's writer had synced up to when it wrote that: what is before can't be
    /// lost any more.
    pub(crate) settled: u32,
    pub(crate) report: Recovery,
    /// Torn beginnings, to be removed before anything is written.
    pub(crate) unfinished: Vec<SegmentName>,
    /// Segments from before the state begins, to be removed when it suits.
    pub(crate) obsolete: Vec<SegmentName>,
}

/// Recovers a volume. Nothing on the disk is changed. `known` is a mark of a lower epoch, which must
/// lie in what is found.
pub(crate) fn recover(
    volume: &Volume,
    names: &[SegmentName],
    mark: &Mark,
    known: Option<&Mark>,
) -> Result<Recovered, OpenError> {
    let (links, key) = links_back(volume, names, mark)?;
    let first = links.first().map_or(0, |link| link.segment.name.number);
    known.map_or(Ok(()), |known| join::check_known(volume, &links, known))?;
    let mut replay = Replay::new();
    let mut segments = Vec::with_capacity(links.len());
    let mut links = links.into_iter().peekable();
    while let Some(link) = links.next() {
        replay.enter(volume, &link, segments.last())?;
        match links.peek() {
            Some(next) => replay.whole(volume, &link, next.opening.continues, known)?,
            None => replay.marked(volume, &link, mark)?,
        }
        segments.push(Arc::new(link.segment));
    }
    let mut found = Recovered {
        segments,
        key,
        index: Index::default(),
        at: replay.at,
        settled: 0,
        report: Recovery::default(),
        unfinished: Vec::new(),
        obsolete: names.iter().filter(|name| name.number < first).copied().collect(),
    };
    let later = names.iter().filter(|n| n.number > mark.segment && n.epoch >= mark.epoch);
    let replay =
        later.copied().try_fold(replay, |replay, name| replay.adopt(volume, name, &mut found))?;
    found.finish(volume, mark, replay)
}

/// The segments that hold the state, from the one in which it begins to the watermark's.
fn links_back(
    volume: &Volume,
    names: &[SegmentName],
    mark: &Mark,
) -> Result<(Vec<Link>, Key), OpenError> {
    let mut name = SegmentName { number: mark.segment, epoch: mark.epoch };
    if !names.contains(&name) {
        let (expected, segment) = (Seq(mark.seq), name.to_string());
        return Err(OpenError::OldCopy { volume: volume.id, expected, segment });
    }
    let mut links = Vec::new();
    loop {
        let (segment, key) = volume.open(name).map_err(|error| lost(volume, error, mark, name))?;
        let (opening, seq) = read_opening(&segment)
            .map_err(|error| volume.io(name, error))?
            .map_err(|why| volume.damage(name, HEADER_BYTES as u64, 0, why))
            .map_err(|damage| lost(volume, damage.into(), mark, name))?;
        links.insert(0, Link { segment, opening, seq });
        match opening.continues.filter(|_| opening.mode == Mode::Continued) {
            None => return Ok((links, key)),
            Some(_) if links.len() > SEGMENTS_MAX => {
                return Err(volume.damage(name, 0, seq, Why::OutOfPlace).into());
            }
            Some(from) if from.number < name.number => {
                name = SegmentName { number: from.number, epoch: from.epoch };
            }
            Some(_) => return Err(volume.damage(name, 0, seq, Why::OutOfPlace).into()),
        }
    }
}

/// A segment that ends before its first record is over has lost its tail; it is not "damaged".
fn lost(volume: &Volume, error: OpenError, mark: &Mark, name: SegmentName) -> OpenError {
    let cut = matches!(&error, OpenError::Damaged(damage)
        if matches!(damage.why, Why::Cut | Why::Header(HeaderError::Short)));
    let short = volume.segment_size(name).is_ok_and(|size| size < u64::from(mark.end));
    if cut && short && name.number == mark.segment {
        return OpenError::LostTail { volume: volume.id, expected: Seq(mark.seq), found: Seq(0) };
    }
    error
}

impl Recovered {
    /// A volume with one segment, as it was just made.
    pub(crate) fn new(segment: Arc<Segment>, key: Key, at: Position) -> Self {
        Self {
            segments: vec![segment],
            key,
            index: Index::default(),
            at,
            settled: 0,
            report: Recovery::default(),
            unfinished: Vec::new(),
            obsolete: Vec::new(),
        }
    }

    /// The epoch of the last segment.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.segments.last().map(|segment| segment.name.epoch)
    }

    fn finish(mut self, volume: &Volume, mark: &Mark, replay: Replay) -> Result<Self, OpenError> {
        let (index, at, records) = (replay.index, replay.at, replay.records);
        let Some(last) = self.segments.last() else { return Ok(self) };
        let size = last.file.size().map_err(|error| volume.io(last.name, error))?;
        let marked = if last.name.number == mark.segment { mark.end } else { 0 };
        self.report = Recovery {
            records,
            cut_bytes: size.saturating_sub(u64::from(at.end)),
            unmarked_bytes: u64::from(at.end - marked),
            unfinished_segments: self.unfinished.len(),
        };
        (self.index, self.at, self.settled) = (index, at, replay.settled);
        Ok(self)
    }
}

/// Recovers a volume whose watermark is lost: from the oldest segment in which a state begins, as far
/// as the segments go on from one another. Here a segment that does not go on is no leftover.
pub(crate) fn recover_unmarked(
    volume: &Volume,
    names: &[SegmentName],
) -> Result<Recovered, OpenError> {
    for name in names {
        let Some(link) = begun(volume, *name)? else { continue };
        if link.opening.mode == Mode::Continued {
            continue;
        }
        let io = |error| volume.io(*name, error);
        let mut scanner = Scanner::new(&link.segment, &link.opening, link.seq).map_err(io)?;
        scanner.next().map_err(io)?;
        let found = recover(volume, names, &mark(&link.segment, &scanner.position()), None)?;
        return match found.unfinished.first() {
            // Without a watermark nobody knows whether it was torn at its beginning or damaged later.
            Some(name) => Err(volume.damage(*name, 0, found.at.seq, Why::NoBeginning).into()),
            None => Ok(found),
        };
    }
    match names.first() {
        Some(name) => Err(volume.damage(*name, 0, 0, Why::NoBeginning).into()),
        None => Err(OpenError::NotFound(volume.id)),
    }
}
