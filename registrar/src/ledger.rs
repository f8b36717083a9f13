//! The registrar's records in its store: names and changes in, durability out.

use protocol::AtSign;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::LedgerError;
use crate::names::NameRecord;
use crate::records::{self, ChangeRecord, Meta};
pub(crate) use crate::store::Appended;
use crate::store::{Batch, Store, StoreFault};

/// The records, whatever keeps them. Blocking calls say so.
pub(crate) struct Ledger {
    store: Store,
}

impl Ledger {
    pub(crate) fn new(store: Store) -> Self {
        Self { store }
    }

    /// Whether every write so far became durable, or still may.
    pub(crate) fn is_sound(&self) -> bool {
        self.store.is_sound()
    }

    /// Whether the store answers.
    pub(crate) fn in_reach(&self) -> Result<(), LedgerError> {
        self.store.in_reach()
    }

    /// Returns once the store has been silent for a while, or takes nothing more.
    pub(crate) async fn out_of_reach(&self) -> LedgerError {
        self.store.out_of_reach().await
    }

    /// Returns once nothing more can be saved, and why.
    pub(crate) async fn failed(&self) -> StoreFault {
        self.store.failed().await
    }

    /// Returns once the store takes nothing more from this registrar.
    pub(crate) async fn stopped(&self) -> StoreFault {
        self.store.stopped().await
    }

    /// Appends a name's record and what goes with it into the feed; all of it or nothing.
    pub(crate) fn append(
        &self,
        name: &AtSign,
        record: &NameRecord,
        change: Option<(u64, &ChangeRecord)>,
        outdated: Option<u64>,
    ) -> Result<Appended, LedgerError> {
        let mut batch = Batch::default();
        put(&mut batch, records::name_key(name), record)?;
        if let Some((number, change)) = change {
            put(&mut batch, records::change_key(number), change)?;
        }
        if let Some(number) = outdated {
            batch.delete(records::change_key(number));
        }
        self.store.append(batch)
    }

    /// Appends one record under its key.
    pub(crate) fn put(
        &self,
        key: Vec<u8>,
        record: &impl Serialize,
    ) -> Result<Appended, LedgerError> {
        let mut batch = Batch::default();
        put(&mut batch, key, record)?;
        self.store.append(batch)
    }

    /// Appends some records under their keys, and takes those away that are none; all of it or nothing.
    pub(crate) fn put_all(
        &self,
        records: &[(Vec<u8>, Option<impl Serialize>)],
    ) -> Result<Appended, LedgerError> {
        let mut batch = Batch::default();
        for (key, record) in records {
            match record {
                Some(record) => put(&mut batch, key.clone(), record)?,
                None => batch.delete(key.clone()),
            }
        }
        self.store.append(batch)
    }

    /// The record under a key, once it is durable.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        key: &[u8],
    ) -> Result<Option<T>, LedgerError> {
        let value = self.store.get(key).await?;
        value.map(|bytes| Ok(records::decode(key, &bytes)?)).transpose()
    }

    /// Takes the record under a key away.
    pub(crate) fn delete(&self, key: Vec<u8>) -> Result<Appended, LedgerError> {
        let mut batch = Batch::default();
        batch.delete(key);
        self.store.append(batch)
    }

    /// Which opening of the store this is: higher than every one before, wherever those were.
    pub(crate) fn run(&self) -> u64 {
        self.store.run()
    }

    /// Waits until what was appended is durable.
    pub(crate) async fn durable(&self, appended: Appended) -> Result<(), LedgerError> {
        self.store.durable(appended).await
    }

    /// The record of `name`, once it is durable.
    pub(crate) async fn name(&self, name: &AtSign) -> Result<Option<NameRecord>, LedgerError> {
        let key = records::name_key(name);
        let value = self.store.get(&key).await?;
        value.map(|bytes| Ok(records::decode(&key, &bytes)?)).transpose()
    }

    /// What the store belongs to. Blocking.
    pub(crate) fn meta(&self) -> Result<Option<Meta>, LedgerError> {
        let mut meta = None;
        self.all(records::META_KEY, |_, found: Meta| {
            meta = Some(found);
            Ok(())
        })?;
        Ok(meta)
    }

    /// Begins another feed, without changes. Blocking.
    pub(crate) fn begin_feed(&self, meta: &Meta) -> Result<(), LedgerError> {
        let mut batch = Batch::default();
        put(&mut batch, records::META_KEY.to_vec(), meta)?;
        self.store.for_each(records::CHANGE_PREFIX, &mut |key, _| batch.delete(key.to_vec()))?;
        self.store.write_blocking(batch)
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
        self.store.maintain().await;
    }
}

fn put(batch: &mut Batch, key: Vec<u8>, value: &impl Serialize) -> Result<(), LedgerError> {
    let value = records::encode(&key, value)?;
    batch.put(key, value);
    Ok(())
}
