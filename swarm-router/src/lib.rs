//! Carries a connection to the server it is meant for, and never looks inside.
//!
//! **For:** listening on the identities' ports, very many of them, and handing each connection to
//! the [`Backend`] that its route names. In one process that is the cell itself, which wakes the
//! server and holds the client meanwhile; between machines it is the [`Forwarder`], which carries
//! the connection to the cell and says on whose behalf. TLS passes through and ends there.
//! **Owns:** the route table (port → volume, name → volume), the listening sockets, and what is known of where
//! cells are (volume → cell → address), which a [`Follower`] hears from the registrar.
//! Where a swarm has names, one port leads to all: there a connection waits until the name that its
//! ClientHello asks for has come. It is peeked at, and the server gets every byte of it.
//! **Never:** holds an identity's key, terminates TLS, looks at a byte of a conversation, opens a
//! volume, or decides where something runs.
//!
//! One thread polls all listeners. A route costs a socket and a few dozen bytes, or the bytes alone
//! where its port is [redirected](Redirect) to the socket of a whole range: no task, no thread, no
//! buffer. The table's lock is held for a look-up and an `accept`, never across a wait.
//! A connection that is carried costs a small task and two sockets; a buffer only while one side does
//! not take what the other sends, and a pipe only while much flows.
//!
//! **How it fails:** without the registrar everything stays as it was last told. A cell that is gone
//! costs its own clients up to [`HOLD_MAX`](limits::HOLD_MAX), and nobody else anything.

mod budget;
mod doors;
mod follow;
mod forward;
mod guests;
mod known;
mod last_routes;
pub mod limits;
mod listen;
mod names;
mod names_listener;
pub mod peek_hello;
mod peeks;
mod pipes;
mod polling;
mod redirect;
mod relay;
mod route_table;
mod source;
mod trace;

pub use budget::{Budget, ConnectionPermit, Outcome};
pub use follow::{Follower, FollowerStatus};
pub use forward::{Forwarder, ForwarderCounters};
pub use known::NewsError;
pub use last_routes::{LastRoutes, LastRoutesError};
pub use limits::{CONNECTIONS_MAX, PEEKS_MAX};
pub use listen::{Arrival, Backend, Router, RouterCounters, RouterOptions};
pub use names::Names;
pub use names_listener::{NamesCounters, NamesListener};
pub use redirect::{Redirect, RedirectError};
pub use route_table::{PortState, RouteError};
pub use source::{Asked, HttpsRoutes, RouteSource};
pub use trace::{Entrance, Knowledge, Trace, Way};
