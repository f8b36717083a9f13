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

/// For one call to the engine.
pub const ENGINE_DEADLINE: Duration = Duration::from_secs(10);

/// Bytes of one answer of the engine: ten thousand services have some forty million.
pub const ENGINE_ANSWER_BYTES_MAX: usize = 96 * 1024 * 1024;

/// Characters that are kept of what an engine says went wrong.
pub const ENGINE_MESSAGE_CHARS_MAX: usize = 200;

/// After so many failures in a row an engine is left alone for a while…
pub const ENGINE_FAILURES_MAX: u32 = 3;
/// …at first for this long…
pub const ENGINE_REST_MIN: Duration = Duration::from_secs(1);
/// …and in the end for this long.
pub const ENGINE_REST_MAX: Duration = Duration::from_secs(30);

/// How often the agent compares what there is with what there is to be.
pub const ROUND_INTERVAL: Duration = Duration::from_secs(10);

/// Changes that the agent makes in one round; the next round makes the next ones.
pub const ACTIONS_A_ROUND_MAX: usize = 256;

/// For handing a report to the registrar.
pub const REPORT_DEADLINE: Duration = Duration::from_secs(5);

/// How long the registrar may keep a question for news of the plan waiting.
pub const PLAN_WAIT: Duration = Duration::from_secs(4);
/// For the whole question.
pub const PLAN_DEADLINE: Duration = Duration::from_secs(9);
/// Between two questions that failed, at first…
pub const PLAN_PAUSE_MIN: Duration = Duration::from_millis(500);
/// …and in the end.
pub const PLAN_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long a line about something that was not as it should be is told.
pub const DRIFT_TOLD: Duration = Duration::from_secs(300);
/// Lines of drift that are kept.
pub const DRIFT_LINES_MAX: usize = 256;
/// Characters of such a line.
pub const DRIFT_LINE_CHARS_MAX: usize = 300;

/// From the signal that ends a cell to the one that kills it.
pub const CELL_STOP_GRACE: Duration = Duration::from_secs(10);
/// Before a cell that ended is started again.
pub const CELL_RESTART_PAUSE: Duration = Duration::from_secs(1);
/// How long a new version of a cell must live to count as good.
pub const CELL_WATCH: Duration = Duration::from_secs(20);
/// How often a cell is asked for its health…
pub const CELL_HEALTH_INTERVAL: Duration = Duration::from_secs(3);
/// …how long it may take to answer…
pub const CELL_HEALTH_TIMEOUT: Duration = Duration::from_secs(3);
/// …how often in a row it may fail to…
pub const CELL_HEALTH_RETRIES: i64 = 3;
/// …and for how long after its start that counts for nothing.
pub const CELL_START_PERIOD: Duration = Duration::from_secs(20);
/// Bytes of a cell's own room, for watermarks and the like.
pub const CELL_SCRATCH_BYTES: i64 = 256 * 1024 * 1024;
/// Threads of a cell.
pub const CELL_PIDS_MAX: i64 = 2_048;

/// How often a cell examines those who are awake.
pub const HEALTH_INTERVAL: Duration = Duration::from_secs(1);
/// A store that is at one step for longer than this, while something waits for it, hangs.
pub const STORE_PATIENCE: Duration = Duration::from_secs(10);
/// A command that takes longer hangs: no sound one can, whoever it asks.
pub const COMMAND_PATIENCE: Duration = Duration::from_secs(240);
/// A store that takes longer to open hangs.
pub const OPEN_PATIENCE: Duration = Duration::from_secs(30);
/// A server that takes longer to end hangs.
pub const SHUT_PATIENCE: Duration = Duration::from_secs(30);
/// A server that was given up is started again at once, the second time after this; it doubles…
pub const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// …up to this…
pub const RESTART_PAUSE_MAX: Duration = Duration::from_secs(8);
/// …and one that is given up more often than this…
pub const RESTARTS_MAX: usize = 5;
/// …within this time…
pub const RESTARTS_WINDOW: Duration = Duration::from_secs(600);
/// …is left asleep for this long.
pub const QUARANTINE: Duration = Duration::from_secs(600);
/// Servers that were given up and still hang in something, in one cell; beyond that there is no
/// second try for anybody.
pub const LOST_MAX: usize = 32;
/// Servers that did not get on, in one report.
pub const REPORT_ILL_MAX: usize = 64;
/// How long one look may hold up the looks at others.
pub const LOOK_PATIENCE: Duration = Duration::from_secs(5);

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

/// How long a cell asks its registrar to wait for something new. Only the end of this wait tells of a
/// registrar whose machine stands still.
pub const ROSTER_WAIT: Duration = Duration::from_secs(4);

/// Between two questions for the roster there is at least this.
pub const ROSTER_TURN_MIN: Duration = Duration::from_millis(100);

/// For the registrar's answer beyond what it was asked to wait.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Bytes of a roster: [`RESIDENTS_MAX`] with long names.
pub const ROSTER_BYTES_MAX: usize = 96 * 1024 * 1024;

/// How often an agent tells how it goes.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// How often a cell does; what was done is told at once. One that is silent for a few seconds is
/// emptied.
pub const CELL_REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Outcomes in one report; a registrar takes no report of more than a few mebibytes.
pub const REPORT_DONE_MAX: usize = 4_000;

/// How often a cell collects what those who are awake used, to tell it.
pub const USAGE_INTERVAL: Duration = Duration::from_secs(60);

/// Characters of the reason that an order failed.
pub const REASON_CHARS_MAX: usize = 300;

/// The first pause after the registrar was of no use; it doubles…
pub const ASK_PAUSE_MIN: Duration = Duration::from_millis(200);

/// …up to this.
pub const ASK_PAUSE_MAX: Duration = Duration::from_secs(2);
