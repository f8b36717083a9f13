//! From what recovery found to an open store: mend the disk, step into the epoch.

use std::io;
use std::sync::Arc;

use protocol::Epoch;

use crate::chain::{Chain, Position};
use crate::disk::{DiskFile, read_full_at};
use crate::error::OpenError;
use crate::format::{Mode, Opening};
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
/// the slot.
pub(crate) fn mend(
    volume: &Volume,
    found: &Recovered,
    watermarks: &Watermarks,
    slot: &mut Slot,
    known: Option<&Mark>,
) -> Result<(), OpenError> {
    let report = &found.report;
    if *report != (Recovery { records: report.records, ..Recovery::default() }) {
        tracing::info!(volume = %volume.id, ?report, "a store was mended");
    }
    mend_disk(volume, found, watermarks, slot, known)
        .map_err(|source| OpenError::Io { path: volume.path().clone(), source })
}

fn mend_disk(
    volume: &Volume,
    found: &Recovered,
    watermarks: &Watermarks,
    slot: &mut Slot,
    known: Option<&Mark>,
) -> io::Result<()> {
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
        // Before the older segments go, no older mark may come back.
        watermarks.write_durably(slot, &now)?;
    } else if known != Some(&now) {
        watermarks.write(slot, &now)?;
    }
    volume.remove(&found.obsolete)
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

/// Steps into the epoch, with a segment of its own if it is a new one, and hands out the store.
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
    let Recovered { mut segments, key, index, at, report, .. } = found;
    let Some(segment) = segments.last().cloned() else {
        return Err(OpenError::NotFound(id));
    };
    let is_new_epoch = epoch > segment.name.epoch;
    let watermarks = Arc::clone(watermarks);
    let room = Room::none(at.end);
    let (buffer, synced_end) = (Vec::new(), at.end);
    let mut log = Log { volume, key, segment, at, synced_end, watermarks, slot, buffer, room };
    if is_new_epoch {
        segments.push(log.open_epoch(epoch).map_err(io)?);
    }
    let mut earlier_bytes = 0;
    for segment in segments.iter().rev().skip(1) {
        earlier_bytes += segment.file.size().map_err(io)?;
    }
    let state = State::new(index, segments, earlier_bytes, &log.at);
    Ok(Store { shared: Shared::new(epoch, report, log, state, open_mark) })
}
