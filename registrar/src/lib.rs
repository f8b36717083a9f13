//! The registrar: the only writer of names.
//!
//! **For:** giving a person an identity. It reserves the name, decides where her server goes, has
//! it created, started and proved reachable, publishes it, and hands her the activation secret.
//! Deleting goes the other way. All that the directory knows comes from its feed.
//! **Owns:** the records of names, their epochs and ports, the numbered changes, the HTTP API and the first web page.
//! **Never:** stores an activation secret, runs a server itself (it asks a [`Swarm`]), publishes a
//! name before its server answered, gives a name an epoch that it had before, or tells a change
//! that is not durable.
//!
//! **How it fails:** every step of a registration is durable before the next begins, and each may
//! be done again. After a crash anywhere [`Registrar::resume`] goes on; a step that fails for now
//! leaves the name reserved for its registration. When the store fails, nothing more is answered
//! as done until a restart. A store in PostgreSQL that is out of reach is waited for; one in which
//! another registrar has begun to write, or acknowledged writes are missing, is as good as failed.
//!
//! The core decides without waiting: `state`, `names`, `placement` (of ports), `choice` (of cells),
//! `changes` and `book` (the index of names) are values; what waits is a thin shell around them.
//! `fleet` is the same for swarms, nodes and cells, where servers run on other machines: these ask
//! it, and it calls none of them.

mod addresses;
mod book;
mod changes;
mod checkpoint;
pub mod choice;
mod deletion;
mod error;
mod feed;
mod fleet;
mod http;
mod identities;
mod ledger;
pub mod limits;
mod metrics;
mod moving;
mod names;
mod opening;
mod placement;
mod ports;
mod probe;
mod publisher;
mod records;
mod registrar;
mod registration;
mod secret;
mod state;
mod store;
mod swarm;
mod tier;
mod turns;
mod web;

pub use crate::feed::SignedAnswer;
pub use addresses::{Addressing, AddressingError};
pub use changes::FeedAnswer;
pub use deletion::Deletion;
pub use error::{DeleteError, FeedError, LedgerError, OpenError, RegisterError};
pub use fleet::{
    Cause, CellOrder, CellPatch, CellRecord, CellStart, CellState, CellView, Fleet, FleetError,
    NoRoom, NoTarget, NodeRecord, NodeView, SwarmRecord, SwarmView, UsageView,
};
pub use http::{AdminToken, AdminTokenError, FleetTokens, FrontConfig, WebRegistration};
pub use identities::{Identity, Page};
pub use moving::{Move, MoveError};
pub use names::NoEpochLeft;
pub use placement::NoPortLeft;
pub use ports::{PortRanges, PortRangesError};
pub use probe::Probe;
pub use publisher::RedisTarget;
pub use records::RecordError;
pub use registrar::{Registrar, RegistrarConfig};
pub use registration::Registered;
pub use secret::{ActivationSecret, feed_key};
pub use state::State;
pub use store::{PostgresTarget, Store, StoreFault, StoreOpenError};
pub use swarm::{BoxFuture, Step, Swarm, SwarmError, SwarmStep};
pub use tier::Tier;
