//! One personal server: what stands behind an identity and speaks for it.
//!
//! **For:** answering the atProtocol on connections that somebody else has accepted, keeping the
//! owner's keys in a store that somebody else has opened, sharing with other identities' servers,
//! and telling the owner's devices what comes.
//! **Owns:** the states of a connection, the verbs, how data are laid out in the store, the outbox,
//! the connections to peers.
//! **Never:** listens, opens files, reads a clock of its own, or answers before what the answer
//! rests on is durable. Never writes for somebody who has not proved to be the owner, but for the
//! notifications that a proven peer may leave, and the request to be enrolled of whoever has a
//! passcode of the owner's. Never shows a value or a secret to a log.
//!
//! What decides is synchronous and does not wait: `verb` reads and decides over `view` and `draft`.
//! What waits is thin: `commit` for the disk, `connection` for lines, `outbound` for peers,
//! `notify::delivery` for receivers. No lock is held over a wait.
//!
//! **How it fails:** a command gets a typed error, and the connection lives on unless the protocol
//! wants it closed. When the store stops, every answer that would need it is `AT0002`, and the host
//! opens the server anew. A panic ends one connection.
//!
//! While nobody is connected and nothing waits to be delivered, a server has no task and no socket;
//! [`Server::is_idle`] says so, and [`Server::shut`] gives the store back.

mod access_log;
mod auth;
mod backstage;
mod commit;
mod commit_log;
mod connection;
mod draft;
mod enrol;
mod expiry;
mod inlet;
mod keys;
mod limits;
mod lookout;
mod memory;
mod notify;
mod outbound;
mod provision;
mod rate;
mod records;
mod refresh;
mod refusal;
mod rights;
mod roster;
mod server;
mod session;
mod share;
mod signing;
mod tally;
mod verb;
mod view;
mod vitals;
mod world;

pub use limits::Limits;
pub use lookout::Lookout;
pub use notify::reminder::Remind;
pub use rate::Rate;
pub use server::{Hosting, Server, ServerError};
pub use tally::Tallied;
pub use vitals::Vitals;
pub use world::{PROTOCOL_VERSION, World};
