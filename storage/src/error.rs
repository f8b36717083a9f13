//! What can go wrong, in the words of whoever has to mend it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use protocol::{Epoch, VolumeId};

use crate::batch::BatchError;
use crate::format::HeaderError;
use crate::watermark::WatermarkError;

/// Number of a batch in its log, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub(crate) u64);

impl Seq {
    /// The number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A place in a log whose bytes are not what was written there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log of volume {volume} is damaged: {why} (segment {segment}, offset {offset}, \
     after batch {seq}); put back an undamaged copy of the volume that is at least as new"
)]
pub struct Damage {
    /// The volume.
    pub volume: VolumeId,
    /// Name of the segment's file.
    pub segment: String,
    /// Offset of the first byte that is not as it was written.
    pub offset: u64,
    /// The last batch before it.
    pub seq: Seq,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with bytes of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The file ends inside a record.
    #[error("it ends inside a record")]
    Cut,
    /// A record's head is impossible.
    #[error("no record begins like this")]
    Frame,
    /// A record's seal does not hold.
    #[error("a record's seal does not hold")]
    Seal,
    /// A sound record stands where it does not belong: one was dropped, repeated or moved.
    #[error("a record stands out of its place")]
    OutOfPlace,
    /// A sound record holds what no writer puts there.
    #[error("a record holds what no writer puts there")]
    Body,
    /// The header is not one.
    #[error("{0}")]
    Header(HeaderError),
    /// The header's seal does not hold.
    #[error(
        "the header's seal does not hold (or the master key or the identity is not the volume's)"
    )]
    HeaderSeal,
    /// A segment that the history needs is not there.
    #[error("the segment is missing")]
    Missing,
    /// Bytes follow the end of a history that went on in another segment.
    #[error("bytes follow after its end")]
    Surplus,
    /// No segment that is left holds the beginning of a state.
    #[error("no state begins in the segments that are left")]
    NoBeginning,
    /// The tail has more places that look like a record than any crash leaves.
    #[error("its tail is no torn write")]
    Tail,
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is open already, in this process.
    #[error("volume {0} is open already; close it first")]
    AlreadyOpen(VolumeId),
    /// There is no such volume.
    #[error("volume {0} does not exist")]
    NotFound(VolumeId),
    /// It exists and cannot be created anew.
    #[error("volume {0} exists already; open it")]
    AlreadyExists(VolumeId),
    /// Somebody opened it with a higher epoch.
    #[error(
        "volume {volume} was opened with epoch {found}, epoch {asked} is over; \
         ask the registrar where the identity lives now"
    )]
    StaleEpoch {
        /// The volume.
        volume: VolumeId,
        /// The epoch of the caller.
        asked: Epoch,
        /// The highest epoch on the volume.
        found: Epoch,
    },
    /// Somebody else has this epoch, or had it.
    #[error(
        "epoch {epoch} of volume {volume} was opened already, elsewhere or before a crash; \
         ask the registrar for a higher one"
    )]
    EpochTaken {
        /// The volume.
        volume: VolumeId,
        /// The epoch of the caller.
        epoch: Epoch,
    },
    /// Acknowledged batches are missing from the end.
    #[error(
        "the log of volume {volume} lost its end: batch {expected} was acknowledged, \
         the log ends after batch {found}; put back a copy that is at least as new"
    )]
    LostTail {
        /// The volume.
        volume: VolumeId,
        /// The last acknowledged batch.
        expected: Seq,
        /// The last batch in the log.
        found: Seq,
    },
    /// The segment of the watermark is not there: an older copy, or nothing at all.
    #[error(
        "volume {volume} is an old copy or empty: batch {expected} was acknowledged in \
         {segment}, which is missing; mount the right disk or put back a newer copy"
    )]
    OldCopy {
        /// The volume.
        volume: VolumeId,
        /// The last acknowledged batch.
        expected: Seq,
        /// Name of the file in which it should be.
        segment: String,
    },
    /// The log has another history than the one that was acknowledged.
    #[error(
        "the log of volume {volume} has another history than the acknowledged one \
         (from batch {seq}); put back the copy that this process last used"
    )]
    Forked {
        /// The volume.
        volume: VolumeId,
        /// The batch at which the histories differ.
        seq: Seq,
    },
    /// Bytes are not as they were written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The watermark does not say how far the log went.
    #[error(transparent)]
    Watermark(#[from] WatermarkError),
    /// The disk does not do what it is asked.
    #[error("the disk failed at {path}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Why a batch is not acknowledged. All variants but [`CommitError::Stopped`] mean that nothing of
/// it was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// The batch breaks a limit.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Too much waits for the disk. Try again later.
    #[error("the store is busy: too many bytes wait for the disk")]
    Busy,
    /// The segment has reached its largest size.
    #[error("the store's log is full; delete what is not needed and let it be compacted")]
    Full,
    /// A write failed. The store serves what was acknowledged and takes nothing more until it is
    /// opened again; whether this batch survived is known only then.
    #[error("the store is read-only until it is opened again")]
    Stopped(#[source] Failure),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// Nobody appended a batch with this number.
    #[error("batch {0} was never appended")]
    NeverAppended(Seq),
}

/// What stopped a store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The disk is full. What was acknowledged is safe.
    #[error("the disk is full; make room and open the store again")]
    DiskFull,
    /// The disk refused to write or to sync. A second try would prove nothing.
    #[error("the disk failed to store a batch")]
    Disk(#[source] Arc<io::Error>),
    /// The volume was opened with a higher epoch, here or on another machine. This writer's time is
    /// over; nothing will make it write again.
    #[error("epoch {opened} has been opened elsewhere, epoch {own} is over")]
    Fenced {
        /// The epoch of this writer.
        own: Epoch,
        /// The highest epoch on the volume.
        opened: Epoch,
    },
    /// A sync ended without an end: a bug.
    #[error("a sync was broken off")]
    BrokenOff,
    /// Its host waited too long for it, and gave it up.
    #[error("the store did not get on, and was given up")]
    GivenUp,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Disk(Arc::new(error)),
        }
    }
}

/// Why a value is not served.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bytes on the disk are not the ones that were written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The store stopped while this value was on its way to the disk.
    #[error("the store stopped before this value was durable")]
    Stopped(#[source] Failure),
    /// The disk does not do what it is asked.
    #[error("the disk failed to read a value")]
    Io(#[from] io::Error),
}

/// Why a compaction did not take place. The store goes on unless it says so itself.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// A live value cannot be read.
    #[error("a live value cannot be copied")]
    Read(#[from] ReadError),
    /// The queue could not be emptied, or the store is stopped.
    #[error("the store does not write")]
    Commit(#[from] CommitError),
    /// The new segment could not be written; it was removed again.
    #[error("the new segment cannot be written")]
    Io(#[from] io::Error),
}

/// An error with everything that caused it, for a log line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
