//! From what recovery found to an open store: mend the disk, step into the epoch.

use std::io;
use std::sync::Arc;

use protocol::Epoch;

use crate::chain::{Chain, Position};
use crate::disk::{DiskFile, read_full_at};
use crate::error::{Failure, OpenError};
use crate::format::{Continues, Mode, Opening};
use crate::keyring::Key;
use crate::log::{Draft, Log, Room, mark};
use crate::open_set::OpenMark;
use crate::recover::{Recovered, Recovery};
use crate::shared::Shared;
use crate::state::State;
use crate::store::Store;
use crate::volume::{Segment, SegmentName, Volume};
use crate::watermark::{Mark, Slot, Watermarks};

/// What is written again goes in pieces of this size.
const REWRITE_BYTES: u64 = 1 << 20;

/// Writes the first segment of a volume, and what leads to it, durably.
pub(crate) fn first_segment(
    volume: &Volume,
    epoch: Epoch,
) -> io::Result<(Arc<Segment>, Position, Key)> {
    volume.make_folder()?;
    let key = Key::random()?;
    let base = Chain::genesis(volume.id, &volume.name).bytes();
    let opening = Opening { mode: Mode::Created, base, continues: None };
    let name = SegmentName { number: 1, epoch };
    let mut draft = Draft::begin(volume, name, &key, &opening, 0)?;
    draft.finish(volume)?;
    volume.sync_folder_name()?;
    let (segment, at) = draft.into_segment();
    Ok((segment, at, key))
}

/// Brings the disk to where recovery ended, before anything is written on. `known` is the mark in
/// the slot, `epoch` the one that is opened.
pub(crate) fn mend(
    volume: &Volume,
    found: &Recovered,
    watermarks: &Watermarks,
    slot: &mut Slot,
    known: Option<&Mark>,
    epoch: Epoch,
) -> Result<(), OpenError> {
    let report = &found.report;
    if *report != (Recovery { records: report.records, ..Recovery::default() }) {
        tracing::info!(volume = %volume.id, ?report, "a store was mended");
    }
    mend_disk(volume, found, watermarks, slot, known, epoch)
        .map_err(|failure| refused(volume, failure))
}

fn mend_disk(
    volume: &Volume,
    found: &Recovered,
    watermarks: &Watermarks,
    slot: &mut Slot,
    known: Option<&Mark>,
    epoch: Epoch,
) -> Result<(), Failure> {
    let Some(last) = found.segments.last() else { return Ok(()) };
    volume.remove(&found.unfinished)?;
    let (end, now) = (u64::from(found.at.end), mark(last, &found.at));
    let was_closed = known.is_some_and(|known| *known == Mark { is_closed: true, ..now });
    if !was_closed || found.report.cut_bytes > 0 {
        // Whatever happened before: what is seen from now on is what a power failure leaves.
        last.file.set_size(end)?;
        rewrite(&*last.file, end - found.report.unmarked_bytes, end)?;
    }
    let is_new_segment = known.is_none_or(|known| known.segment != now.segment);
    if is_new_segment || !found.obsolete.is_empty() {
        // Others have to find it, before anything says that it counts.
        volume.sync()?;
        volume.look(epoch)?;
        // Before the older segments go, no older mark may come back.
        watermarks.write_durably(slot, &now)?;
        volume.remove(&found.obsolete)?;
    } else if known != Some(&now) {
        if !was_closed {
            volume.look(epoch)?;
        }
        watermarks.write(slot, &now)?;
    }
    Ok(())
}

/// Goes on from what a lower epoch wrote, in an own segment. The writer before may be alive and still
/// write a last time: nothing of its file is cut, and what is written there again are the bytes that
/// it wrote. The watermark moves only into the own segment: before that is found by all, another epoch
/// may go on from elsewhere.
pub(crate) fn go_on(
    volume: &Volume,
    mut found: Recovered,
    watermarks: &Watermarks,
    slot: Option<Slot>,
    epoch: Epoch,
) -> Result<(Recovered, Slot), OpenError> {
    let io = |source| OpenError::Io { path: volume.path().clone(), source };
    let Some(last) = found.segments.last() else {
        return Err(OpenError::NotFound(volume.id));
    };
    tracing::info!(volume = %volume.id, report = ?found.report, ?epoch, "a store steps into an epoch");
    let end = u64::from(found.at.end);
    rewrite(&*last.file, end - found.report.unmarked_bytes, end).map_err(io)?;
    // What this machine began before it died is in the way, and nobody can have seen it whole.
    let (own, mut others): (Vec<_>, Vec<_>) =
        found.unfinished.iter().copied().partition(|name| name.epoch == epoch);
    volume.remove(&own).map_err(io)?;
    let (segment, at) = next_segment(volume, &found, last.name, epoch).map_err(io)?;
    volume.look(epoch).map_err(|failure| refused(volume, failure))?;
    let now = mark(&segment, &at);
    let slot = match slot {
        Some(mut slot) => {
            watermarks.write_durably(&mut slot, &now).map_err(io)?;
            slot
        }
        None => watermarks.create(volume.id, &now)?,
    };
    // From here on every later epoch finds the own segment, and needs none of these.
    others.extend(&found.obsolete);
    volume.remove(&others).map_err(io)?;
    found.segments.push(segment);
    found.at = at;
    Ok((found, slot))
}

fn next_segment(
    volume: &Volume,
    found: &Recovered,
    last: SegmentName,
    epoch: Epoch,
) -> io::Result<(Arc<Segment>, Position)> {
    let continues = Continues { epoch: last.epoch, number: last.number, end: found.at.end };
    let (base, continues) = (found.at.chain.bytes(), Some(continues));
    let opening = Opening { mode: Mode::Continued, base, continues };
    let name = SegmentName { number: last.number + 1, epoch };
    let mut draft = Draft::begin(volume, name, &found.key, &opening, found.at.seq)?;
    draft.finish(volume)?;
    Ok(draft.into_segment())
}

/// Why an opening did not come off, in the words of an opening.
pub(crate) fn refused(volume: &Volume, failure: Failure) -> OpenError {
    let source = match failure {
        Failure::Fenced { own, opened } => {
            return OpenError::StaleEpoch { volume: volume.id, asked: own, found: opened };
        }
        Failure::DiskFull => io::ErrorKind::StorageFull.into(),
        Failure::Disk(error) => io::Error::new(error.kind(), error),
        Failure::BrokenOff | Failure::GivenUp => io::Error::other(failure),
    };
    OpenError::Io { path: volume.path().clone(), source }
}

/// Writes some bytes once more and syncs. They are readable, but the sync after their first writing
/// may have failed, and then no later sync alone would save them.
fn rewrite(file: &dyn DiskFile, start: u64, end: u64) -> io::Result<()> {
    let mut at = start;
    while at < end {
        let mut piece = vec![0; usize::try_from((end - at).min(REWRITE_BYTES)).unwrap_or(0)];
        if read_full_at(file, &mut piece, at)? < piece.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_all_at(&piece, at)?;
        at += piece.len() as u64;
    }
    file.sync()
}

/// Hands out the store, which writes on in the last segment.
pub(crate) fn store(
    volume: Volume,
    found: Recovered,
    watermarks: &Arc<Watermarks>,
    slot: Slot,
    epoch: Epoch,
    open_mark: OpenMark,
) -> Result<Store, OpenError> {
    let (id, path) = (volume.id, volume.path().clone());
    let io = |source| OpenError::Io { path: path.clone(), source };
    let Recovered { segments, key, index, at, report, .. } = found;
    let Some(segment) = segments.last().cloned() else {
        return Err(OpenError::NotFound(id));
    };
    let watermarks = Arc::clone(watermarks);
    let room = Room::none(at.end);
    let (buffer, synced_end) = (Vec::new(), at.end);
    let volume = Arc::new(volume);
    let log = Log { volume, key, segment, at, synced_end, watermarks, slot, buffer, room };
    let mut earlier_bytes = 0;
    for segment in segments.iter().rev().skip(1) {
        earlier_bytes += segment.file.size().map_err(io)?;
    }
    let state = State::new(index, segments, earlier_bytes, &log.at);
    Ok(Store { shared: Shared::new(epoch, report, log, state, open_mark) })
}
