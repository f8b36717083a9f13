//! Every limit of the router.

use std::time::Duration;

/// Connections handed over and not yet ended, over all routes. One more is accepted and closed.
pub const CONNECTIONS_MAX: usize = 16_384;

/// Connections taken from one listener before the others get their turn.
pub const ACCEPTS_PER_TURN: usize = 64;

/// The kernel's queue of connections that were not accepted yet, for each port.
pub const BACKLOG: i32 = 128;

/// How long accepting pauses when the process has no descriptor left.
pub const OUT_OF_DESCRIPTORS_PAUSE: Duration = Duration::from_millis(50);

/// How often a port that something else occupies is tried again.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(1);
