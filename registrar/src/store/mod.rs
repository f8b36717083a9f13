//! Where the registrar's records are kept, as bytes: in a sealed log beside it, or in PostgreSQL.
//!
//! Both give the same: a batch is written whole or not at all, batches become durable in the order
//! in which they were appended, what is read is durable, and after a failure of which nobody can
//! say what it left behind, nothing more is taken.

mod batch;
mod embedded;
mod postgres;

pub(crate) use batch::Batch;
use embedded::Embedded;
use postgres::Postgres;
pub use postgres::{PostgresTarget, StoreFault, StoreOpenError};

use crate::error::LedgerError;

/// A store that is open. One registrar has it at a time.
pub struct Store(Kind);

enum Kind {
    Embedded(Embedded),
    Postgres(Postgres),
}

/// A batch that was appended and is not durable yet.
#[must_use = "what was appended is not durable until it is waited for"]
pub(crate) struct Appended(Awaited);

enum Awaited {
    Embedded(embedded::Appended),
    Postgres(postgres::Appended),
}

impl From<storage::Store> for Store {
    fn from(store: storage::Store) -> Self {
        Self(Kind::Embedded(Embedded::new(store)))
    }
}

impl Store {
    /// Opens the store in a PostgreSQL database, which is made there if it is new. Whoever had it
    /// open before can write no more. Blocking.
    ///
    /// # Errors
    /// [`StoreOpenError`].
    pub fn postgres(target: PostgresTarget) -> Result<Self, StoreOpenError> {
        Ok(Self(Kind::Postgres(Postgres::open(target)?)))
    }

    /// Whether every write so far became durable, or still may.
    pub(crate) fn is_sound(&self) -> bool {
        match &self.0 {
            Kind::Embedded(store) => store.is_sound(),
            Kind::Postgres(store) => store.is_sound(),
        }
    }

    /// Whether it answers: it has not been silent for a while.
    pub(crate) fn in_reach(&self) -> Result<(), LedgerError> {
        match &self.0 {
            Kind::Embedded(_) => Ok(()),
            Kind::Postgres(store) => store.in_reach(),
        }
    }

    /// Returns once it has been silent for a while, or takes nothing more.
    pub(crate) async fn out_of_reach(&self) -> LedgerError {
        match &self.0 {
            Kind::Embedded(_) => std::future::pending().await,
            Kind::Postgres(store) => store.out_of_reach().await,
        }
    }

    /// Returns once it takes nothing more because another registrar writes, or what was written is
    /// lost.
    pub(crate) async fn stopped(&self) -> StoreFault {
        match &self.0 {
            Kind::Embedded(_) => std::future::pending().await,
            Kind::Postgres(store) => store.stopped().await,
        }
    }

    /// Returns once it takes nothing more, whatever the reason. Finds out by itself where somebody
    /// else has opened it.
    pub(crate) async fn failed(&self) -> StoreFault {
        match &self.0 {
            Kind::Embedded(store) => store.failed().await,
            Kind::Postgres(store) => store.stopped().await,
        }
    }

    /// Its writer's epoch.
    pub(crate) fn run(&self) -> u64 {
        match &self.0 {
            Kind::Embedded(store) => store.run(),
            Kind::Postgres(store) => store.run(),
        }
    }

    /// Puts a batch behind all others, without waiting.
    pub(crate) fn append(&self, batch: Batch) -> Result<Appended, LedgerError> {
        Ok(Appended(match &self.0 {
            Kind::Embedded(store) => Awaited::Embedded(store.append(batch)?),
            Kind::Postgres(store) => Awaited::Postgres(store.append(batch)?),
        }))
    }

    /// Waits until what was appended is durable.
    pub(crate) async fn durable(&self, appended: Appended) -> Result<(), LedgerError> {
        match (&self.0, appended.0) {
            (Kind::Embedded(store), Awaited::Embedded(appended)) => store.durable(appended).await,
            (Kind::Postgres(store), Awaited::Postgres(appended)) => store.durable(appended).await,
            (Kind::Embedded(_), Awaited::Postgres(_))
            | (Kind::Postgres(_), Awaited::Embedded(_)) => Err(LedgerError::Foreign),
        }
    }

    /// The value under `key`, once it is durable.
    pub(crate) async fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, LedgerError> {
        match &self.0 {
            Kind::Embedded(store) => store.get(key).await,
            Kind::Postgres(store) => store.get(key).await,
        }
    }

    /// Every record whose key begins with `prefix`, in the order of the keys. Blocking.
    pub(crate) fn for_each(
        &self,
        prefix: &[u8],
        take: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), LedgerError> {
        match &self.0 {
            Kind::Embedded(store) => store.for_each(prefix, take),
            Kind::Postgres(store) => store.for_each(prefix, take),
        }
    }

    /// Writes a batch and waits until it is durable. Blocking.
    pub(crate) fn write_blocking(&self, batch: Batch) -> Result<(), LedgerError> {
        match &self.0 {
            Kind::Embedded(store) => store.write_blocking(batch),
            Kind::Postgres(store) => store.write_blocking(batch),
        }
    }

    /// Gives back the room of what was overwritten, where that is not done without us.
    pub(crate) async fn maintain(&self) {
        if let Kind::Embedded(store) = &self.0 {
            store.maintain().await;
        }
    }
}
