//! Reads a segment from its first record to its last, and proves each.

use std::io;

use crate::chain::{Chain, Position};
use crate::disk::read_full_at;
use crate::error::Why;
use crate::format::{
    HEADER_BYTES, Kind, Opening, RECORD_OVERHEAD_BYTES, RecordHead, RecordParse, parse_record,
};
use crate::index::RecordPlace;
use crate::limits::{SCAN_BYTES, SEGMENT_BYTES_MAX};
use crate::volume::Segment;

/// What comes next in a segment.
pub(crate) enum Next<'a> {
    /// A record that is sound and in its place.
    Record(Kind, RecordPlace, &'a [u8]),
    /// The file ends where a record ends.
    End,
    /// Anything else.
    Broken(Why),
}

pub(crate) struct Scanner<'a> {
    segment: &'a Segment,
    size: u64,
    at: Position,
    settled: u32,
    /// Bytes of the file from `window_start`, opened records in the clear.
    window: Vec<u8>,
    window_start: u64,
}

impl<'a> Scanner<'a> {
    /// Begins before the first record of a segment, whose opening was read already.
    pub(crate) fn new(segment: &'a Segment, opening: &Opening, seq: u64) -> io::Result<Self> {
        let at = Position { seq, chain: Chain::from_bytes(opening.base), end: HEADER_BYTES as u32 };
        let size = segment.file.size()?;
        Ok(Self { segment, size, at, settled: 0, window: Vec::new(), window_start: 0 })
    }

    /// The point after the last record that was returned.
    pub(crate) fn position(&self) -> Position {
        self.at
    }

    /// How far the segment was durable when the last returned record was written.
    pub(crate) fn settled(&self) -> u32 {
        self.settled
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn next(&mut self) -> io::Result<Next<'_>> {
        let offset = u64::from(self.at.end);
        if offset >= self.size {
            // Beyond it only on a mount that does not show this machine its own last writes.
            return Ok(if offset == self.size { Next::End } else { Next::Broken(Why::Cut) });
        }
        let (head, bytes) = match self.frame()? {
            Ok(frame) => frame,
            Err(why) => return Ok(Next::Broken(why)),
        };
        let start = usize::try_from(offset - self.window_start).unwrap_or(usize::MAX);
        let Some(record) = self.window.get_mut(start..).and_then(|rest| rest.get_mut(..bytes))
        else {
            return Ok(Next::Broken(Why::Cut));
        };
        let chain = self.at.chain.after(record);
        let Ok(body) = self.segment.sealer.open(&head, record) else {
            return Ok(Next::Broken(Why::Seal));
        };
        let body = record.get(body).unwrap_or_default();
        // A sound record elsewhere than in its place was dropped, repeated or moved.
        let Some(next) = self.at.follows(&head, chain, bytes) else {
            return Ok(Next::Broken(Why::OutOfPlace));
        };
        let (number, from) = (self.segment.name.number, self.at.end);
        (self.at, self.settled) = (next, head.settled);
        let place =
            RecordPlace { seq: head.seq, segment: number, offset: from, bytes: bytes as u32 };
        Ok(Next::Record(head.kind, place, body))
    }

    /// Brings the next record's bytes into the window; returns its head and length.
    fn frame(&mut self) -> io::Result<Result<(RecordHead, usize), Why>> {
        let mut needs = RECORD_OVERHEAD_BYTES;
        // First for the head, then for all that it claims.
        for _ in 0..2 {
            match parse_record(self.bytes(needs)?) {
                RecordParse::Done(head, sealed) => {
                    return Ok(Ok((head, crate::format::HEAD_BYTES + sealed.len())));
                }
                RecordParse::Refused(_) => return Ok(Err(Why::Frame)),
                RecordParse::Incomplete(more) => needs = more,
            }
            if u64::from(self.at.end) + needs as u64 > self.size {
                return Ok(Err(Why::Cut));
            }
        }
        Ok(Err(Why::Frame))
    }

    /// At least `count` bytes from the current place on, or all that the file has.
    fn bytes(&mut self, count: usize) -> io::Result<&[u8]> {
        let offset = u64::from(self.at.end);
        let left = usize::try_from(self.size - offset).unwrap_or(usize::MAX);
        let start = usize::try_from(offset - self.window_start).unwrap_or(usize::MAX);
        let have = self.window.len().saturating_sub(start);
        if have < count.min(left) {
            // Bounded by what the file really has, whatever a record claims.
            self.window.resize(count.max(SCAN_BYTES).min(left), 0);
            let read = read_full_at(&*self.segment.file, &mut self.window, offset)?;
            self.window.truncate(read);
            self.window_start = offset;
        }
        let start = usize::try_from(offset - self.window_start).unwrap_or(usize::MAX);
        Ok(self.window.get(start..).unwrap_or_default())
    }
}

impl Position {
    /// The point after a sound record, if that record belongs here.
    fn follows(&self, head: &RecordHead, chain: Chain, bytes: usize) -> Option<Self> {
        let first = self.end == HEADER_BYTES as u32;
        let seq = self.seq + u64::from(head.kind == Kind::Ops);
        let end = u32::try_from(bytes).ok().and_then(|bytes| self.end.checked_add(bytes))?;
        let belongs = head.previous == self.chain.short()
            && head.seq == seq
            && head.settled <= self.end
            && first == (head.kind == Kind::Opening)
            && end <= SEGMENT_BYTES_MAX;
        belongs.then_some(Self { seq, chain, end })
    }
}

/// Reads the first record of a segment, which says where the chain begins.
pub(crate) fn read_opening(segment: &Segment) -> io::Result<Result<(Opening, u64), Why>> {
    let mut bytes = vec![0; RECORD_OVERHEAD_BYTES + OPENING_BYTES];
    let count = read_full_at(&*segment.file, &mut bytes, HEADER_BYTES as u64)?;
    bytes.truncate(count);
    let head = match parse_record(&bytes) {
        RecordParse::Done(head, _) if head.kind == Kind::Opening => head,
        RecordParse::Incomplete(_) => return Ok(Err(Why::Cut)),
        _ => return Ok(Err(Why::Frame)),
    };
    let Ok(body) = segment.sealer.open(&head, &mut bytes) else {
        return Ok(Err(Why::Seal));
    };
    let opening = bytes.get(body).and_then(Opening::parse);
    Ok(opening.map(|opening| (opening, head.seq)).ok_or(Why::Body))
}

/// Bytes of an encoded opening.
const OPENING_BYTES: usize = 49;

/// Bytes of a segment in which nothing was ever put.
pub(crate) const EMPTY_SEGMENT_BYTES: u64 =
    (HEADER_BYTES + RECORD_OVERHEAD_BYTES + OPENING_BYTES) as u64;
