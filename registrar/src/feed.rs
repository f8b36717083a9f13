//! The feed as its followers get it, inside this process; `http` carries the same to others.

use std::time::Duration;

use feed::{FeedKey, Signed};
use protocol::FeedId;
use protocol::control::feed::Snapshot;
use tokio::time::timeout;

use crate::changes::FeedAnswer;
use crate::error::FeedError;
use crate::limits::{FEED_WAIT_MAX, SNAPSHOT_DEADLINE};
use crate::registrar::Registrar;

/// What a follower of the signed feed gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedAnswer {
    /// A batch.
    Batch(Signed),
    /// As for [`FeedAnswer::SnapshotNeeded`].
    SnapshotNeeded,
}

impl Registrar {
    /// With which followers check what they get. It stays the same for as long as the key from which
    /// the registrar derives its secrets.
    #[must_use]
    pub fn feed_key(&self) -> FeedKey {
        self.signing.public()
    }

    /// As [`feed_after`](Self::feed_after), signed.
    ///
    /// # Errors
    /// [`FeedError::Unsigned`] if the batch is too long, which none is.
    pub async fn signed_after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> Result<SignedAnswer, FeedError> {
        match self.feed_after(feed, number, wait).await {
            FeedAnswer::Batch(batch) => Ok(SignedAnswer::Batch(Signed::of(&batch, &self.signing)?)),
            FeedAnswer::SnapshotNeeded => Ok(SignedAnswer::SnapshotNeeded),
        }
    }

    /// The changes of `feed` after `number`. Where there are none yet, waits for the next one, at
    /// most `wait` and never more than [`FEED_WAIT_MAX`]; then the batch is empty.
    pub async fn feed_after(&self, feed: FeedId, number: u64, wait: Duration) -> FeedAnswer {
        let is_followed = self.book().changes().feed() == feed;
        if is_followed && *self.durable.borrow() == number {
            // Whatever ends the wait: what there is then is the answer.
            drop(timeout(wait.min(FEED_WAIT_MAX), self.news_after(number)).await);
        }
        let newest = *self.durable.borrow();
        let now = self.clock.now();
        self.book().changes().after(feed, number, newest, &self.addressing, now)
    }

    /// Waits until change `number` is not the newest any more, or the end has begun.
    async fn news_after(&self, number: u64) {
        let (mut durable, mut is_closing) = (self.durable.subscribe(), self.is_closing.subscribe());
        tokio::select! {
            _ = durable.wait_for(|newest| *newest != number) => {}
            _ = is_closing.wait_for(|is_closing| *is_closing) => {}
        }
    }

    /// All that the directory needs to begin. Everything in it is durable.
    ///
    /// # Errors
    /// [`FeedError::NotDurable`] if the newest changes do not become durable in time.
    pub async fn feed_snapshot(&self) -> Result<Snapshot, FeedError> {
        let snapshot = self.book().snapshot(&self.addressing);
        let mut durable = self.durable.subscribe();
        let is_durable = durable.wait_for(|newest| *newest >= snapshot.number);
        match timeout(SNAPSHOT_DEADLINE, is_durable).await {
            Ok(Ok(_)) => {}
            _ => return Err(FeedError::NotDurable),
        }
        Ok(snapshot)
    }
}
