//! The store beside the registrar: one sealed log, its index in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use storage::{Commit, CommitError, Failure, SyncJob};
use tokio::sync::Notify;

use super::{Batch, StoreFault};
use crate::error::LedgerError;
use crate::limits::EMBEDDED_LOOK_EVERY;

/// Blocking calls say so; the others touch the disk for one record at most.
pub struct Embedded {
    store: Arc<storage::Store>,
    has_failed: AtomicBool,
    failure: Notify,
}

pub struct Appended {
    commit: Commit,
    sync: Option<SyncJob>,
}

impl Embedded {
    pub fn new(store: storage::Store) -> Self {
        Self { store: Arc::new(store), has_failed: AtomicBool::new(false), failure: Notify::new() }
    }

    pub fn is_sound(&self) -> bool {
        !self.has_failed.load(Ordering::Acquire)
    }

    pub fn run(&self) -> u64 {
        self.store.epoch().number()
    }

    /// A write notices by itself; who writes nothing looks now and then.
    pub async fn failed(&self) -> StoreFault {
        loop {
            let store = Arc::clone(&self.store);
            let look = tokio::task::spawn_blocking(move || store.check_epoch()).await;
            if let Ok(Err(error)) = look {
                self.note(&error);
                return fault(&error);
            }
            let failure = self.failure.notified();
            if self.is_sound() {
                drop(tokio::time::timeout(EMBEDDED_LOOK_EVERY, failure).await);
            }
        }
    }

    pub fn append(&self, batch: Batch) -> Result<Appended, LedgerError> {
        let appended = self.store.append(sealed(&batch));
        let (commit, sync) = appended.inspect_err(|error| self.note(error))?;
        Ok(Appended { commit, sync })
    }

    pub async fn durable(&self, appended: Appended) -> Result<(), LedgerError> {
        if let Some(sync) = appended.sync {
            // Dropping the handle lets the job run on: others wait for what it makes durable.
            drop(tokio::task::spawn_blocking(move || sync.run()));
        }
        appended.commit.await.inspect_err(|error| self.note(error))?;
        Ok(())
    }

    pub async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        let Some(value) = self.store.get(key)? else { return Ok(None) };
        self.store.durable(value.seq).await.inspect_err(|error| self.note(error))?;
        Ok(Some(value.bytes))
    }

    /// Blocking.
    pub fn for_each(
        &self,
        prefix: &[u8],
        take: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), LedgerError> {
        Ok(self.store.for_each(prefix, take)?)
    }

    /// Blocking.
    pub fn write_blocking(&self, batch: Batch) -> Result<(), LedgerError> {
        self.store.commit_blocking(sealed(&batch))?;
        Ok(())
    }

    pub async fn maintain(&self) {
        let store = Arc::clone(&self.store);
        let outcome = tokio::task::spawn_blocking(move || store.maintain()).await;
        if let Ok(Err(error)) = outcome {
            tracing::warn!(%error, "the registrar's store cannot be compacted");
        }
    }

    /// Most failures mean that nothing was written. After the others only a restart tells what was.
    fn note(&self, error: &CommitError) {
        if matches!(error, CommitError::Stopped(_) | CommitError::Closed) {
            self.has_failed.store(true, Ordering::Release);
            self.failure.notify_waiters();
        }
    }
}

fn fault(error: &CommitError) -> StoreFault {
    match error {
        CommitError::Stopped(Failure::Fenced { own, opened }) => StoreFault::Fenced {
            own: i64::try_from(own.number()).unwrap_or(i64::MAX),
            found: i64::try_from(opened.number()).unwrap_or(i64::MAX),
        },
        CommitError::Stopped(failure) => StoreFault::Failed(failure.to_string()),
        _ => StoreFault::Closed,
    }
}

fn sealed(batch: &Batch) -> storage::Batch {
    let mut sealed = storage::Batch::new();
    for (key, value) in batch.iter() {
        match value {
            Some(value) => sealed.put(key, value),
            None => sealed.delete(key),
        };
    }
    sealed
}
