//! The registrar's feed, carried to a directory in the same process.

use std::sync::Arc;
use std::time::Duration;

use directory::{BoxFuture, FeedAnswer, FeedError, FeedSource};
use feed::Signed;
use protocol::FeedId;
use registrar::{Registrar, SignedAnswer};

/// The same questions and answers as over HTTPS.
pub struct InProcessFeed(pub Arc<Registrar>);

impl FeedSource for InProcessFeed {
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
        Box::pin(async {
            let signed = self.0.signed_snapshot().await;
            signed.map(|snapshot| snapshot.to_bytes()).map_err(unreachable)
        })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>> {
        Box::pin(async {
            let signed = self.0.signed_snapshot().await;
            signed.map(|snapshot| snapshot.signed().clone()).map_err(unreachable)
        })
    }

    fn after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
        Box::pin(async move {
            Ok(match self.0.signed_after(feed, number, wait).await.map_err(unreachable)? {
                SignedAnswer::Batch(batch) => FeedAnswer::Batch(batch),
                SignedAnswer::SnapshotNeeded => FeedAnswer::SnapshotNeeded,
            })
        })
    }
}

fn unreachable(error: registrar::FeedError) -> FeedError {
    FeedError::Unreachable(error.into())
}
