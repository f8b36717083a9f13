//! Puts the signed feed into Redis, for as many followers as Redis can serve.
//!
//! The registrar keeps nothing for it: what Redis lacks is asked of the changes that are kept
//! anyway, and where those do not reach back far enough, Redis starts anew from a snapshot. Redis may
//! be wiped, go back in time or be filled by strangers: whatever its newest entry is then, it is
//! either a batch of ours that the next one follows, or everything is put there anew. Nothing here
//! is waited for by anybody.

use std::sync::Arc;
use std::time::Duration;

use feed::{CarrierKeys, Checkpoint, SIGNED_BYTES_MAX, Signed, SignedSnapshot};
use net::backoff;
use net::drain::Drain;
use net::redis::{Pipeline, RedisConnection, RedisError, RedisPlace, Value, first_entry, pipe};
use net::tls::ClientTls;
use protocol::control::feed::Batch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::error::FeedError;
use crate::feed::SignedAnswer;
use crate::limits::{
    CHECKPOINT_EVERY, REDIS_BACKOFF_MAX, REDIS_BACKOFF_MIN, REDIS_BEAT, REDIS_DEADLINE,
    REDIS_ENTRIES_KEPT, REDIS_FILL_PAUSE, REDIS_PACE, REDIS_SNAPSHOT_BYTES_MAX,
    REDIS_SNAPSHOT_DEADLINE, REDIS_SNAPSHOT_SHARE,
};
use crate::registrar::Registrar;

/// Where the feed is put.
#[derive(Debug, Clone)]
pub struct RedisTarget {
    /// The server.
    pub place: RedisPlace,
    /// What its certificate is checked with, where the place is over TLS.
    pub tls: Option<ClientTls>,
    /// Under which keys.
    pub keys: CarrierKeys,
}

/// Why nothing could be put into Redis.
#[derive(Debug, thiserror::Error)]
enum Unpublished {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("the registrar has no feed to tell")]
    Feed(#[from] FeedError),
    #[error("the snapshot has {0} bytes, which is too much for Redis")]
    TooLarge(usize),
}

/// How far Redis is, on one connection.
struct Publisher<'a> {
    registrar: &'a Arc<Registrar>,
    keys: &'a CarrierKeys,
    redis: RedisConnection,
    /// The last change that is there; none if everything is to be put there anew.
    number: Option<u64>,
    /// The last change in the snapshot that is there.
    snapshot: u64,
    next_snapshot: Instant,
    /// Not before this is everything put there anew, whoever spoils it meanwhile.
    next_fill: Instant,
    /// Whether anything was put there at all.
    worked: bool,
}

impl Registrar {
    /// Puts the feed into Redis until the drain begins. Whatever goes wrong there, it tries again,
    /// ever more slowly.
    pub async fn publish_to_redis(self: Arc<Self>, target: RedisTarget, drain: Drain) {
        tokio::select! {
            () = drain.draining() => {}
            () = self.keep_publishing(&target) => {}
        }
    }

    async fn keep_publishing(self: &Arc<Self>, target: &RedisTarget) {
        let mut failures = 0;
        loop {
            let mut worked = false;
            let Err(error) = self.publish(target, &mut worked).await;
            if worked {
                failures = 0;
            }
            if failures == 0 {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let place = &target.place;
                tracing::warn!(%place, %error, cause, "cannot put the feed into Redis");
            }
            failures += 1;
            sleep(backoff::pause(failures, REDIS_BACKOFF_MIN, REDIS_BACKOFF_MAX)).await;
        }
    }

    /// Does not end but with an error.
    async fn publish(
        self: &Arc<Self>,
        target: &RedisTarget,
        worked: &mut bool,
    ) -> Result<std::convert::Infallible, Unpublished> {
        let redis = RedisConnection::open(&target.place, target.tls.as_ref()).await?;
        let mut publisher = Publisher {
            registrar: self,
            keys: &target.keys,
            redis,
            number: None,
            snapshot: 0,
            next_snapshot: Instant::now(),
            next_fill: Instant::now(),
            worked: false,
        };
        publisher.look().await?;
        tracing::info!(place = %target.place, number = publisher.number, "putting the feed into Redis");
        loop {
            let stepped = publisher.step().await;
            *worked |= publisher.worked;
            stepped?;
            sleep(REDIS_PACE).await;
        }
    }

    /// What of these bytes the registrar has signed as a batch of its feed: the number of the last
    /// change.
    fn own_batch(&self, bytes: &[u8]) -> Option<u64> {
        let batch: Batch = Signed::from_bytes(bytes).ok()?.open(&self.feed_key()).ok()?;
        let is_ours = batch.feed == self.book().changes().feed();
        batch.changes.last().map(|change| change.number).filter(|_| is_ours)
    }

    fn own_checkpoint(&self, bytes: &[u8]) -> Option<u64> {
        let checkpoint: Checkpoint = Signed::from_bytes(bytes).ok()?.open(&self.feed_key()).ok()?;
        (checkpoint.feed == self.book().changes().feed()).then_some(checkpoint.number)
    }

    /// The newest word, as of a batch: whoever knows its changes knows all.
    fn word_of(&self, batch: &Batch) -> Result<Signed, FeedError> {
        let word = Batch { changes: Vec::new(), ..batch.clone() };
        Ok(Signed::of(&word, &self.signing)?)
    }
}

impl Publisher<'_> {
    /// What is there already, and can be gone on with.
    async fn look(&mut self) -> Result<(), Unpublished> {
        let mut questions = pipe();
        questions.cmd("EXISTS").arg(&self.keys.snapshot);
        questions.cmd("GET").arg(&self.keys.checkpoint);
        questions.cmd("XREVRANGE").arg(&self.keys.changes).arg("+").arg("-").arg("COUNT").arg(1);
        let answers = self.ask(&mut questions, 2 * SIGNED_BYTES_MAX).await?;
        self.number = None;
        let [Ok(Value::Int(1)), Ok(Value::BulkString(checkpoint)), Ok(top)] = &answers[..] else {
            return Ok(());
        };
        if let Some(checkpoint) = self.registrar.own_checkpoint(checkpoint) {
            self.snapshot = checkpoint;
            self.number = match first_entry(top) {
                // A stream that is not there has nothing to contradict the snapshot.
                None => Some(checkpoint),
                Some(top) => {
                    self.registrar.own_batch(&top.bytes).filter(|last| *last == top.number)
                }
            };
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<(), Unpublished> {
        let Some(number) = self.number else { return self.fill().await };
        let feed = self.registrar.book().changes().feed();
        match self.registrar.signed_after(feed, number, REDIS_BEAT).await? {
            SignedAnswer::Batch(signed) => self.put(&signed).await?,
            SignedAnswer::SnapshotNeeded => {
                self.number = None;
                return Ok(());
            }
        }
        match self.number {
            Some(number) if number > self.snapshot && self.next_snapshot <= Instant::now() => {
                self.renew_snapshot().await
            }
            _ => Ok(()),
        }
    }

    /// Adds a batch, if there is anything in it, and says that there is nothing after it.
    async fn put(&mut self, signed: &Signed) -> Result<(), Unpublished> {
        let batch: Batch = signed.stated().map_err(FeedError::from)?;
        let last = batch.changes.last().map(|change| change.number);
        let mut questions = pipe();
        questions.cmd("EXISTS").arg(&self.keys.snapshot);
        if let Some(last) = last {
            self.add(&mut questions, last, signed);
        }
        let word = self.registrar.word_of(&batch)?.to_bytes();
        questions.cmd("SET").arg(&self.keys.newest).arg(word);
        let answers = self.ask(&mut questions, 0).await?;
        let is_there = matches!(answers.first(), Some(Ok(Value::Int(1))));
        let is_refused = answers.iter().any(Result::is_err);
        match (is_there, is_refused) {
            // Somebody has put it there before us, or something else; or Redis is full.
            (true, true) => self.look_again(answers).await?,
            (true, false) => self.number = last.or(self.number),
            (false, _) => {
                tracing::warn!("Redis was wiped: putting the feed there anew");
                self.number = None;
            }
        }
        self.worked |= !is_refused;
        Ok(())
    }

    async fn look_again(
        &mut self,
        answers: Vec<Result<Value, RedisError>>,
    ) -> Result<(), Unpublished> {
        let before = self.number;
        self.look().await?;
        match answers.into_iter().find_map(Result::err) {
            // Nothing is there that would have been in the way.
            Some(error) if self.number == before => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Puts everything there anew, in one step for whoever reads.
    async fn fill(&mut self) -> Result<(), Unpublished> {
        sleep_until(self.next_fill).await;
        let (snapshot, bytes) = self.snapshot_now().await?;
        let Checkpoint { feed, number, .. } = *snapshot.checkpoint();
        let after = self.registrar.signed_after(feed, number, Duration::ZERO).await?;
        // It was made a moment ago, or not even a minute.
        let SignedAnswer::Batch(signed) = after else { return Ok(()) };
        let batch: Batch = signed.stated().map_err(FeedError::from)?;
        let last = batch.changes.last().map(|change| change.number);
        let mut questions = pipe();
        questions.atomic();
        questions.cmd("DEL").arg(&self.keys.changes);
        self.set_snapshot(&mut questions, &snapshot, bytes);
        if let Some(last) = last {
            self.add(&mut questions, last, &signed);
        }
        let word = self.registrar.word_of(&batch)?.to_bytes();
        questions.cmd("SET").arg(&self.keys.newest).arg(word);
        self.put_snapshot(&mut questions, number).await?;
        self.number = Some(last.unwrap_or(number));
        tracing::info!(number = self.number, "put the whole feed into Redis");
        Ok(())
    }

    async fn renew_snapshot(&mut self) -> Result<(), Unpublished> {
        let (snapshot, bytes) = self.snapshot_now().await?;
        let number = snapshot.checkpoint().number;
        if number == self.snapshot {
            // The registrar makes the next one in less than a minute.
            self.next_snapshot = Instant::now() + REDIS_BEAT;
            return Ok(());
        }
        let mut questions = pipe();
        questions.atomic();
        self.set_snapshot(&mut questions, &snapshot, bytes);
        self.put_snapshot(&mut questions, number).await
    }

    async fn snapshot_now(&self) -> Result<(Arc<SignedSnapshot>, Vec<u8>), Unpublished> {
        let snapshot = self.registrar.signed_snapshot().await?;
        let bytes = snapshot.to_bytes();
        match bytes.len() {
            0..=REDIS_SNAPSHOT_BYTES_MAX => Ok((snapshot, bytes)),
            length => Err(Unpublished::TooLarge(length)),
        }
    }

    async fn put_snapshot(
        &mut self,
        questions: &mut Pipeline,
        number: u64,
    ) -> Result<(), Unpublished> {
        let began = Instant::now();
        let answers = self.redis.ask(questions, 0, REDIS_SNAPSHOT_DEADLINE).await?;
        if let Some(error) = answers.into_iter().find_map(Result::err) {
            return Err(error.into());
        }
        let pause = began.elapsed() * REDIS_SNAPSHOT_SHARE;
        self.next_snapshot = Instant::now() + pause.max(CHECKPOINT_EVERY);
        self.next_fill = Instant::now() + pause.max(REDIS_FILL_PAUSE);
        self.snapshot = number;
        self.worked = true;
        Ok(())
    }

    fn set_snapshot(&self, questions: &mut Pipeline, snapshot: &SignedSnapshot, bytes: Vec<u8>) {
        questions.cmd("SET").arg(&self.keys.snapshot).arg(bytes);
        let checkpoint = snapshot.signed().to_bytes();
        questions.cmd("SET").arg(&self.keys.checkpoint).arg(checkpoint);
    }

    fn add(&self, questions: &mut Pipeline, last: u64, signed: &Signed) {
        let xadd = questions.cmd("XADD").arg(&self.keys.changes);
        xadd.arg("MAXLEN").arg("~").arg(REDIS_ENTRIES_KEPT).arg(CarrierKeys::entry_id(last));
        xadd.arg(CarrierKeys::FIELD).arg(signed.to_bytes());
    }

    async fn ask(
        &mut self,
        questions: &mut Pipeline,
        bytes_max: usize,
    ) -> Result<Vec<Result<Value, RedisError>>, RedisError> {
        self.redis.ask(questions, bytes_max, REDIS_DEADLINE).await
    }
}
