//! Signed snapshots: everything as of one change, made anew from the last one and what came since.

use std::sync::{Arc, MutexGuard, PoisonError};

use feed::{Checkpoint, SignedSnapshot, SigningKey, SnapshotError};
use protocol::Timestamp;
use protocol::control::feed::{Change, Snapshot};
use tokio::time::Instant;

use crate::changes::FeedAnswer;
use crate::error::FeedError;
use crate::limits::CHECKPOINT_EVERY;
use crate::registrar::Registrar;

/// The last snapshot that was signed.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    snapshot: Arc<SignedSnapshot>,
    made: Instant,
}

enum Since {
    Nothing,
    Changes(Vec<Change>),
}

/// From what the next snapshot is made.
enum Work {
    Pack(Snapshot),
    Add(Arc<SignedSnapshot>, Vec<Change>),
}

impl Work {
    fn sign(self, now: Timestamp, key: &SigningKey) -> Result<SignedSnapshot, SnapshotError> {
        match self {
            Self::Pack(snapshot) => SignedSnapshot::of(&snapshot, now, key),
            Self::Add(before, changes) => {
                let number = before.checkpoint().number;
                let number = changes.last().map_or(number, |change| change.number);
                before.with(&changes, number, now, key)
            }
        }
    }
}

impl Registrar {
    /// As [`feed_snapshot`](Self::feed_snapshot), packed and signed. It is made anew when it is
    /// [`CHECKPOINT_EVERY`] old and there are newer changes, so that many followers who begin at
    /// once cost little more than one; what came since they get as batches.
    ///
    /// # Errors
    /// [`FeedError`].
    pub async fn signed_snapshot(self: &Arc<Self>) -> Result<Arc<SignedSnapshot>, FeedError> {
        let _turn = self.signing_turn.lock().await;
        let kept = self.kept().clone();
        let since = match &kept {
            Some(kept) => self.changes_since(kept.snapshot.checkpoint()),
            None => None,
        };
        let work = match (kept, since) {
            (Some(kept), Some(Since::Nothing)) => return Ok(kept.snapshot),
            (Some(kept), Some(Since::Changes(_))) if kept.made.elapsed() < CHECKPOINT_EVERY => {
                return Ok(kept.snapshot);
            }
            (Some(kept), Some(Since::Changes(changes))) => Work::Add(kept.snapshot, changes),
            _ => Work::Pack(self.feed_snapshot().await?),
        };
        let this = Arc::clone(self);
        let sign = move || {
            let snapshot = Arc::new(work.sign(this.clock.now(), &this.signing)?);
            *this.kept() = Some(Kept { snapshot: Arc::clone(&snapshot), made: Instant::now() });
            Ok(snapshot)
        };
        tokio::task::spawn_blocking(sign).await.map_err(|_| FeedError::Stopping)?
    }

    /// What happened after a checkpoint; none if that is no longer known.
    fn changes_since(&self, checkpoint: &Checkpoint) -> Option<Since> {
        let durable = *self.durable.borrow();
        let (feed, now) = (checkpoint.feed, self.clock.now());
        let mut changes = Vec::new();
        let mut number = checkpoint.number;
        while number < durable {
            let answer = self.book().changes().after(feed, number, durable, &self.addressing, now);
            let FeedAnswer::Batch(batch) = answer else { return None };
            number = batch.changes.last()?.number;
            changes.extend(batch.changes);
        }
        Some(if changes.is_empty() { Since::Nothing } else { Since::Changes(changes) })
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.signed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
