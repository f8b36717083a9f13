//! The orderly end: whoever works finishes, nobody begins.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Shared by all tasks of a daemon: tells them when to stop, and the daemon when they have.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    begun: CancellationToken,
    succeeded: Arc<AtomicBool>,
    since: Arc<OnceLock<Instant>>,
    tasks: TaskTracker,
}

impl Drain {
    /// Nobody is told to stop yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells everybody to come to an end. Doing it twice changes nothing.
    pub fn start(&self) {
        self.since.get_or_init(Instant::now);
        self.begun.cancel();
        self.tasks.close();
    }

    /// The same where somebody else has the listening sockets too: who comes now is his.
    pub fn start_succeeded(&self) {
        self.succeeded.store(true, Ordering::Release);
        self.start();
    }

    /// Whether somebody else goes on with what listens here.
    #[must_use]
    pub fn is_succeeded(&self) -> bool {
        self.succeeded.load(Ordering::Acquire)
    }

    /// Whether the end has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until the end begins. Safe to drop and call again.
    pub async fn draining(&self) {
        self.begun.cancelled().await;
    }

    /// Waits until the end has begun so long ago. Safe to drop and call again.
    pub async fn draining_for(&self, grace: Duration) {
        self.draining().await;
        if let Some(since) = self.since.get() {
            sleep_until(*since + grace).await;
        }
    }

    /// Starts a task that [`finished`](Self::finished) waits for. The runtime catches its panic.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.tasks.spawn(task));
    }

    /// How many tasks still run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.tasks.len()
    }

    /// After [`start`](Self::start): waits until every task is done; false when the deadline came
    /// first.
    pub async fn finished(&self, deadline: Duration) -> bool {
        tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_tasks_that_end_and_gives_up_on_those_that_do_not() {
        let drain = Drain::new();
        let inner = drain.clone();
        drain.spawn(async move {
            inner.draining().await;
            tokio::time::sleep(Duration::from_secs(2)).await;
        });
        assert!(!drain.finished(Duration::from_secs(5)).await, "nobody said stop");
        drain.start();
        drain.start();
        assert!(drain.is_draining());
        assert!(!drain.finished(Duration::from_secs(1)).await);
        assert_eq!(drain.running(), 1);
        assert!(drain.finished(Duration::from_secs(5)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_does_not_hold_up_the_end() {
        let drain = Drain::new();
        drain.spawn(async { assert!(std::hint::black_box(false), "on purpose") });
        drain.start();
        assert!(drain.finished(Duration::from_secs(1)).await);
    }
}
