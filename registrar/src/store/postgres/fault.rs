//! What keeps a registrar from its PostgreSQL: for now, or for good.

use net::postgres::PostgresError;

/// Why a registrar writes no more: going on could give a name twice or an epoch again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// Another registrar has opened the store since.
    #[error(
        "another registrar has taken over the store (it has writer epoch {found}, this one {own})"
    )]
    Fenced {
        /// With which this one writes.
        own: i64,
        /// The one that may write now.
        found: i64,
    },
    /// The database is an older one: writes that were acknowledged are not in it.
    #[error(
        "PostgreSQL has lost writes that it acknowledged: its last one is number {found:?}, and \
         number {acknowledged} was acknowledged"
    )]
    WentBack {
        /// The last one that was.
        acknowledged: i64,
        /// The last one that is there; none where there is no store at all.
        found: Option<i64>,
    },
    /// It would say of a write that is not on a disk that it is.
    #[error(
        "PostgreSQL does not make a write durable before it acknowledges it: {setting} is {found}"
    )]
    NotDurable {
        /// The setting.
        setting: &'static str,
        /// What it is.
        found: String,
    },
    /// Made by a newer program.
    #[error("the store in PostgreSQL has format {found}, this program reads up to {known}")]
    Version {
        /// Its format.
        found: i32,
        /// The newest that is known here.
        known: i32,
    },
    /// The disk beside this registrar does not take what is written.
    #[error("the registrar's store cannot be written: {0}")]
    Failed(String),
    /// What carried the questions to PostgreSQL has ended.
    #[error("the store is closed")]
    Closed,
}

/// Why the store in PostgreSQL cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    /// It may not be used.
    #[error(transparent)]
    Fault(#[from] StoreFault),
    /// It does not answer, or not as it should.
    #[error("the registrar's store in PostgreSQL cannot be opened")]
    Postgres(#[from] PostgresError),
    /// Another registrar is at work there.
    #[error("another registrar has the store in PostgreSQL open")]
    Held,
    /// It is another server's copy.
    #[error("none of the servers of PostgreSQL takes writes")]
    ReadOnly,
    /// The thread that talks to it cannot be started.
    #[error("the system gives no thread for PostgreSQL")]
    Thread(#[from] std::io::Error),
}

impl StoreOpenError {
    /// Whether trying again soon may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Held | Self::ReadOnly => true,
            Self::Postgres(error) => error.may_pass(),
            Self::Fault(_) | Self::Thread(_) => false,
        }
    }
}
