//! What runs on one machine of a swarm: the agent beside its engine, and the cells in its
//! containers.
//!
//! **For:** bringing up the servers that are placed here, very many in one [`Cell`]; waking a
//! server when its first connection arrives and putting it to sleep when nobody needs it; and
//! bringing up the cells themselves, as services of a Docker Swarm ([`agent`]).
//! **Owns:** which servers are here and whether each is asleep, waking, awake or settling down; the
//! shape of a cell's service, and every word with an engine.
//! **Never:** decides where a server runs (the registrar does), answers where one is (the directory
//! does), listens on an identity's port (the router does), or keeps state of its own on a disk, but
//! for the note that a server must be woken because something waits in it (`reminders`).
//!
//! Cell and agent are two processes that never talk: the agent makes a cell's service and looks
//! whether it is still what it made; which identities live in a cell, the cell hears from the
//! registrar. An agent that is gone leaves the cells as they are.
//!
//! **How it fails:** a server that hangs or breaks off is given up and started again alone (`health`),
//! with a higher epoch; its neighbours go on. A cell that hangs as a whole is its engine's to restart.
//!
//! A sleeping server has no task, no thread, no file handle and no buffer; it is one entry of a
//! table, or of two while it has undelivered notifications.

pub mod agent;
mod cell;
mod door;
mod error;
pub mod follow;
mod health;
mod limits;
mod looks;
mod reminders;
mod settle;
mod shelf;
mod usage;
mod wake;

pub use cell::{Cell, CellConfig, CellCounters, Resident};
pub use door::Door;
pub use error::CellError;
pub use health::Patience;
