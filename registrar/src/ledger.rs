//! The registrar's store: records in, durability out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::AtSign;
use serde::de::DeserializeOwned;
use storage::{Batch, Commit, CommitError, Store, SyncJob};

use crate::error::LedgerError;
use crate::names::NameRecord;
use crate::records::{self, ChangeRecord, Meta};

/// The store. Blocking calls say so; the others touch the disk for one record at most.
pub(crate) struct Ledger {
    store: Arc<Store>,
    has_failed: AtomicBool,
}

/// A batch that was appended and is not durable yet.
#[must_use = "what was appended is not durable until it is waited for"]
pub(crate) struct Appended {
    commit: Commit,
    sync: Option<SyncJob>,
}

impl Ledger {
    pub(crate) fn new(store: Store) -> Self {
        Self { store: Arc::new(store), has_failed: AtomicBool::new(false) }
    }

    /// Whether every write so far became durable.
    pub(crate) fn is_sound(&self) -> bool {
        !self.has_failed.load(Ordering::Acquire)
    }

    /// Appends a name's record and what goes with it into the feed; all of it or nothing.
    pub(crate) fn append(
        &self,
        name: &AtSign,
        record: &NameRecord,
        change: Option<(u64, &ChangeRecord)>,
        outdated: Option<u64>,
    ) -> Result<Appended, LedgerError> {
        let mut batch = Batch::new();
        put(&mut batch, &records::name_key(name), record)?;
        if let Some((number, change)) = change {
            put(&mut batch, &records::change_key(number), change)?;
        }
        if let Some(number) = outdated {
            batch.delete(&records::change_key(number));
        }
        let (commit, sync) = self.store.append(batch).inspect_err(|error| self.note(error))?;
        Ok(Appended { commit, sync })
    }

    /// Waits until what was appended is on stable storage.
    pub(crate) async fn durable(&self, appended: Appended) -> Result<(), LedgerError> {
        if let Some(sync) = appended.sync {
            // Dropping the handle lets the job run on: others wait for what it makes durable.
            drop(tokio::task::spawn_blocking(move || sync.run()));
        }
        appended.commit.await.inspect_err(|error| self.note(error))?;
        Ok(())
    }

    /// The record of `name`, once it is durable.
    pub(crate) async fn name(&self, name: &AtSign) -> Result<Option<NameRecord>, LedgerError> {
        let key = records::name_key(name);
        let Some(value) = self.store.get(&key)? else { return Ok(None) };
        self.store.durable(value.seq).await.inspect_err(|error| self.note(error))?;
        Ok(Some(records::decode(&key, &value.bytes)?))
    }

    /// What the store belongs to. Blocking.
    pub(crate) fn meta(&self) -> Result<Option<Meta>, LedgerError> {
        let value = self.store.get(records::META_KEY)?;
        value.map(|value| Ok(records::decode(records::META_KEY, &value.bytes)?)).transpose()
    }

    /// Begins another feed, without changes. Blocking.
    pub(crate) fn begin_feed(&self, meta: &Meta) -> Result<(), LedgerError> {
        let mut batch = Batch::new();
        put(&mut batch, records::META_KEY, meta)?;
        for key in self.store.keys(records::CHANGE_PREFIX) {
            batch.delete(&key);
        }
        self.store.commit_blocking(batch)?;
        Ok(())
    }

    /// Every record under `prefix` with its key. Blocking.
    pub(crate) fn all<T: DeserializeOwned>(
        &self,
        prefix: &[u8],
        mut take: impl FnMut(&[u8], T) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut outcome = Ok(());
        self.store.for_each(prefix, &mut |key, bytes| {
            if outcome.is_ok() {
                outcome = records::decode(key, bytes)
                    .map_err(LedgerError::from)
                    .and_then(|record| take(key, record));
            }
        })?;
        outcome
    }

    /// Gives back the room of what was overwritten, if it is worth it.
    pub(crate) async fn maintain(&self) {
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
        }
    }
}

fn put(batch: &mut Batch, key: &[u8], value: &impl serde::Serialize) -> Result<(), LedgerError> {
    batch.put(key, &records::encode(key, value)?);
    Ok(())
}
