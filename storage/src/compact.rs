//! Compaction: the live entries move to a segment of their own, and what was before is removed.
//!
//! The new segment counts only when it is whole and durable and the watermark stands in it; until
//! then the old ones do. Appends go on meanwhile: they wait in the queue, and the queue goes to the
//! new segment. This is the checkpoint, too: an opening reads from the newest whole snapshot on.

use std::io;
use std::sync::Arc;

use crate::error::{CommitError, Failure, MaintainError};
use crate::format::{Kind, Mode, Op, push_op, snapshot_end};
use crate::index::{Place, RecordPlace};
use crate::limits::{
    DEAD_BYTES_MIN, PENDING_BYTES_MAX, QUIET_ATTEMPTS_MAX, SEGMENT_BYTES_MAX,
    SEGMENTS_WORTH_MERGING, SNAPSHOT_RECORD_BYTES,
};
use crate::log::{Draft, Log};
use crate::read::Reader;
use crate::shared::Shared;
use crate::state::State;
use crate::store::Maintenance;
use crate::volume::{Segment, SegmentName};

/// The live entries at one moment, all of them durable.
struct Moment {
    entries: Vec<(Box<[u8]>, Place)>,
    segments: Arc<Vec<Arc<Segment>>>,
    bytes: u64,
}

pub(crate) fn maintain(shared: &Shared) -> Result<Maintenance, MaintainError> {
    if !shared.state().is_worth_compacting() {
        return Ok(Maintenance::NotWorthIt);
    }
    compact(shared)
}

pub(crate) fn compact(shared: &Shared) -> Result<Maintenance, MaintainError> {
    if !shared.state().fits_one_segment() {
        return Ok(Maintenance::NotWorthIt);
    }
    let mut log = shared.log();
    let Some(moment) = quiet_moment(shared, &mut log)? else {
        return Ok(Maintenance::Busy);
    };
    let mut draft = log.begin(Mode::Compacted, shared.epoch)?;
    if let Err(error) = draft.write_opening() {
        return Err(abandon(shared, &log, &draft, error.into()));
    }
    let written = write_snapshot(shared, &moment, &mut draft)
        .and_then(|places| Ok(draft.write().map(|()| places)?));
    let places = match written {
        Ok(places) => places,
        Err(error) => return Err(give_up(shared, &log, &draft, error)),
    };
    if let Err(error) = draft.finish(&log.volume) {
        // It is whole, and a higher epoch may have gone on from it: it must not be removed.
        return Err(stop(shared, &log, error.into()));
    }
    let bytes_after = switch(shared, &mut log, draft, &moment, &places)?;
    let old: Vec<SegmentName> = moment.segments.iter().map(|segment| segment.name).collect();
    if let Err(error) = log.volume.remove(&old) {
        // They count no more; the next opening removes them.
        tracing::warn!(volume = %shared.id, %error, "old segments stay until the next opening");
    }
    Ok(Maintenance::Compacted { bytes_before: moment.bytes, bytes_after })
}

impl State {
    fn is_worth_compacting(&self) -> bool {
        let bytes = u64::from(self.next_offset) + self.earlier_bytes;
        let dead = bytes.saturating_sub(self.index.live_bytes());
        let sparse = dead > DEAD_BYTES_MIN && dead > bytes / 2;
        sparse || self.segments.len() >= SEGMENTS_WORTH_MERGING
    }

    /// With room for the snapshot's own records and for all that waits meanwhile.
    fn fits_one_segment(&self) -> bool {
        let bytes = self.index.live_bytes() + PENDING_BYTES_MAX as u64;
        bytes < u64::from(SEGMENT_BYTES_MAX) / 2
    }
}

/// Writes what is pending until nothing is, and takes the entries of that moment.
fn quiet_moment(shared: &Shared, log: &mut Log) -> Result<Option<Moment>, CommitError> {
    for _ in 0..QUIET_ATTEMPTS_MAX {
        shared.write_pending(log);
        let state = shared.state();
        state.check_health()?;
        if state.pending.is_empty() {
            let entries = state.index.range(b"", None).map(|(key, place)| (key.into(), place));
            return Ok(Some(Moment {
                entries: entries.collect(),
                segments: Arc::clone(&state.segments),
                bytes: u64::from(state.next_offset) + state.earlier_bytes,
            }));
        }
    }
    Ok(None)
}

/// Copies the entries in the order of their keys, several to a record; returns where each went.
fn write_snapshot(
    shared: &Shared,
    moment: &Moment,
    draft: &mut Draft,
) -> Result<Vec<RecordPlace>, MaintainError> {
    let mut reader = Reader::new(shared, &moment.segments);
    let mut places = Vec::with_capacity(moment.entries.len());
    let (mut body, mut gathered) = (Vec::new(), 0);
    for (number, (key, place)) in moment.entries.iter().enumerate() {
        let value = reader.value(key, place)?;
        push_op(&mut body, Op::Keep { seq: place.seq, key, value });
        gathered += 1;
        if body.len() >= SNAPSHOT_RECORD_BYTES || number + 1 == moment.entries.len() {
            let place = draft.push(Kind::Snapshot, &body)?;
            places.extend(std::iter::repeat_n(place, gathered));
            shared.progress.step();
            body.clear();
            gathered = 0;
        }
    }
    draft.push(Kind::SnapshotEnd, &snapshot_end(moment.entries.len() as u64))?;
    Ok(places)
}

/// Removes what was begun, unless a write may be there in spite of its error: a higher epoch may have
/// gone on from a segment that is whole. Then the store stops.
fn give_up(shared: &Shared, log: &Log, draft: &Draft, error: MaintainError) -> MaintainError {
    match error {
        MaintainError::Io(error) if !is_full(&error) => stop(shared, log, error.into()),
        error => abandon(shared, log, draft, error),
    }
}

/// Removes what is not whole. If it can't be removed for good, a restart would find it after the log
/// went on without it: then the store stops.
fn abandon(shared: &Shared, log: &Log, draft: &Draft, error: MaintainError) -> MaintainError {
    match log.abandon(draft) {
        Ok(()) => error,
        Err(second) => stop(shared, log, second.into()),
    }
}

/// A disk that is full has not taken all of a write.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn stop(shared: &Shared, log: &Log, failure: Failure) -> MaintainError {
    shared.stop(log, failure.clone());
    CommitError::Stopped(failure).into()
}

/// Makes the new segment the one that counts; returns its bytes.
fn switch(
    shared: &Shared,
    log: &mut Log,
    draft: Draft,
    moment: &Moment,
    places: &[RecordPlace],
) -> Result<u64, MaintainError> {
    let old_end = log.at.end;
    let (segment, at) = draft.into_segment();
    if let Err(failure) = log.step_into(Arc::clone(&segment), at) {
        // Nobody knows which of the two the watermark names now. Opening finds out.
        return Err(stop(shared, log, failure));
    }
    let mut state = shared.state();
    for ((key, old), new) in moment.entries.iter().zip(places) {
        if let Some(place) = state.index.get_mut(key).filter(|place| place.seq == old.seq) {
            (place.segment, place.offset, place.bytes) = (new.segment, new.offset, new.bytes);
        }
    }
    let (durable, number) = (state.durable, segment.name.number);
    for place in state.index.places_mut().filter(|place| place.seq > durable) {
        // In the queue: it goes to the new segment.
        (place.segment, place.offset) = (number, place.offset - old_end + at.end);
    }
    state.next_offset = state.next_offset - old_end + at.end;
    state.earlier_bytes = 0;
    state.segments = Arc::new(vec![segment]);
    Ok(u64::from(at.end))
}
