//! Where a directory's knowledge comes from.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use feed::Signed;
use protocol::FeedId;

/// A future that a trait object can give.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A carrier of the registrar's feed: over HTTPS ([`HttpsFeed`](crate::HttpsFeed)), in Redis
/// ([`RedisFeed`](crate::RedisFeed)) or inside the same process. It need not be trusted: nothing is believed that the registrar has not signed.
pub trait FeedSource: Send + Sync + 'static {
    /// Everything as of now, as the bytes of a [`feed::SignedSnapshot`].
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>>;

    /// What the registrar says about everything as of one change, some time ago.
    fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>>;

    /// The changes after `number` of this feed. If there are none yet, waits up to `wait` for some
    /// and then answers with an empty batch.
    fn after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>>;

    /// What it gave last was refused, or came too late. Where there is somebody else to ask, he is
    /// next.
    fn refused(&self) {}
}

/// What a feed says to "what came after?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedAnswer {
    /// This came; whether the registrar said it is still to be seen.
    Batch(Signed),
    /// It has another feed, or no longer those changes: start from a snapshot.
    SnapshotNeeded,
}

/// Why a feed cannot be asked. What is known goes on being served.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The registrar cannot be reached, or did not answer.
    #[error("the registrar cannot be reached")]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    /// It refused.
    #[error("the registrar refused the feed with status {0}: check the token and the URL")]
    Refused(u16),
    /// What it sent is no feed.
    #[error("what came as the registrar's feed is none")]
    Malformed(#[source] Box<dyn Error + Send + Sync>),
    /// The carrier has nothing of the feed.
    #[error("the carrier has no feed: nobody has put it there yet, or it was wiped")]
    Empty,
    /// The carrier's newest word is older than what is known.
    #[error("the carrier is behind what is known here")]
    Behind,
    /// It took too long.
    #[error("the registrar did not answer in time")]
    Deadline,
}
