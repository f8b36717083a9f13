//! A real `warren up` or `warren directory serve`, and a plain client of the line protocol, for tests
//! and benchmarks.
//!
//! **For:** treating the program as its users do: as a process, over TLS, through its own CLI.
//! **Owns:** starting and ending those processes, ports that tests do not share, a blocking client.
//! **Never:** imports a part of the product: what is tested here is what is shipped.
//!
//! This crate serves tests only, so it panics where a test would.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod certificate;
mod line_client;
pub mod namespace;
mod patroni;
mod ports;
mod postgres;
mod process;
mod random;
mod redis;
mod replica;
mod source;
mod tenant;

use std::time::Duration;

pub use certificate::Certificate;
pub use line_client::{LineClient, client_config, cram_digest};
pub use patroni::Patroni;
pub use ports::Ports;
pub use postgres::PostgresServer;
pub use process::{Endpoints, Warren, log_of, resident_bytes, up_command};
pub use random::Random;
pub use redis::RedisServer;
pub use replica::{Replica, build_snapshot};
pub use source::Source;
pub use tenant::Tenant;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);
