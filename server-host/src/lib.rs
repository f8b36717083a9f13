//! The agent on one machine of a swarm: it runs personal servers.
//!
//! **For:** bringing up the servers that are placed here, very many in one [`Cell`]; waking a
//! server when its first connection arrives and putting it to sleep when nobody needs it.
//! **Owns:** which servers are here and whether each is asleep, waking, awake or settling down.
//! **Never:** decides where a server runs (the registrar does), answers where one is (the directory
//! does), listens on an identity's port (the router does), or keeps state of its own on a disk, but
//! for the note that a server must be woken because something waits in it (`reminders`).
//!
//! A sleeping server has no task, no thread, no file handle and no buffer; it is one entry of a
//! table, or of two while it has undelivered notifications.

mod cell;
mod door;
mod error;
pub mod follow;
mod limits;
mod looks;
mod reminders;
mod settle;
mod shelf;
mod wake;

pub use cell::{Cell, CellConfig, CellCounters, Resident};
pub use door::Door;
pub use error::CellError;
