//! Carries a connection to the server it is meant for, and never looks inside.
//!
//! **For:** listening on the identities' ports, very many of them, and handing each connection to
//! the [`Backend`] that its route names. The backend wakes the server and holds the client
//! meanwhile; TLS passes through and ends there.
//! **Owns:** the route table (port → volume) and the listening sockets.
//! **Never:** holds a key, terminates TLS, reads a byte of a conversation, opens a volume, or
//! decides where something runs.
//!
//! One thread polls all listeners. A route costs a socket and a few dozen bytes: no task, no
//! thread, no buffer. The table's lock is held for a look-up and an `accept`, never across a wait.

mod limits;
mod listen;
mod route_table;

pub use limits::CONNECTIONS_MAX;
pub use listen::{Arrival, Backend, ConnectionPermit, Router, RouterCounters};
pub use route_table::RouteError;
