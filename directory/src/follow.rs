//! Follows the feed, and writes the snapshot file now and then.

use std::sync::Arc;
use std::time::Duration;

use feed::{Checkpoint, Chronicle, FeedKey, Forged, SignedSnapshot, SnapshotError};
use net::backoff;
use net::drain::Drain;
use protocol::control::feed::Batch;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::apply::{Position, Refusal};
use crate::directory::Directory;
use crate::feed::{FeedAnswer, FeedError, FeedSource};
use crate::limits::{
    BACKOFF_MAX, BACKOFF_MIN, CHECKPOINT_EVERY, CHECKPOINT_PAUSE, EMPTY_PAUSE, FEED_DEADLINE,
    FEED_WAIT, SAVE_AFTER, SAVE_RETRY, SAVE_SHARE, SNAPSHOT_DEADLINE,
};
use crate::renewal::{RenewalError, is_too_much, is_worth_it};

/// Why a step in the feed was not made.
#[derive(Debug, thiserror::Error)]
enum Missed {
    #[error(transparent)]
    Feed(#[from] FeedError),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("what came as the registrar's feed is not to be believed")]
    Forged(#[from] Forged),
    #[error("what came as the registrar's snapshot is not to be believed")]
    Snapshot(#[from] SnapshotError),
    #[error("there are no changes to go on with, and the snapshot has none either")]
    NoFurther,
}

/// What a step in the feed brought.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    News,
    Nothing,
}

/// What is being done about the registrar's checkpoints.
struct Checking {
    /// When one was last asked for.
    asked: Instant,
    /// The one that is being taken over, if any is. Changes are followed meanwhile.
    renewal: Option<JoinHandle<Result<(), RenewalError>>>,
}

impl Directory {
    /// Follows this feed, believing what this key has signed, until the drain begins, and keeps the snapshot file up to date, the last
    /// time when the drain begins. Whatever goes wrong with the feed, it tries again, ever more
    /// slowly; what is known goes on being served.
    pub async fn follow(self: Arc<Self>, source: Arc<dyn FeedSource>, key: FeedKey, drain: Drain) {
        // What is known now came from the file; only what changes after this is to be saved.
        let changes = self.position();
        drain.spawn(Arc::clone(&self).keep_saving(changes, drain.clone()));
        tokio::select! {
            () = drain.draining() => {}
            () = self.keep_following(source.as_ref(), &key) => {}
        }
    }

    async fn keep_following(self: &Arc<Self>, source: &dyn FeedSource, key: &FeedKey) {
        let mut failures = 0;
        let mut checking = Checking { asked: Instant::now(), renewal: None };
        loop {
            let began = Instant::now();
            let stepped = match self.step(source, key).await {
                Ok(step) => self.check(source, key, &mut checking).await.map(|()| step),
                missed => missed,
            };
            let pause = match stepped {
                Ok(step) => {
                    if std::mem::take(&mut failures) > 0 {
                        tracing::info!("following the registrar's feed again");
                    }
                    pause_after(&step, began.elapsed())
                }
                Err(missed) => {
                    source.refused();
                    self.heard_nothing();
                    self.report(&missed, failures);
                    failures += 1;
                    backoff::pause(failures, BACKOFF_MIN, BACKOFF_MAX)
                }
            };
            sleep(pause).await;
        }
    }

    /// Asks once, and applies the answer.
    async fn step(&self, source: &dyn FeedSource, key: &FeedKey) -> Result<Step, Missed> {
        // What came from nobody's feed cannot be followed on.
        let at = (*self.position().borrow()).filter(|_| self.told().is_some());
        let Some(at) = at else { return self.start_anew(source, key).await };
        let asked = timeout(FEED_WAIT + FEED_DEADLINE, source.after(at.feed, at.number, FEED_WAIT));
        let signed = match asked.await.map_err(|_| FeedError::Deadline)?? {
            FeedAnswer::Batch(signed) => signed,
            FeedAnswer::SnapshotNeeded => {
                self.start_anew(source, key).await?;
                let is_further = *self.position().borrow() != Some(at);
                return if is_further { Ok(Step::News) } else { Err(Missed::NoFurther) };
            }
        };
        let batch: Batch = signed.open(key)?;
        match self.apply(&signed, &batch).await {
            Ok(()) if batch.changes.is_empty() => Ok(Step::Nothing),
            Ok(()) => Ok(Step::News),
            Err(refusal) if refusal.needs_snapshot() => {
                tracing::warn!(%refusal, "starting anew from the registrar's snapshot");
                self.counts.feed_refused(refusal.label());
                self.start_anew(source, key).await
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Now and then asks what the registrar says about everything, so that it can be proven to
    /// others, and what was told since does not grow for ever.
    async fn check(
        self: &Arc<Self>,
        source: &dyn FeedSource,
        key: &FeedKey,
        checking: &mut Checking,
    ) -> Result<(), Missed> {
        if let Some(renewal) = checking.renewal.take_if(|renewal| renewal.is_finished()) {
            self.end_renewal(renewal, source, key).await?;
        }
        if checking.renewal.is_some() || !self.is_check_due(checking.asked.elapsed()) {
            return Ok(());
        }
        checking.asked = Instant::now();
        if self.told().as_ref().is_some_and(|told| told.base().is_none()) {
            // A renewal came to nothing, and then there was no snapshot to be had.
            return self.start_anew(source, key).await.map(drop);
        }
        let signed = timeout(FEED_DEADLINE, source.checkpoint());
        let signed = signed.await.map_err(|_| FeedError::Deadline)??;
        let checkpoint: Checkpoint = signed.open(key)?;
        checking.renewal = Some(tokio::spawn(Arc::clone(self).renew(signed, checkpoint)));
        Ok(())
    }

    fn is_check_due(&self, since: Duration) -> bool {
        let changes = self.told().as_ref().map_or(0, Chronicle::changes);
        match changes {
            0 => false,
            _ if is_worth_it(changes, self.status().entries) => since >= CHECKPOINT_PAUSE,
            _ => since >= CHECKPOINT_EVERY,
        }
    }

    async fn end_renewal(
        &self,
        renewal: JoinHandle<Result<(), RenewalError>>,
        source: &dyn FeedSource,
        key: &FeedKey,
    ) -> Result<(), Missed> {
        if let Err(error) = renewal.await.unwrap_or_else(|broken| Err(broken.into())) {
            // What is served was signed, but not all of it can be true.
            tracing::error!(%error, "the registrar contradicts itself: starting anew");
            self.counts.feed_refused("other_root");
            return self.start_anew(source, key).await.map(drop);
        }
        let changes = self.told().as_ref().map_or(0, Chronicle::changes);
        if is_too_much(changes, self.status().entries) {
            tracing::warn!("the registrar gives no later checkpoint: starting anew");
            self.start_anew(source, key).await?;
        }
        Ok(())
    }

    async fn start_anew(&self, source: &dyn FeedSource, key: &FeedKey) -> Result<Step, Missed> {
        let asked = timeout(SNAPSHOT_DEADLINE, source.snapshot());
        let bytes = asked.await.map_err(|_| FeedError::Deadline)??;
        let key = *key;
        // A large one takes seconds to check.
        let opened = tokio::task::spawn_blocking(move || SignedSnapshot::open(&bytes, &key));
        let snapshot = opened.await.map_err(|e| FeedError::Malformed(e.into()))??;
        let (number, entries) = (snapshot.checkpoint().number, snapshot.atlas().len());
        self.install(snapshot).await?;
        tracing::info!(number, entries, "took over the registrar's snapshot");
        Ok(Step::News)
    }

    /// Counts every miss, and logs the first of a row: the metrics tell how long it lasts.
    fn report(&self, missed: &Missed, failures: u32) {
        match missed {
            Missed::Feed(_) | Missed::NoFurther => self.counts.feed_failed(),
            Missed::Refused(refusal) => self.counts.feed_refused(refusal.label()),
            Missed::Forged(_) | Missed::Snapshot(_) => self.counts.feed_refused("forged"),
        }
        if failures == 0 {
            let cause = std::error::Error::source(missed).map(ToString::to_string);
            tracing::warn!(error = %missed, cause, "cannot follow the registrar's feed");
        }
    }

    /// Writes the file some time after the first change that it lacks.
    async fn keep_saving(
        self: Arc<Self>,
        mut position: watch::Receiver<Option<Position>>,
        drain: Drain,
    ) {
        let mut pause = SAVE_AFTER;
        let mut is_behind = false;
        while !drain.is_draining() {
            tokio::select! {
                () = drain.draining() => break,
                () = self.own_file.ours() => {}
            }
            if !is_behind {
                tokio::select! {
                    () = drain.draining() => break,
                    _ = position.changed() => is_behind = true,
                }
            }
            tokio::select! {
                () = drain.draining() => {}
                () = sleep(pause) => {
                    position.mark_unchanged();
                    let saved = self.save_now().await;
                    is_behind = saved.is_none();
                    pause = saved.map_or(SAVE_RETRY, |took| SAVE_AFTER.max(took * SAVE_SHARE));
                }
            }
        }
        if is_behind || position.has_changed().unwrap_or(false) {
            self.save_now().await;
        }
    }

    /// Writes the file for a process that starts from it and is to replace this one.
    pub async fn save_for_successor(self: &Arc<Self>) {
        self.save_now().await;
    }

    /// From now on the file is left to a successor.
    pub async fn leave_file(self: &Arc<Self>) {
        let this = Arc::clone(self);
        drop(tokio::task::spawn_blocking(move || this.own_file.leave()).await);
    }

    /// From now on the file is kept up to date here, as it is from the start unless it was left.
    pub fn keep_file(&self) {
        self.own_file.keep();
    }

    /// How long it took, if it succeeded.
    async fn save_now(self: &Arc<Self>) -> Option<Duration> {
        let began = Instant::now();
        let this = Arc::clone(self);
        match tokio::task::spawn_blocking(move || this.save()).await {
            Ok(Ok(number)) => {
                tracing::debug!(number, "saved the directory's snapshot file");
                return Some(began.elapsed());
            }
            Ok(Err(e)) => {
                let cause = std::error::Error::source(&e).map(ToString::to_string);
                tracing::error!(error = %e, cause, "cannot save the directory's snapshot file");
            }
            Err(_) => tracing::error!("saving the directory's snapshot file panicked"),
        }
        None
    }
}

/// News may have more behind them; a feed that says "nothing" at once did not wait as asked.
fn pause_after(step: &Step, took: Duration) -> Duration {
    match step {
        Step::News => Duration::ZERO,
        Step::Nothing => EMPTY_PAUSE.saturating_sub(took),
    }
}
