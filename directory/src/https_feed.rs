//! The feed over HTTPS.

use std::fmt;
use std::time::Duration;

use feed::{SIGNED_BYTES_MAX, Signed};
use net::https::{HttpAnswer, HttpsClient, HttpsError};
use protocol::{Address, FeedId};

use crate::feed::{BoxFuture, FeedAnswer, FeedError, FeedSource};
use crate::limits::{FEED_DEADLINE, FEED_WAIT, SNAPSHOT_BYTES_MAX, SNAPSHOT_DEADLINE};

/// Follows a registrar's `/v1/feed`.
pub struct HttpsFeed {
    news: HttpsClient,
    snapshots: HttpsClient,
    registrar: Address,
    token: Box<str>,
}

impl HttpsFeed {
    /// Asks the registrar at this address with this bearer token.
    #[must_use]
    pub fn new(client: &HttpsClient, registrar: Address, token: &str) -> Self {
        Self {
            news: client
                .with_deadline(FEED_WAIT + FEED_DEADLINE)
                .with_answer_bytes_max(SIGNED_BYTES_MAX),
            snapshots: client
                .with_deadline(SNAPSHOT_DEADLINE)
                .with_answer_bytes_max(SNAPSHOT_BYTES_MAX),
            registrar,
            token: token.into(),
        }
    }

    async fn get(&self, client: &HttpsClient, path: &str) -> Result<HttpAnswer, FeedError> {
        client.get(&self.registrar, path, Some(&self.token)).await.map_err(|e| match e {
            HttpsError::Deadline => FeedError::Deadline,
            other => FeedError::Unreachable(other.into()),
        })
    }

    async fn ask_snapshot(&self) -> Result<Vec<u8>, FeedError> {
        let answer = self.get(&self.snapshots, "/v1/feed/snapshot").await?;
        match answer.status {
            200 => Ok(answer.body),
            status => Err(FeedError::Refused(status)),
        }
    }

    async fn ask_checkpoint(&self) -> Result<Signed, FeedError> {
        let answer = self.get(&self.news, "/v1/feed/checkpoint").await?;
        match answer.status {
            200 => signed(&answer),
            status => Err(FeedError::Refused(status)),
        }
    }

    async fn ask_after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> Result<FeedAnswer, FeedError> {
        let wait = wait.min(FEED_WAIT).as_secs();
        let path = format!("/v1/feed?after={number}&feed={feed}&wait={wait}");
        let answer = self.get(&self.news, &path).await?;
        match answer.status {
            200 => signed(&answer).map(FeedAnswer::Batch),
            // Another feed now, or changes that are no longer kept.
            409 | 410 => Ok(FeedAnswer::SnapshotNeeded),
            status => Err(FeedError::Refused(status)),
        }
    }
}

impl FeedSource for HttpsFeed {
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
        Box::pin(self.ask_snapshot())
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>> {
        Box::pin(self.ask_checkpoint())
    }

    fn after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
        Box::pin(self.ask_after(feed, number, wait))
    }
}

impl fmt::Debug for HttpsFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpsFeed({})", self.registrar)
    }
}

fn signed(answer: &HttpAnswer) -> Result<Signed, FeedError> {
    Signed::from_bytes(&answer.body).map_err(|e| FeedError::Malformed(e.into()))
}
