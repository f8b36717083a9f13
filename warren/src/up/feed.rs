//! The registrar's feed, carried to a directory in the same process.

use std::sync::Arc;
use std::time::Duration;

use directory::{BoxFuture, FeedAnswer, FeedError, FeedSource};
use protocol::FeedId;
use protocol::control::feed::Snapshot;
use registrar::Registrar;

/// The same questions and answers as over HTTPS.
pub struct InProcessFeed(pub Arc<Registrar>);

impl FeedSource for InProcessFeed {
    fn snapshot(&self) -> BoxFuture<'_, Result<Snapshot, FeedError>> {
        Box::pin(async {
            self.0.feed_snapshot().await.map_err(|error| FeedError::Unreachable(error.into()))
        })
    }

    fn after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
        Box::pin(async move {
            Ok(match self.0.feed_after(feed, number, wait).await {
                registrar::FeedAnswer::Batch(batch) => FeedAnswer::Batch(batch),
                registrar::FeedAnswer::SnapshotNeeded => FeedAnswer::SnapshotNeeded,
            })
        })
    }
}
