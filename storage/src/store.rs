//! An open store: the handle that its users hold.

use std::sync::Arc;

use protocol::{Epoch, VolumeId};

use crate::batch::Batch;
use crate::commit::{Commit, Durable, DurableAck, SyncJob, block_on};
use crate::error::{CommitError, MaintainError, ReadError, Seq};
use crate::lookout::Lookout;
use crate::pulse::Overseer;
use crate::read::{self, Value};
use crate::recover::Recovery;
use crate::shared::Shared;

/// The store of one identity, open for writing in one epoch.
///
/// Many threads and tasks may use it at once. It reads its own writes at once, also those that are
/// not durable yet; whoever answers from such a read waits for [`Store::durable`] first.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
}

/// The hash of a whole state: equal for equal keys and values, whatever way led there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub(crate) [u8; 32]);

impl Digest {
    /// The hash's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What [`Store::maintain`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maintenance {
    /// Nothing: there is too little to gain, or the state is too large for one segment.
    NotWorthIt,
    /// Nothing: the writers did not pause. Ask again when it is quieter.
    Busy,
    /// The log was compacted.
    Compacted {
        /// Bytes on disk before.
        bytes_before: u64,
        /// Bytes on disk now.
        bytes_after: u64,
    },
}

impl Store {
    /// The volume.
    #[must_use]
    pub fn volume(&self) -> VolumeId {
        self.shared.id
    }

    /// The epoch in which it was opened.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    /// What the opening found and mended.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        self.shared.recovery
    }

    /// The value of a key, as of the last appended batch. Reads the disk.
    ///
    /// `None` may be the work of a batch that is not durable yet, and there is no number with it:
    /// whoever answers from it waits for [`Store::latest`].
    ///
    /// # Errors
    /// [`ReadError`]; a value whose bytes are not proven is never returned.
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>, ReadError> {
        read::get(&self.shared, key)
    }

    /// Calls `visit` with each key that begins with `prefix`, in order, and its value: each as it
    /// is at some moment during the call, so that others get on meanwhile. Reads the disk.
    ///
    /// # Errors
    /// [`ReadError`]; what was visited before it is sound.
    pub fn for_each(
        &self,
        prefix: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), ReadError> {
        read::for_each(&self.shared, prefix, read::STEP, visit)
    }

    /// The keys that begin with `prefix`, in order. Of batches that are appended meanwhile, it may
    /// see a part.
    #[must_use]
    pub fn keys(&self, prefix: &[u8]) -> Vec<Box<[u8]>> {
        read::keys(&self.shared, prefix)
    }

    /// At most `count_max` of the keys between two others, neither included: the first of them, in
    /// order. It costs what it returns, however many keys there are.
    #[must_use]
    pub fn first_keys(&self, after: &[u8], before: &[u8], count_max: usize) -> Vec<Box<[u8]>> {
        let state = self.shared.state();
        state.index.between(after, before).take(count_max).map(Into::into).collect()
    }

    /// The same for the last of them, the last one first.
    #[must_use]
    pub fn last_keys(&self, after: &[u8], before: &[u8], count_max: usize) -> Vec<Box<[u8]>> {
        let state = self.shared.state();
        state.index.between(after, before).rev().take(count_max).map(Into::into).collect()
    }

    /// How many keys have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.state().index.len()
    }

    /// Whether no key has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the last appended batch.
    #[must_use]
    pub fn latest(&self) -> Seq {
        Seq(self.shared.state().latest)
    }

    /// Takes a batch into the queue; it can be read at once, and is durable when the [`Commit`]
    /// resolves. If a [`SyncJob`] comes with it, the caller has to run that; if not, somebody else
    /// does. Never touches the disk.
    ///
    /// An empty batch has the number of the last one and waits for it.
    ///
    /// # Errors
    /// [`CommitError`]: nothing was taken.
    pub fn append(&self, batch: Batch) -> Result<(Commit, Option<SyncJob>), CommitError> {
        let mut state = self.shared.state();
        let seq = state.append(batch)?;
        let leads = !state.led && !state.pending.is_empty();
        state.led |= leads;
        drop(state);
        Ok((Commit::new(&self.shared, seq), leads.then(|| SyncJob::new(&self.shared))))
    }

    /// Resolves when everything up to `seq` is durable: at once if it is.
    pub fn durable(&self, seq: Seq) -> Durable {
        Durable::new(&self.shared, seq.0)
    }

    /// Appends and waits on this thread.
    ///
    /// # Errors
    /// [`CommitError`].
    pub fn commit_blocking(&self, batch: Batch) -> Result<DurableAck, CommitError> {
        let (commit, job) = self.append(batch)?;
        if let Some(job) = job {
            job.run();
        }
        block_on(commit)
    }

    /// Looks whether the volume was opened with a higher epoch elsewhere, and stops then: for whoever
    /// serves reads and rarely writes. One look at a folder; it blocks.
    ///
    /// # Errors
    /// [`CommitError::Stopped`], also if the look fails; [`CommitError::Closed`].
    pub fn check_epoch(&self) -> Result<(), CommitError> {
        self.shared.check_epoch()
    }

    /// The same look for somebody else, who does not hold the store.
    #[must_use]
    pub fn lookout(&self) -> Lookout {
        Lookout::new(Arc::downgrade(&self.shared))
    }

    /// What watches over the store for somebody who does not hold it.
    #[must_use]
    pub fn overseer(&self) -> Overseer {
        Overseer::new(Arc::downgrade(&self.shared))
    }

    /// Compacts the log if that is worth it. It blocks, for about as long as copying the live
    /// entries takes; appends go on meanwhile and become durable after it.
    ///
    /// # Errors
    /// [`MaintainError`]. The store goes on as before, unless the error is that it stopped.
    pub fn maintain(&self) -> Result<Maintenance, MaintainError> {
        crate::compact::maintain(&self.shared)
    }

    /// Compacts the log whether it is worth it or not: to make it as small as it can be.
    ///
    /// # Errors
    /// As [`Store::maintain`].
    pub fn compact(&self) -> Result<Maintenance, MaintainError> {
        crate::compact::compact(&self.shared)
    }

    /// Writes what is pending, makes the watermark durable, and ends the use of the volume. From
    /// then on every append is refused, and the volume can be opened again. Blocks.
    ///
    /// # Errors
    /// [`CommitError::Stopped`] if the store had stopped, or stops now. It is closed all the same.
    pub fn close(&self) -> Result<(), CommitError> {
        self.shared.close()
    }

    /// About what the store takes of memory now.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let state = self.shared.state();
        let fixed = size_of::<Shared>() + 256 * state.segments.len();
        fixed + state.index.memory_bytes() + state.pending_bytes
    }

    /// Bytes of the log on the disk, what is pending included.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        let state = self.shared.state();
        u64::from(state.next_offset) + state.earlier_bytes
    }

    /// The hash of the whole state, as of the last appended batch. Reads the disk.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn digest(&self) -> Result<Digest, ReadError> {
        let mut hasher = blake3::Hasher::new_derive_key("warren storage state v1");
        let visit = &mut |key: &[u8], value: &[u8]| {
            for part in [key, value] {
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
        };
        // All of one moment.
        read::for_each(&self.shared, b"", usize::MAX, visit)?;
        Ok(Digest(hasher.finalize().into()))
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({}, {:?})", self.shared.id, self.shared.epoch)
    }
}
