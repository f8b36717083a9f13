//! Every limit of this crate, with its reason.

use std::time::Duration;

/// Registrations and deletions at work at the same time. Enough to fill a group commit, few enough
/// that the swarm is not flooded.
pub const RUNNING_MAX: usize = 64;

/// Registrations and deletions that run or wait for their turn; more are asked to come back.
pub const ADMITTED_MAX: usize = 1_024;

/// How long a registration waits for its turn.
pub const TURN_DEADLINE: Duration = Duration::from_secs(60);

/// How long the swarm may take for one step.
pub const STEP_DEADLINE: Duration = Duration::from_secs(10);

/// How often a step of the swarm is tried before the registration is left for later.
pub const STEP_TRIES_MAX: u32 = 4;

/// Half the pause after the first failure of a step; it doubles with each failure.
pub const STEP_PAUSE_MS: u64 = 50;

/// Ports that one registration tries, one after the other, when the host says "taken".
pub const PORT_TRIES_MAX: u32 = 64;

/// How long a port is left alone that the host said is taken, in milliseconds.
pub const PORT_AVOIDED_MS: i64 = 10 * 60 * 1_000;

/// Ports that are remembered as taken by somebody else.
pub const PORTS_AVOIDED_MAX: usize = 4_096;

/// A cell that has reported nothing for so long gets nobody new. It reports every few seconds.
pub const CELL_SILENT: Duration = Duration::from_secs(15);

/// A cell that was heard and then was silent for so long is lost: its residents go to others. It is
/// heard every second.
pub const CELL_LOST: Duration = Duration::from_secs(6);

/// A longer gap between two signs of a cell's life, and it has to be heard for [`CELL_LOST`] before
/// it gets those of a lost one. With two intervals of a cell it is shorter than that: so a registrar
/// that was paused or cut off takes nobody for lost, beside one whom it could hear all the while.
pub const HEARD_GAP_MAX: Duration = Duration::from_millis(2_500);

/// For how long a cell that was emptied because it was silent has to be heard before it gets
/// anybody: two that fall silent in turn must not throw everybody to and fro.
pub const CELL_REST: Duration = Duration::from_secs(30);

/// How often it is looked whether a cell has to be emptied.
pub const KEEP_EVERY: Duration = Duration::from_millis(500);

/// Moves of one cell's residents at once: enough to fill a group commit.
pub const MOVES_AT_ONCE: usize = 32;

/// Residents of one cell that are moved before the next cell has its turn.
pub const MOVES_A_ROUND: usize = 256;

/// How long a planned move waits for the cells to have heard of it, before the next one.
pub const MOVE_HEARD: Duration = Duration::from_secs(5);

/// How long a drained machine's cells are tried to be emptied in vain before the engine may start
/// them elsewhere with all who are left in them.
pub const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

/// A machine whose agent has reported nothing for so long is silent: its cells get nobody new.
pub const NODE_SILENT: Duration = Duration::from_secs(15);

/// Thousandths of a machine's scarcest resource that may be used before its cells get nobody new.
pub const PRESSURE_MAX: u16 = 950;

/// Ranges in one list of ports.
pub const PORT_RANGES_MAX: usize = 64;

/// Changes that the feed keeps; a replica that is further behind takes a snapshot.
pub const CHANGES_KEPT_MAX: usize = 8_192;

/// Longest wait for the next change that a follower of the feed gets.
pub const FEED_WAIT_MAX: Duration = Duration::from_secs(30);

/// A signed snapshot is given out until it is so old and there are newer changes.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);

/// How long a snapshot waits for the last changes in it to be durable.
pub const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(10);

/// How often a registrar that writes nothing looks whether another one has opened its store.
pub const EMBEDDED_LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often unfinished registrations are taken up again.
pub const TEND_EVERY: Duration = Duration::from_secs(15);

/// Identities on one page of a list, at most and by default.
pub const LIST_MAX: usize = 1_000;
/// See [`LIST_MAX`].
pub const LIST_DEFAULT: usize = 100;

/// Longest request body: an atSign of 240 bytes is escaped to three times as many.
pub const BODY_BYTES_MAX: usize = 8 * 1_024;

/// Longest `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Shortest admin token; less could be guessed.
pub const ADMIN_TOKEN_BYTES_MIN: usize = 16;

/// How long a form may stay open before it is sent.
pub const FORM_AGE_MS_MAX: i64 = 2 * 60 * 60 * 1_000;

/// Registrations from one client address at once, and milliseconds until another is allowed.
pub const WEB_ADDRESS_BURST: i64 = 10;
/// See [`WEB_ADDRESS_BURST`].
pub const WEB_ADDRESS_INTERVAL_MS: i64 = 60_000;

/// Registrations from all addresses together at once, and milliseconds until another is allowed.
pub const WEB_TOTAL_BURST: i64 = 100;
/// See [`WEB_TOTAL_BURST`].
pub const WEB_TOTAL_INTERVAL_MS: i64 = 1_000;

/// How long the registrar waits for news before it tells Redis that there are none; who follows
/// there knows by it how fresh he is.
pub const REDIS_BEAT: Duration = Duration::from_secs(10);

/// Least time between two entries in Redis: what happens meanwhile becomes one.
pub const REDIS_PACE: Duration = Duration::from_millis(50);

/// About so many entries are kept in Redis: at the fastest pace those of three minutes, where a
/// snapshot follows each minute.
pub const REDIS_ENTRIES_KEPT: usize = 4_096;

/// For an answer of Redis.
pub const REDIS_DEADLINE: Duration = Duration::from_secs(10);

/// For Redis to take a snapshot.
pub const REDIS_SNAPSHOT_DEADLINE: Duration = Duration::from_secs(120);

/// Everything is put into Redis anew no more often than this.
pub const REDIS_FILL_PAUSE: Duration = Duration::from_secs(2);

/// Larger snapshots are not put into Redis, which takes no value of more than twice this size.
pub const REDIS_SNAPSHOT_BYTES_MAX: usize = 256 << 20;

/// Putting snapshots into Redis takes at most one part in so many of the time.
pub const REDIS_SNAPSHOT_SHARE: u32 = 20;

/// The first pause after Redis failed; it doubles…
pub const REDIS_BACKOFF_MIN: Duration = Duration::from_millis(200);
/// …up to this. Each pause is drawn between its half and its whole.
pub const REDIS_BACKOFF_MAX: Duration = Duration::from_secs(15);

/// For one answer of PostgreSQL.
pub const POSTGRES_DEADLINE: Duration = Duration::from_secs(10);

/// How long the opening of the store in PostgreSQL is tried: longer than a session that nobody uses
/// any more lasts there.
pub const POSTGRES_OPEN_DEADLINE: Duration = Duration::from_secs(20);

/// How long a start waits for one page of records, or for one write.
pub const POSTGRES_BLOCKING_DEADLINE: Duration = Duration::from_secs(30);

/// How long PostgreSQL may be silent before those who wait are told; what they began goes on.
pub const POSTGRES_PATIENCE: Duration = Duration::from_secs(5);

/// How often PostgreSQL is asked who may write while nothing is written; by it the session lives.
pub const POSTGRES_BEAT: Duration = Duration::from_secs(4);

/// The first pause after PostgreSQL failed; it doubles…
pub const POSTGRES_BACKOFF_MIN: Duration = Duration::from_millis(50);
/// …up to this. Each pause is drawn between its half and its whole.
pub const POSTGRES_BACKOFF_MAX: Duration = Duration::from_secs(2);

/// Jobs that wait for PostgreSQL; those beyond are refused. Each admitted registration has one.
pub const POSTGRES_JOBS_MAX: usize = 4_096;

/// Jobs of which the writes become one transaction.
pub const POSTGRES_GROUP_MAX: usize = 256;

/// Records on one page that a start reads.
pub const POSTGRES_PAGE_RECORDS: usize = 1_000;

/// Most bytes of a record with its key, as PostgreSQL sends it.
pub const POSTGRES_RECORD_BYTES_MAX: usize = 68 * 1_024;

/// Longest wait for news that a cell, a router or an agent gets.
pub const FLEET_WAIT_MAX: Duration = Duration::from_secs(30);

/// Closed ports that routers are told of; a router that is further behind gets all routes.
pub const ROUTES_CLOSED_KEPT_MAX: usize = 8_192;

/// Released servers that cells are told of; a cell that is further behind gets its whole roster.
pub const RELEASES_KEPT_MAX: usize = 1_024;

/// Swarms that are known.
pub const SWARMS_MAX: usize = 64;

/// Nodes that are known, in all swarms.
pub const NODES_MAX: usize = 1_024;

/// Minutes of each cell's counts that are kept.
pub const CELL_HISTORY_MINUTES: usize = 120;

/// Cells that are to run, in all swarms: routers are told of all of them each time.
pub const CELLS_MAX: usize = 1_024;

/// Labels that a cell's machine must have.
pub const CELL_LABELS_MAX: usize = 16;

/// Longest name of an image, of a label or its value.
pub const CELL_TEXT_BYTES_MAX: usize = 255;

/// Characters of a cell's version that are kept.
pub const VERSION_CHARS_MAX: usize = 64;

/// Records into which the rows of what identities used in one hour are parted.
pub const USAGE_PARTS: u16 = 64;
/// Such records in one write.
pub const USAGE_PARTS_A_WRITE: usize = 8;
/// How often what was used is written; a crash loses what was told since.
pub const USAGE_SAVED_EVERY: Duration = Duration::from_secs(300);
/// Identities whose use is not written yet, an hour.
pub const USAGE_UNSAVED_MAX: usize = 400_000;
/// How long rows of an hour are kept before they become rows of a day, in hours.
pub const USAGE_HOURS_KEPT: i64 = 48;
/// How long rows of a day are kept, in days.
pub const USAGE_DAYS_KEPT: i64 = 92;

/// Longest report of a cell: ten thousand outcomes, most of them without a reason.
pub const CELL_REPORT_BYTES_MAX: usize = 4 << 20;

/// Characters that are kept of a cell's reason for a failure.
pub const REASON_CHARS_MAX: usize = 300;

/// Longest report of a node: labels and lines of drift. The latest of each node is kept.
pub const NODE_REPORT_BYTES_MAX: usize = 96 << 10;

/// From dialling a new server to its prompt.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(10);

/// Most bytes of a server's answer to the probe.
pub const PROBE_ANSWER_BYTES_MAX: usize = 1_024;

/// How long a probe waits for the routers to hear of a new server.
pub const PROBE_PATIENCE: Duration = Duration::from_secs(5);

/// Between two calls of one probe.
pub const PROBE_PAUSE: Duration = Duration::from_millis(50);
