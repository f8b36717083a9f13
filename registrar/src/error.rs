//! Why the registrar did not do something.

use protocol::{AtSign, Epoch};

use crate::fleet::NoRoom;
use crate::limits::ADMITTED_MAX;
use crate::names::NoEpochLeft;
use crate::placement::NoPortLeft;
use crate::records::RecordError;
use crate::state::State;
use crate::store::StoreFault;
use crate::swarm::{Step, SwarmError};

/// The registrar's store does not do its work.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A record in it cannot be used.
    #[error("the registrar's store holds a record that cannot be used")]
    Record(#[from] RecordError),
    /// It cannot be read.
    #[error("the registrar's store cannot be read")]
    Read(#[from] storage::ReadError),
    /// A record did not become durable.
    #[error("the registrar's store cannot be written")]
    Write(#[from] storage::CommitError),
    /// PostgreSQL has not answered for a while.
    #[error("the registrar's store is out of reach")]
    OutOfReach,
    /// So much waits for PostgreSQL that nothing more is taken.
    #[error("too much waits for the registrar's store")]
    Full,
    /// This registrar must not write any more.
    #[error(transparent)]
    Stopped(#[from] StoreFault),
    /// An identity that was registered by name alone, where addresses have ports.
    #[error(
        "{0} was registered without a port of its own; --hostname was a pattern then, and has to be \
         one again"
    )]
    NoPort(AtSign),
    /// What is waited for was appended to another store.
    #[error("this was not appended to the registrar's store")]
    Foreign,
    /// A step that the table of transitions does not have. Nothing was written.
    #[error("{identity} cannot go from {from} to {to}")]
    WrongTurn {
        /// Whose name.
        identity: AtSign,
        /// The state it is in; a name that was never taken counts as retired.
        from: State,
        /// The state it was to get.
        to: State,
    },
}

/// Why the registrar cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its store does not do its work.
    #[error("the registrar's store cannot be opened")]
    Ledger(#[from] LedgerError),
    /// Two names have one port, which this program never writes.
    #[error("the registrar's store gives port {port} to {identity} and to another identity")]
    PortTwice {
        /// The second one.
        identity: AtSign,
        /// Their port.
        port: u16,
    },
    /// A change is missing among those that are kept.
    #[error("the registrar's store lacks change {0}")]
    ChangeMissing(u64),
    /// The feed's key pair cannot be made.
    #[error("the feed's key pair cannot be made")]
    FeedKey(#[from] feed::FeedKeyError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
}

/// Why a name was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The key grammar has no room for it: its owner could not write a single key.
    #[error(
        "{0} cannot own keys: clients admit ASCII letters, digits, '_', '-' and emoji, at most 55 characters"
    )]
    CannotOwnKeys(AtSign),
    /// Somebody else has it, or the same person by another registration.
    #[error("{0} is taken")]
    Taken(AtSign),
    /// It is about to become free.
    #[error("{0} is being deleted")]
    BeingDeleted(AtSign),
    /// Every port is in use.
    #[error(transparent)]
    NoPortLeft(#[from] NoPortLeft),
    /// Every cell is full.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// All servers share the one cell in this process.
    #[error("servers here are all in one process, so none can have a cell of its own")]
    OneTier,
    /// Its epochs are used up.
    #[error(transparent)]
    NoEpochLeft(#[from] NoEpochLeft),
    /// More than [`ADMITTED_MAX`] registrations wait, or the turn did not come in time.
    #[error("more than {ADMITTED_MAX} registrations wait, or one took very long")]
    Busy,
    /// The name is reserved and the registration will go on; a step of it has failed for now.
    #[error("{identity} is reserved, but the step '{step}' failed")]
    Swarm {
        /// Whose server.
        identity: AtSign,
        /// Which step.
        step: Step,
        /// What the swarm said.
        source: SwarmError,
    },
    /// The store does not do its work.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random(#[from] getrandom::Error),
    /// The registrar ended before the registration did; it goes on at the next start.
    #[error("the registrar is stopping")]
    Stopping,
}

/// Why a name was not deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// Nobody has it.
    #[error("{0} is not registered")]
    Unknown(AtSign),
    /// It has another epoch than the one that was to be deleted.
    #[error("{identity} has epoch {found}, not {expected}")]
    OtherEpoch {
        /// Whose name.
        identity: AtSign,
        /// Its epoch.
        found: Epoch,
        /// The epoch that was named.
        expected: Epoch,
    },
    /// As for [`RegisterError::Busy`].
    #[error("more than {ADMITTED_MAX} registrations wait, or one took very long")]
    Busy,
    /// The store does not do its work.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The registrar ended before the deletion did; it goes on at the next start.
    #[error("the registrar is stopping")]
    Stopping,
}

/// Why a follower of the feed gets nothing.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The newest changes do not become durable.
    #[error("the registrar's store does not take writes")]
    NotDurable,
    /// What is to be told cannot be packed or signed.
    #[error("the feed cannot be signed")]
    Unsigned(#[from] feed::SnapshotError),
    /// The registrar ends.
    #[error("the registrar is stopping")]
    Stopping,
}

impl From<feed::Forged> for FeedError {
    fn from(error: feed::Forged) -> Self {
        Self::Unsigned(error.into())
    }
}
