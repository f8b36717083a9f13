//! The writing end of a log: seals batches, makes them durable, moves the watermark.

use std::io;
use std::sync::Arc;

use protocol::Epoch;

use crate::batch::Batch;
use crate::chain::{Chain, Position};
use crate::error::Failure;
use crate::format::{Continues, HEADER_BYTES, Kind, Mode, Opening};
use crate::index::RecordPlace;
use crate::keyring::Key;
use crate::limits::{COMPACTION_WRITE_BYTES, IDLE_BUFFER_BYTES, ROOM_AFTER_COMMITS, ROOM_BYTES};
use crate::seal::Label;
use crate::volume::{Segment, SegmentName, Volume};
use crate::watermark::{Mark, Slot, Watermarks};

/// The writer of one volume. Whoever holds it is the only one who writes there.
pub(crate) struct Log {
    pub(crate) volume: Arc<Volume>,
    pub(crate) key: Key,
    pub(crate) segment: Arc<Segment>,
    /// The end of what is durable and under the watermark.
    pub(crate) at: Position,
    /// What must not be cut off again. It is ahead of `at` if the watermark failed to follow: nobody
    /// knows then what the slot says.
    pub(crate) synced_end: u32,
    pub(crate) watermarks: Arc<Watermarks>,
    pub(crate) slot: Slot,
    pub(crate) buffer: Vec<u8>,
    pub(crate) room: Room,
}

/// Zeros behind the log's end, laid out so that most syncs need not note a new size of the file.
/// After a crash they are a tail without a record, and are cut.
pub(crate) struct Room {
    /// How far the file reaches.
    end: u64,
    commits: u32,
}

impl Room {
    /// None behind this end.
    pub(crate) fn none(end: u32) -> Self {
        Self { end: end.into(), commits: 0 }
    }

    /// How many zeros to write behind a commit that ends at `end`.
    fn wanted(&mut self, end: u32, commit_bytes: usize) -> usize {
        self.commits = self.commits.saturating_add(1);
        let is_worth_it = self.commits > ROOM_AFTER_COMMITS && commit_bytes < ROOM_BYTES;
        if is_worth_it && u64::from(end) > self.end { ROOM_BYTES } else { 0 }
    }
}

impl Log {
    /// Makes batches durable, in order, with one write and one sync; then looks for a fence, and moves
    /// the watermark.
    ///
    /// On an error nothing of it counts: the position stays, and nothing must be written after it.
    pub(crate) fn commit(&mut self, batches: &[Batch]) -> Result<(), Failure> {
        self.buffer.clear();
        let (settled, mut next) = (self.at.end, self.at);
        for batch in batches {
            let start = self.buffer.len();
            let label =
                Label { kind: Kind::Ops, settled, seq: next.seq + 1, previous: next.chain.short() };
            self.segment.sealer.seal(label, batch.bytes(), &mut self.buffer)?;
            next.seq += 1;
            next.chain = next.chain.after(self.buffer.get(start..).unwrap_or_default());
        }
        next.end = advance(self.at.end, self.buffer.len())?;
        self.write(next.end)?;
        self.segment.file.sync()?;
        self.synced_end = next.end;
        // After the sync: what it made durable is read by whoever plants a fence from now on.
        self.look()?;
        self.watermarks.write(&mut self.slot, &mark(&self.segment, &next))?;
        self.at = next;
        if self.buffer.capacity() > IDLE_BUFFER_BYTES {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Whether this writer's epoch is still the highest.
    pub(crate) fn look(&self) -> Result<(), Failure> {
        self.volume.look(self.segment.name.epoch)
    }

    /// Writes the buffer up to `end`, and room behind it where that is worth it and there is any.
    fn write(&mut self, end: u32) -> io::Result<()> {
        let (start, bytes) = (u64::from(self.at.end), self.buffer.len());
        let room = self.room.wanted(end, bytes);
        if room > 0 {
            self.buffer.resize(bytes + room, 0);
            match self.segment.file.write_all_at(&self.buffer, start) {
                Ok(()) => {
                    self.room.end = start + self.buffer.len() as u64;
                    return Ok(());
                }
                // A disk that has no room for zeros may have some for records.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    self.buffer.truncate(bytes);
                    self.room.end = start + room as u64;
                }
                Err(error) => return Err(error),
            }
        }
        self.segment.file.write_all_at(&self.buffer, start)?;
        self.room.end = self.room.end.max(u64::from(end));
        Ok(())
    }

    /// Gives room back. If that fails, it is a tail that the next opening cuts.
    fn trim(&mut self) {
        if self.room.end > u64::from(self.synced_end)
            && let Err(error) = self.segment.file.set_size(self.synced_end.into())
        {
            tracing::warn!(volume = %self.volume.id, %error, "room behind a log stays until it is opened");
        }
        self.room = Room::none(self.synced_end);
    }

    /// Notes durably that the log ends here and was left in order.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        self.trim();
        let mark = mark(&self.segment, &self.at);
        self.watermarks.write_closed(&mut self.slot, mark)
    }

    /// Steps into a segment that was begun and is durable: from now on nothing before it counts.
    /// Not if there is a fence: its owner may not have seen the segment.
    pub(crate) fn step_into(&mut self, segment: Arc<Segment>, at: Position) -> Result<(), Failure> {
        self.volume.look(segment.name.epoch)?;
        self.watermarks.write_durably(&mut self.slot, &mark(&segment, &at))?;
        (self.room, self.synced_end) = (Room::none(at.end), at.end);
        (self.segment, self.at) = (segment, at);
        Ok(())
    }

    /// Makes the file of the next segment; nothing is written yet.
    pub(crate) fn begin(&mut self, mode: Mode, epoch: Epoch) -> io::Result<Draft> {
        // A segment that others follow ends with its last record.
        self.trim();
        let name = SegmentName { number: self.segment.name.number + 1, epoch };
        let here = self.segment.name;
        let continues =
            Some(Continues { epoch: here.epoch, number: here.number, end: self.at.end });
        let opening = Opening { mode, base: self.at.chain.bytes(), continues };
        Draft::begin(&self.volume, name, &self.key, &opening, self.at.seq)
    }

    /// Removes a segment that did not come to be. If that fails, nothing more may be written here.
    pub(crate) fn abandon(&self, draft: &Draft) -> io::Result<()> {
        self.volume.remove(&[draft.segment.name])
    }
}

/// The watermark of a point in a segment.
pub(crate) fn mark(segment: &Segment, at: &Position) -> Mark {
    let SegmentName { number, epoch } = segment.name;
    let chain = at.chain.short();
    Mark { seq: at.seq, epoch, segment: number, end: at.end, chain, is_closed: false }
}

fn advance(end: u32, bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes)
        .ok()
        .and_then(|bytes| end.checked_add(bytes))
        .ok_or_else(|| io::Error::other("a segment beyond the format's limit"))
}

/// A segment that is being begun. It counts only when it is finished.
pub(crate) struct Draft {
    segment: Segment,
    at: Position,
    written: u32,
    buffer: Vec<u8>,
}

impl Draft {
    /// Makes the file and prepares header and opening.
    pub(crate) fn begin(
        volume: &Volume,
        name: SegmentName,
        key: &Key,
        opening: &Opening,
        seq: u64,
    ) -> io::Result<Self> {
        let (segment, header) = volume.create(name, key)?;
        let chain = Chain::from_bytes(opening.base);
        let at = Position { seq, chain, end: HEADER_BYTES as u32 };
        let mut draft = Self { segment, at, written: 0, buffer: header.to_vec() };
        match draft.push(Kind::Opening, &opening.encode()) {
            Ok(_) => Ok(draft),
            Err(error) => volume.remove(&[name]).and(Err(error)),
        }
    }

    /// Adds a record; returns where it will stand.
    pub(crate) fn push(&mut self, kind: Kind, body: &[u8]) -> io::Result<RecordPlace> {
        let (start, offset) = (self.buffer.len(), self.at.end);
        let label = Label { kind, settled: 0, seq: self.at.seq, previous: self.at.chain.short() };
        self.segment.sealer.seal(label, body, &mut self.buffer)?;
        let record = self.buffer.get(start..).unwrap_or_default();
        let bytes = record.len();
        self.at.chain = self.at.chain.after(record);
        self.at.end = advance(offset, bytes)?;
        if self.buffer.len() >= COMPACTION_WRITE_BYTES {
            self.write()?;
        }
        let (seq, segment) = (self.at.seq, self.segment.name.number);
        Ok(RecordPlace { seq, segment, offset, bytes: bytes as u32 })
    }

    /// Makes the opening durable before anything follows: so a segment that is longer than its opening
    /// and has none is damaged, and not torn.
    pub(crate) fn write_opening(&mut self) -> io::Result<()> {
        self.write()?;
        self.segment.file.sync()
    }

    /// Hands what was added to the disk.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.segment.file.write_all_at(&self.buffer, u64::from(self.written))?;
        self.written = advance(self.written, self.buffer.len())?;
        self.buffer.clear();
        Ok(())
    }

    /// Makes the segment and its name durable.
    pub(crate) fn finish(&mut self, volume: &Volume) -> io::Result<()> {
        self.write()?;
        self.segment.file.sync()?;
        volume.sync()
    }

    pub(crate) fn into_segment(self) -> (Arc<Segment>, Position) {
        (Arc::new(self.segment), self.at)
    }
}
