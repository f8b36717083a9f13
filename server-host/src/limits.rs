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

/// Connections of routers whose preface is not read yet; a router is one address.
pub const DOOR: AcceptLimits = AcceptLimits {
    connections_max: 4_096,
    handshakes_max: 4_096,
    per_address_max: 1_024,
    handshake_deadline: Duration::from_secs(5),
};

/// How long a client waits who comes before a new cell knows who lives in it.
pub const READY_PATIENCE: Duration = Duration::from_secs(5);

/// Servers that one cell takes, and orders that it has under way.
pub const RESIDENTS_MAX: usize = 200_000;

/// Volumes that are made, let go of or removed at once.
pub const ORDERS_AT_ONCE: usize = 16;

/// How long a cell asks its registrar to wait for something new.
pub const ROSTER_WAIT: Duration = Duration::from_secs(25);

/// Between two questions for the roster there is at least this.
pub const ROSTER_TURN_MIN: Duration = Duration::from_millis(100);

/// For the registrar's answer beyond what it was asked to wait.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes of a roster: [`RESIDENTS_MAX`] with long names.
pub const ROSTER_BYTES_MAX: usize = 96 * 1024 * 1024;

/// How often a cell tells how it goes; what was done it tells at once.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// The first pause after the registrar was of no use; it doubles…
pub const ASK_PAUSE_MIN: Duration = Duration::from_millis(200);

/// …up to this.
pub const ASK_PAUSE_MAX: Duration = Duration::from_secs(10);
