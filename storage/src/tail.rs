//! Tells a torn write from damage.
//!
//! A writer syncs before it writes on, so at most one write is unsynced at a time. Each record says
//! how far the segment was durable when it was written (`settled`). When the bytes at some offset
//! beyond the watermark are no sound record, there are two explanations: the machine died in that
//! last write, or something changed the bytes later. The first leaves no sound record behind that
//! offset but ones of the very same write. So whatever proves another story is damage:
//!
//! - a sound record that does not belong at its place (repeated, moved),
//! - a sound record further on, written when the offset was durable already,
//! - a sound record further on with a number that was given before.

use std::io;

use crate::chain::Position;
use crate::disk::read_full_at;
use crate::error::Why;
use crate::format::{HEAD_BYTES, RECORD_OVERHEAD_BYTES, RecordHead, RecordParse, parse_record};
use crate::limits::{PENDING_BYTES_MAX, SEGMENT_BYTES_MAX, TAIL_CANDIDATES_MAX};
use crate::volume::Segment;

/// Judges the bytes from `at` to the end of a segment, given that no sound record follows `at` there.
/// `None` if they are a torn write.
pub(crate) fn judge(segment: &Segment, at: &Position, size: u64) -> io::Result<Option<Why>> {
    let left = usize::try_from(size.saturating_sub(u64::from(at.end))).unwrap_or(usize::MAX);
    if left > PENDING_BYTES_MAX {
        // No single write is that large.
        return Ok(Some(Why::Tail));
    }
    let mut tail = vec![0; left];
    let count = read_full_at(&*segment.file, &mut tail, u64::from(at.end))?;
    tail.truncate(count);
    if tail.iter().all(|byte| *byte == 0) {
        // Room that a writer had laid out, or a write of which nothing arrived.
        return Ok(None);
    }
    let mut tried = 0;
    let judgement = (0..tail.len()).find_map(|ahead| {
        judge_one(segment, at, ahead as u64, tail.get(ahead..).unwrap_or_default(), &mut tried)
    });
    Ok(judgement)
}

fn judge_one(
    segment: &Segment,
    at: &Position,
    ahead: u64,
    bytes: &[u8],
    tried: &mut u32,
) -> Option<Why> {
    let RecordParse::Done(head, sealed) = parse_record(bytes) else {
        return None;
    };
    if !is_plausible(&head, at) {
        return None;
    }
    *tried += 1;
    if *tried > TAIL_CANDIDATES_MAX {
        return Some(Why::Tail);
    }
    let mut record = bytes.get(..HEAD_BYTES + sealed.len())?.to_vec();
    segment.sealer.open(&head, &mut record).ok()?;
    let torn = ahead > 0 && head.settled <= at.end && head.seq > at.seq + 1;
    (!torn).then_some(Why::OutOfPlace)
}

/// Whether a writer can have left such a head around here: cheap, and lets nearly nothing of a random
/// tail through to the cipher.
fn is_plausible(head: &RecordHead, at: &Position) -> bool {
    const BATCHES_AHEAD_MAX: u64 = (PENDING_BYTES_MAX / RECORD_OVERHEAD_BYTES) as u64;
    head.seq <= at.seq + BATCHES_AHEAD_MAX && head.settled <= SEGMENT_BYTES_MAX
}
