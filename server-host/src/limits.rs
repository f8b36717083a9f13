//! Every limit of a cell.

use std::time::Duration;

use net::accept::AcceptLimits;

/// Connections of all servers of a cell together, and their handshakes. The descriptors of ten
/// thousand listeners must still find room beside them.
pub const GATE: AcceptLimits = AcceptLimits {
    connections_max: 12_288,
    handshakes_max: 256,
    per_address_max: 2_048,
    handshake_deadline: Duration::from_secs(10),
};

/// From the end of a client's handshake to her server being awake.
pub const WAKE_DEADLINE: Duration = Duration::from_secs(10);

/// Servers being opened from the volume at once: each takes a thread of the blocking pool.
pub const WAKES_MAX: usize = 32;

/// How often a cell looks for servers that nobody needs.
pub const SLEEP_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a refusal may take to be written to a client whose server cannot wake.
pub const REFUSAL_DEADLINE: Duration = Duration::from_secs(2);

/// How long a closing cell waits for its servers to settle.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(10);

/// How long a server that was only probed may take to be let go of.
pub const REST_PATIENCE: Duration = Duration::from_millis(500);

/// A server whose next delivery is due later than this sleeps until then.
pub const NAP_MIN: Duration = Duration::from_secs(10);

/// Servers that are woken at once because something waits in them, in each round of
/// [`SLEEP_CHECK_INTERVAL`].
pub const REMINDED_A_ROUND_MAX: usize = 128;

/// When a server is woken again that has something waiting and could not be opened, or whose store
/// had stopped.
pub const REMINDED_AFTER_FAILURE: Duration = Duration::from_secs(600);

/// How often the watermarks are synced while somebody is awake.
pub const WATERMARK_SYNC_INTERVAL: Duration = Duration::from_secs(5);

/// How often a cell looks whether the stores of those who are awake were opened elsewhere.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Such looks at once: each takes a thread of the blocking pool.
pub const LOOKS_MAX: usize = 16;
