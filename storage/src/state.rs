//! What the users of an open store share: the index, the queue for the disk, and who waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use crate::batch::Batch;
use crate::chain::Position;
use crate::error::{CommitError, Failure, Seq};
use crate::format::record_bytes;
use crate::index::{Index, RecordPlace};
use crate::limits::{PENDING_BYTES_MAX, SEGMENT_BYTES_MAX};
use crate::volume::Segment;

/// Whether a store takes batches.
#[derive(Debug, Clone)]
pub(crate) enum Health {
    Open,
    /// It takes no more batches, but writes those that it has.
    Closing,
    Stopped(Failure),
    Closed,
}

pub(crate) struct State {
    pub(crate) index: Index,
    /// False from a failed write until the index was rebuilt from what is durable.
    pub(crate) index_is_true: bool,
    /// The segments that hold the state, oldest first.
    pub(crate) segments: Arc<Vec<Arc<Segment>>>,
    pub(crate) health: Health,
    /// The last durable batch.
    pub(crate) durable: u64,
    /// The last appended batch.
    pub(crate) latest: u64,
    /// Where the next batch will stand in the current segment.
    pub(crate) next_offset: u32,
    /// Bytes of the segments before the current one.
    pub(crate) earlier_bytes: u64,
    /// Batches on their way to the disk: those after `durable`.
    pub(crate) flushing: Option<Arc<Vec<Batch>>>,
    /// Batches that wait for the next way: those after the flushing ones.
    pub(crate) pending: Vec<Batch>,
    pub(crate) pending_bytes: usize,
    /// Whether somebody has the duty to write what is pending.
    pub(crate) led: bool,
    pub(crate) waiters: BTreeMap<(u64, u64), Waker>,
    pub(crate) next_waiter: u64,
}

impl State {
    /// The state of a store of which everything is durable.
    pub(crate) fn new(
        index: Index,
        segments: Vec<Arc<Segment>>,
        earlier_bytes: u64,
        at: &Position,
    ) -> Self {
        Self {
            index,
            index_is_true: true,
            segments: Arc::new(segments),
            health: Health::Open,
            durable: at.seq,
            latest: at.seq,
            next_offset: at.end,
            earlier_bytes,
            flushing: None,
            pending: Vec::new(),
            pending_bytes: 0,
            led: false,
            waiters: BTreeMap::new(),
            next_waiter: 0,
        }
    }

    /// Takes a batch into index and queue; returns its number.
    pub(crate) fn append(&mut self, batch: Batch) -> Result<u64, CommitError> {
        batch.check()?;
        self.check_health()?;
        if batch.is_empty() {
            return Ok(self.latest);
        }
        let bytes = record_bytes(batch.bytes().len());
        if self.pending_bytes + bytes > PENDING_BYTES_MAX {
            return Err(CommitError::Busy);
        }
        let (Ok(bytes_32), Some(segment)) = (u32::try_from(bytes), self.segments.last()) else {
            return Err(CommitError::Full);
        };
        let end = self.next_offset.saturating_add(bytes_32);
        if end > SEGMENT_BYTES_MAX {
            return Err(CommitError::Full);
        }
        self.latest += 1;
        let (seq, offset) = (self.latest, self.next_offset);
        let place = RecordPlace { seq, segment: segment.name.number, offset, bytes: bytes_32 };
        batch.ops().for_each(|op| self.index.apply(op, place));
        self.next_offset = end;
        self.pending_bytes += bytes;
        self.pending.push(batch);
        Ok(seq)
    }

    pub(crate) fn check_health(&self) -> Result<(), CommitError> {
        match &self.health {
            Health::Open => Ok(()),
            Health::Stopped(failure) => Err(CommitError::Stopped(failure.clone())),
            Health::Closing | Health::Closed => Err(CommitError::Closed),
        }
    }

    fn writes(&self) -> bool {
        matches!(self.health, Health::Open | Health::Closing)
    }

    pub(crate) fn begin_closing(&mut self) {
        if matches!(self.health, Health::Open) {
            self.health = Health::Closing;
        }
    }

    /// What closing came to; `None` if it was closed before.
    pub(crate) fn finish_closing(&mut self) -> Option<Result<(), CommitError>> {
        match &self.health {
            Health::Closed => None,
            Health::Stopped(failure) => Some(Err(CommitError::Stopped(failure.clone()))),
            Health::Open | Health::Closing => {
                self.health = Health::Closed;
                Some(Ok(()))
            }
        }
    }

    /// A batch that is not durable yet.
    pub(crate) fn unsynced(&self, seq: u64) -> Option<&Batch> {
        let ahead = usize::try_from(seq.checked_sub(self.durable)?.checked_sub(1)?).ok()?;
        let flushing = self.flushing.as_deref().map_or(&[][..], Vec::as_slice);
        match ahead.checked_sub(flushing.len()) {
            None => flushing.get(ahead),
            Some(ahead) => self.pending.get(ahead),
        }
    }

    /// What became of a batch; `None` while that is open.
    pub(crate) fn outcome(&self, seq: u64) -> Option<Result<(), CommitError>> {
        if seq <= self.durable {
            return Some(Ok(()));
        }
        match &self.health {
            Health::Open | Health::Closing if seq <= self.latest => None,
            Health::Open | Health::Closing => Some(Err(CommitError::NeverAppended(Seq(seq)))),
            Health::Stopped(failure) => Some(Err(CommitError::Stopped(failure.clone()))),
            Health::Closed => Some(Err(CommitError::Closed)),
        }
    }

    /// Takes everything that is pending, to be written by the caller.
    pub(crate) fn take_pending(&mut self) -> Option<Arc<Vec<Batch>>> {
        if !self.writes() || self.pending.is_empty() {
            self.led = false;
            return None;
        }
        let batches = Arc::new(std::mem::take(&mut self.pending));
        self.pending_bytes = 0;
        self.flushing = Some(Arc::clone(&batches));
        Some(batches)
    }

    /// Leaves the duty to write to those who wait, if there are any; returns them.
    pub(crate) fn hand_over(&mut self) -> BTreeMap<(u64, u64), Waker> {
        self.led &= self.waiters.is_empty();
        std::mem::take(&mut self.waiters)
    }

    /// The batches being flushed are durable; returns who waited for that.
    pub(crate) fn settle(&mut self) -> BTreeMap<(u64, u64), Waker> {
        self.durable += self.flushing.take().map_or(0, |batches| batches.len() as u64);
        let rest = self.waiters.split_off(&(self.durable + 1, 0));
        std::mem::replace(&mut self.waiters, rest)
    }

    /// Nothing is written any more; returns who waits in vain.
    pub(crate) fn stop(&mut self, failure: Failure) -> BTreeMap<(u64, u64), Waker> {
        if self.writes() {
            self.health = Health::Stopped(failure);
        }
        // The index speaks of batches that will never be durable.
        self.index_is_true &= self.latest == self.durable;
        self.latest = self.durable;
        self.flushing = None;
        self.pending = Vec::new();
        self.pending_bytes = 0;
        self.led = false;
        std::mem::take(&mut self.waiters)
    }
}
