//! A log that somebody else went on with: a writer on another machine, with watermarks of its own.
//!
//! What counts is the row of segments that leads to the newest whole one: the highest epoch, and in it
//! the highest number. Everything that any lower epoch acknowledged is in that row (ADR 0006). Its last
//! writer may be alive and not know yet that it is fenced; so nothing of what it wrote is cut.

use super::join::{begun, is_whole};
use super::{Recovered, recover};
use crate::error::{OpenError, Why};
use crate::limits::READINGS_MAX;
use crate::log::mark;
use crate::scan::Scanner;
use crate::volume::{SegmentName, Volume};
use crate::watermark::Mark;

/// Recovers a volume from the newest whole segment on, if that is of a higher epoch than the own
/// watermark `known`, or there is none; otherwise returns what was only begun there.
pub(crate) fn recover_foreign(
    volume: &Volume,
    names: &[SegmentName],
    known: Option<&Mark>,
) -> Result<Result<Recovered, Vec<SegmentName>>, OpenError> {
    let mut readings = 0;
    loop {
        readings += 1;
        match read(volume, names, known) {
            // The last write of a fenced writer, which came between two looks at the same place.
            Err(OpenError::Damaged(_)) if readings < READINGS_MAX => {}
            outcome => return outcome,
        }
    }
}

fn read(
    volume: &Volume,
    names: &[SegmentName],
    known: Option<&Mark>,
) -> Result<Result<Recovered, Vec<SegmentName>>, OpenError> {
    let floor = known.map(|mark| mark.epoch);
    let foreign = |name: &&SegmentName| floor.is_none_or(|floor| name.epoch > floor);
    let mut heads: Vec<_> = names.iter().filter(foreign).copied().collect();
    heads.sort_unstable_by_key(|name| (name.epoch, name.number));
    let mut unfinished = Vec::new();
    while let Some(name) = heads.pop() {
        if is_whole(volume, name)? {
            let mut found = from_head(volume, names, name, known)?;
            found.report.unfinished_segments += unfinished.len();
            found.unfinished.extend(unfinished);
            return Ok(Ok(found));
        }
        unfinished.push(name);
    }
    Ok(Err(unfinished))
}

fn from_head(
    volume: &Volume,
    names: &[SegmentName],
    head: SegmentName,
    known: Option<&Mark>,
) -> Result<Recovered, OpenError> {
    let gone = || volume.damage(head, 0, 0, Why::NoBeginning);
    let link = begun(volume, head)?.ok_or_else(gone)?;
    let io = |error| volume.io(head, error);
    let mut scanner = Scanner::new(&link.segment, &link.opening, link.seq).map_err(io)?;
    scanner.next().map_err(io)?;
    let start = mark(&link.segment, &scanner.position());
    // What has the same number or a higher one is the remains of writers that were fenced.
    let row: Vec<_> =
        names.iter().filter(|n| n.number < head.number || **n == head).copied().collect();
    let mut found = recover(volume, &row, &start, known)?;
    found.report.unmarked_bytes = u64::from(found.at.end - found.settled.min(found.at.end));
    Ok(found)
}
