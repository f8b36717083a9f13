//! Connections to a Redis server: over our own TLS, each question with a deadline and a size.
//!
//! What the server says is as little to be trusted as any peer: an answer that grows past what was
//! allowed for it breaks the connection, and its words do not reach a log.

mod connection;
mod entry;
mod place;

pub use ::redis::{Pipeline, Value, pipe};
pub use connection::{RedisConnection, RedisError};
pub use entry::{Entry, first_entry};
pub use place::{RedisPlace, RedisPlaceError};
