//! The feed in Redis, where the registrar puts it.

use std::fmt;
use std::time::Duration;

use feed::{CarrierKeys, FeedKey, SIGNED_BYTES_MAX, Signed};
use net::redis::{Pipeline, RedisConnection, RedisError, RedisPlace, Value, first_entry, pipe};
use net::tls::ClientTls;
use protocol::control::feed::Batch;
use protocol::{FeedId, Timestamp};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::feed::{BoxFuture, FeedAnswer, FeedError, FeedSource};
use crate::limits::{REDIS_DEADLINE, REDIS_WAIT, SNAPSHOT_BYTES_MAX, SNAPSHOT_DEADLINE};

/// Follows what is under these keys. Any replica of the Redis in question will do: nothing is
/// written.
pub struct RedisFeed {
    place: RedisPlace,
    tls: Option<ClientTls>,
    keys: CarrierKeys,
    key: FeedKey,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    /// Taken out while a question is asked: one that was given up leaves nothing half read behind.
    connection: Option<RedisConnection>,
    /// When the registrar said the newest word that was handed on.
    told: Option<Timestamp>,
}

impl RedisFeed {
    /// The feed that `key` signs, at this place; `tls` is needed only where the place is over TLS.
    #[must_use]
    pub fn new(place: RedisPlace, tls: Option<ClientTls>, keys: CarrierKeys, key: FeedKey) -> Self {
        Self { place, tls, keys, key, line: Mutex::default() }
    }

    async fn ask(
        &self,
        line: &mut Line,
        questions: &mut Pipeline,
        bytes_max: usize,
        deadline: Duration,
    ) -> Result<Vec<Value>, FeedError> {
        let mut connection = match line.connection.take() {
            Some(connection) => connection,
            None => {
                let opened = RedisConnection::open(&self.place, self.tls.as_ref());
                opened.await.map_err(unreachable)?
            }
        };
        let answers = connection.ask(questions, bytes_max, deadline).await.map_err(unreachable)?;
        line.connection = Some(connection);
        answers.into_iter().collect::<Result<_, _>>().map_err(unreachable)
    }

    /// The bytes of one key.
    async fn get(
        &self,
        key: &str,
        bytes_max: usize,
        deadline: Duration,
    ) -> Result<Vec<u8>, FeedError> {
        let mut questions = pipe();
        questions.cmd("GET").arg(key);
        let line = &mut *self.line.lock().await;
        match self.ask(line, &mut questions, bytes_max, deadline).await?.pop() {
            Some(Value::BulkString(bytes)) => Ok(bytes),
            _ => Err(FeedError::Empty),
        }
    }

    async fn ask_checkpoint(&self) -> Result<Signed, FeedError> {
        signed(&self.get(&self.keys.checkpoint, SIGNED_BYTES_MAX, REDIS_DEADLINE).await?)
    }

    async fn ask_after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> Result<FeedAnswer, FeedError> {
        let line = &mut *self.line.lock().await;
        let until = Instant::now() + wait.min(REDIS_WAIT);
        // In this order: what the newest word speaks of is in the stream already.
        let mut questions = pipe();
        questions.cmd("GET").arg(&self.keys.newest);
        self.read_after(&mut questions, number, None);
        let answers = self.ask(line, &mut questions, 2 * SIGNED_BYTES_MAX, REDIS_DEADLINE).await?;
        let [Value::BulkString(newest), entries] = &answers[..] else {
            return Err(FeedError::Empty);
        };
        if let Some(entry) = first_entry(entries) {
            return signed(&entry.bytes).map(FeedAnswer::Batch);
        }
        let newest = signed(newest)?;
        if let Some(answer) = self.judge(line, &newest, feed, number)? {
            return Ok(answer);
        }
        let wait = until.saturating_duration_since(Instant::now());
        if let Some(signed) = self.wait_after(line, number, wait).await? {
            return Ok(FeedAnswer::Batch(signed));
        }
        Ok(FeedAnswer::Batch(newest))
    }

    /// What the newest word means for somebody for whom there is nothing in the stream. None if it
    /// is the one that he has heard already.
    fn judge(
        &self,
        line: &mut Line,
        newest: &Signed,
        feed: FeedId,
        number: u64,
    ) -> Result<Option<FeedAnswer>, FeedError> {
        let word: Batch = newest.open(&self.key).map_err(|e| FeedError::Malformed(e.into()))?;
        if word.feed == feed && word.newest > number {
            return Ok(Some(FeedAnswer::SnapshotNeeded));
        }
        if word.feed == feed && word.newest < number {
            return Err(FeedError::Behind);
        }
        let is_news = line.told.replace(word.at) != Some(word.at) || word.feed != feed;
        Ok(is_news.then(|| FeedAnswer::Batch(newest.clone())))
    }

    async fn wait_after(
        &self,
        line: &mut Line,
        number: u64,
        wait: Duration,
    ) -> Result<Option<Signed>, FeedError> {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            // For Redis that means for ever.
            return Ok(None);
        }
        let mut questions = pipe();
        self.read_after(&mut questions, number, Some(millis));
        let deadline = wait + REDIS_DEADLINE;
        let answers = self.ask(line, &mut questions, SIGNED_BYTES_MAX, deadline).await?;
        let entry = answers.first().and_then(first_entry);
        entry.map(|entry| signed(&entry.bytes)).transpose()
    }

    fn read_after(&self, questions: &mut Pipeline, number: u64, wait_millis: Option<u64>) {
        let xread = questions.cmd("XREAD").arg("COUNT").arg(1);
        if let Some(millis) = wait_millis {
            xread.arg("BLOCK").arg(millis);
        }
        xread.arg("STREAMS").arg(&self.keys.changes).arg(CarrierKeys::entry_id(number));
    }
}

impl FeedSource for RedisFeed {
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
        Box::pin(self.get(&self.keys.snapshot, SNAPSHOT_BYTES_MAX, SNAPSHOT_DEADLINE))
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

impl fmt::Debug for RedisFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisFeed({})", self.place)
    }
}

fn unreachable(error: RedisError) -> FeedError {
    match error {
        RedisError::Deadline => FeedError::Deadline,
        other => FeedError::Unreachable(other.into()),
    }
}

fn signed(bytes: &[u8]) -> Result<Signed, FeedError> {
    Signed::from_bytes(bytes).map_err(|e| FeedError::Malformed(e.into()))
}
