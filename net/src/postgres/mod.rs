//! Connections to a PostgreSQL server: over our own TLS, each question with a deadline and a size.
//!
//! Between machines there is TLS with a checked certificate, or no connection; only on this machine
//! (a Unix socket, a loopback address) it goes without. The server's words do not reach a log: of a
//! refusal only its five-character code is kept.

mod connection;
mod place;

pub use connection::{PostgresConnection, PostgresError};
pub use place::{PostgresPlace, PostgresPlaceError, PostgresServer};
pub use tokio_postgres::Row;
pub use tokio_postgres::types::{FromSql, ToSql, Type};
