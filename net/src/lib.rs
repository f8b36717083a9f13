//! The half of a warren that touches the world: sockets, TLS, clocks, logs and metrics.
//!
//! **For:** giving every daemon the same accept loop, handshake, line connection, outgoing
//! connection, small HTTPS pair, connection to Redis and PostgreSQL, and orderly end, each with its
//! limits and deadlines built in; what a machine says about itself ([`machine`]).
//! **Owns:** every socket of the project ([`accept`], [`dial`], [`https`]), every reading of a
//! clock ([`clock`]), the TLS provider and the private CA ([`tls`]), what a process logs and
//! measures ([`telemetry`]).
//! **Never:** knows a verb, an identity's data or another daemon. Never waits without a deadline,
//! never holds more for a peer than a named limit ([`limits`]), never lets a peer's bytes into a
//! log, and depends on no process-wide default of the TLS library.
//!
//! **How it fails:** a connection that misbehaves is closed and counted by reason, without a log
//! line; a mistake of the operator (a certificate file, a port) is an error that names its fix.

pub mod accept;
mod allowance;
pub mod background;
pub mod backoff;
pub mod block;
pub mod clock;
pub mod dial;
mod dial_target;
pub mod drain;
pub mod gate;
pub mod handover;
pub mod handshake;
pub mod https;
pub mod limits;
pub mod line_conn;
pub mod lookup;
pub mod machine;
pub mod postgres;
pub mod preface;
pub mod probe;
pub mod reach;
pub mod redis;
mod rooms;
#[cfg(feature = "sim")]
pub mod sim;
pub mod socket;
pub mod telemetry;
pub mod tls;
mod turns;
pub mod udp;
pub mod unix_http;

pub use rustls_pki_types::CertificateDer;
