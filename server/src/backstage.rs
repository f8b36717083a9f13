//! Threads for work that is long and in no hurry. The system gives them a processor when nothing else
//! wants it, so that what they do is hardly noticed by those whose commands take microseconds.
//!
//! A runtime's own threads for blocking work would not do: they have the same priority as those that
//! answer, and on a machine with few processors a scan of 10 ms is then 10 ms of somebody's wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use thread_priority::ThreadPriority;
use thread_priority::unix::{
    NormalThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, oneshot};

type Job = Box<dyn FnOnce() + Send>;

/// So many threads, started when they are first needed.
pub(crate) struct Backstage {
    threads: usize,
    /// The threads that have nothing to do.
    free: Arc<Semaphore>,
    jobs: OnceLock<SyncSender<Job>>,
}

impl Backstage {
    pub(crate) fn new(threads: usize) -> Self {
        Self { threads, free: Arc::new(Semaphore::new(threads)), jobs: OnceLock::new() }
    }

    /// Does the work there, in its turn; nothing if it panicked. Where all runs on one thread, as in simulations, it is done at once.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
            return Some(work());
        }
        let thread = Arc::clone(&self.free).acquire_owned().await.ok()?;
        let (done, result) = oneshot::channel();
        let job = Box::new(move || {
            let _thread = thread;
            // Whoever has gone meanwhile does not want it.
            drop(done.send(work()));
        });
        self.jobs.get_or_init(|| start(self.threads)).send(job).ok()?;
        result.await.ok()
    }
}

/// The threads end when the sender is dropped.
fn start(threads: usize) -> SyncSender<Job> {
    let (sender, jobs) = sync_channel(threads);
    let jobs = Arc::new(Mutex::new(jobs));
    for _ in 0..threads {
        let jobs = Arc::clone(&jobs);
        let started = std::thread::Builder::new().name("backstage".to_owned()).spawn(move || {
            give_way();
            while let Some(job) = next(&jobs) {
                // Its caller learns of it from the result that does not come.
                drop(catch_unwind(AssertUnwindSafe(job)));
            }
        });
        if let Err(error) = started {
            tracing::error!(%error, "no thread for long work");
        }
    }
    sender
}

fn next(jobs: &Mutex<Receiver<Job>>) -> Option<Job> {
    jobs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// The thread gets what nobody else wants. A mere lower priority would not do: a thread that has just
/// begun to run may then keep its processor for some milliseconds from one that wakes up.
fn give_way() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let done = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    if let Err(error) = done {
        tracing::debug!(%error, "long work has everybody's priority");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use thread_priority::unix::thread_schedule_policy;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn work_is_done_on_a_thread_that_gives_way() {
        let backstage = Backstage::new(1);
        let policy = || thread_schedule_policy().unwrap();
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        assert_eq!(backstage.run(policy).await, Some(idle));
        assert_ne!(policy(), idle, "only that thread gives way");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_costs_its_caller_the_result_and_nobody_the_thread() {
        let backstage = Backstage::new(1);
        let broken = || -> u8 { panic!("a planted panic") };
        assert_eq!(backstage.run(broken).await, None);
        assert_eq!(backstage.run(|| 7).await, Some(7));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_nobody_waits_for_any_more_is_not_begun() {
        let backstage = Backstage::new(1);
        let ((go, gate), (begun, look)) = (sync_channel::<()>(1), sync_channel(1));
        let mut held = Box::pin(backstage.run(move || gate.recv().is_ok()));
        assert!(timeout(Duration::from_millis(10), &mut held).await.is_err());
        let mut unwanted = Box::pin(backstage.run(move || begun.send(()).is_ok()));
        assert!(timeout(Duration::from_millis(10), &mut unwanted).await.is_err());
        drop(unwanted);
        go.send(()).unwrap();
        assert_eq!(held.await, Some(true));
        assert_eq!(backstage.run(|| 7).await, Some(7), "the queue has moved on");
        assert!(look.try_recv().is_err());
    }
}
