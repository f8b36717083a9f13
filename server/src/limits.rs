//! Every limit of a personal server.

use std::time::Duration;

use crate::rate::Rate;

/// What an installation may set; the defaults are the protocol's (section 2.9 and 7).
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that one server serves at the same time.
    pub connections_max: usize,
    /// An unauthenticated connection that got no answer for this long is closed.
    pub open_idle_max: Duration,
    /// The same for an owner's or a peer's connection.
    pub trusted_idle_max: Duration,
    /// What remains of [`Limits::open_idle_max`] when all connections are taken.
    pub open_idle_full: Duration,
    /// What remains of [`Limits::trusted_idle_max`] when all connections are taken.
    pub trusted_idle_full: Duration,
    /// Connections to other servers that are kept for the next question.
    pub links_max: usize,
    /// A kept connection that nobody used for this long is closed.
    pub link_idle_max: Duration,
    /// Whether updates and deletions of shared keys notify whom they are shared with.
    pub auto_notify: bool,
    /// How long a notification lives whose sender does not say.
    pub notification_life_default: Duration,
    /// Notifications waiting to be delivered to others.
    pub outbox_max: usize,
    /// Notifications kept in all, sent and received.
    pub notifications_max: usize,
    /// Between two looks for expired keys and notifications while the server is in use.
    pub sweep_interval: Duration,
    /// Notifications that wait for one slow monitor before it is dropped.
    pub monitor_queue_max: usize,
    /// Between two stats notifications to a monitor.
    pub stats_interval: Duration,
    /// Shortest pause after a delivery that failed; otherwise it is as long as the notification has
    /// waited, so that pauses double…
    pub retry_pause_first: Duration,
    /// …up to this.
    pub retry_pause_max: Duration,
    /// Commands from one address (IPv6: one network of 64 bits) of those who have proved nothing, to
    /// all servers of the process. Who is faster is read later.
    pub address_rate: Rate,
    /// The same for each other identity's server.
    pub peer_rate: Rate,
    /// Whether addresses of this machine are free of [`Limits::address_rate`]: a proxy in front of
    /// us would make one caller of all.
    pub spares_loopback: bool,
    /// Processor time that one identity's server may use while another is in use, in percent of all
    /// processors; the same again for callers who are not the owner…
    pub busy_percent: u32,
    /// …and so much at once before that counts.
    pub busy_burst: Duration,
    /// Memory that callers can make one server hold for long commands and answers and for monitors.
    pub memory_max: usize,
    /// The same for all servers of the process.
    pub memory_of_all_max: usize,
    /// Requests to be enrolled that one connection makes in an hour.
    pub enrol_requests_max: usize,
    /// The same for all connections from one address.
    pub enrol_requests_per_address_max: u32,
    /// How late the first wrong passcode is answered; it grows with each further one.
    pub passcode_step: Duration,
    /// How long a connection lives on that has revoked its own enrolment.
    pub revoked_linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 200,
            open_idle_max: Duration::from_secs(600),
            trusted_idle_max: Duration::from_millis(2_592_000_000),
            open_idle_full: Duration::from_secs(5),
            trusted_idle_full: Duration::from_secs(60),
            links_max: 200,
            link_idle_max: Duration::from_secs(600),
            auto_notify: true,
            notification_life_default: Duration::from_secs(24 * 3600),
            outbox_max: 10_000,
            notifications_max: 20_000,
            sweep_interval: Duration::from_secs(180),
            monitor_queue_max: 256,
            stats_interval: Duration::from_secs(15),
            retry_pause_first: Duration::from_secs(1),
            retry_pause_max: Duration::from_secs(120),
            address_rate: Rate { burst: 1_000, per_second: 200 },
            peer_rate: Rate { burst: 2_000, per_second: 500 },
            spares_loopback: true,
            busy_percent: 10,
            busy_burst: Duration::from_millis(100),
            memory_max: 96 << 20,
            memory_of_all_max: 256 << 20,
            enrol_requests_max: 5,
            enrol_requests_per_address_max: 60,
            passcode_step: Duration::from_secs(1),
            revoked_linger: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// [`Limits::notification_life_default`] in milliseconds.
    pub(crate) fn notification_life_millis(&self) -> i64 {
        i64::try_from(self.notification_life_default.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Longest command of somebody who has proved nothing, in bytes; nobody needs a longer one to prove
/// who they are.
pub(crate) const OPEN_COMMAND_BYTES_MAX: usize = 16 * 1024;
/// Memory that a long command takes on its way into the store, for each of its bytes: the line, its
/// value, the entry, and the batch that goes to the disk.
pub(crate) const COMMAND_MEMORY_PER_BYTE: usize = 4;
/// Answers and notifications up to this size, in bytes, are not worth counting.
pub(crate) const UNCOUNTED_BYTES_MAX: usize = 16 * 1024;
/// Memory that is set aside for each notification that a new monitor is told from the store.
pub(crate) const BACKLOG_ENTRY_BYTES: usize = 160;
/// Bytes of the values in one list of notifications; beyond it the oldest are left out, so that nobody
/// makes a list too large by sending large ones.
pub(crate) const LISTED_BYTES_MAX: usize = 16 << 20;
/// Callers whose rates are known, of each kind.
pub(crate) const RATES_KEPT_MAX: usize = 4_096;
/// Longest time that one command waits because of the earlier ones: less than a peer waits for us.
pub(crate) const THROTTLE_MAX: Duration = Duration::from_secs(2);
/// Processor time that each command is taken to use besides what is measured: reading it, waking for
/// it, and what the system does for its bytes.
pub(crate) const COMMAND_OVERHEAD: Duration = Duration::from_micros(100);
/// The same for each byte of a command, whose time is mostly the disk's.
pub(crate) const BYTE_OVERHEAD: Duration = Duration::from_nanos(20);
/// What a try to deliver a notification is taken to use: it is the owner's, like the command that
/// sent it.
pub(crate) const DELIVERY_OVERHEAD: Duration = Duration::from_micros(300);
/// A server that had a command this long ago is still in use.
pub(crate) const NEIGHBOUR_WINDOW: Duration = Duration::from_secs(1);
/// With fewer entries in its store, looking at all of them takes no long time.
pub(crate) const SURVEY_ENTRIES_MIN: usize = 2_000;
/// Bytes of the certificates that a caller may show and have kept.
pub(crate) const CERTIFICATES_BYTES_MAX: usize = 16 * 1024;
/// How long a notification from another may be kept, whatever its sender says.
pub(crate) const NOTIFICATION_LIFE_MILLIS_MAX: i64 = 30 * 24 * 3_600_000;
/// A challenge, and the proof that a peer fetches from us, are good for this long.
pub(crate) const CHALLENGE_MILLIS_MAX: i64 = 60_000;
/// Proofs of ours that peers have not fetched yet.
pub(crate) const PROOFS_MAX: usize = 256;

/// For a peer's prompt, and for its answer to `from`, `pol` and `scan` (section 4.5).
pub(crate) const PEER_SHORT_DEADLINE: Duration = Duration::from_secs(3);
/// For a peer's answer to `lookup`.
pub(crate) const PEER_LOOKUP_DEADLINE: Duration = Duration::from_secs(5);
/// For a peer's answer to `notify`.
pub(crate) const PEER_NOTIFY_DEADLINE: Duration = Duration::from_secs(10);
/// For a caller's whole proof, so that it has our answer before it gives up at 3 s.
pub(crate) const POL_CALLBACK_DEADLINE: Duration = Duration::from_millis(2_900);
/// For one question in all: waiting for its turn on the connection included.
pub(crate) const QUESTION_DEADLINE: Duration = Duration::from_secs(30);
/// Characters of a peer's error text that are passed on.
pub(crate) const PEER_TEXT_CHARS_MAX: usize = 256;
/// Signing key pairs that one process makes at the same time.
pub(crate) const KEY_GENERATIONS_MAX: usize = 2;
/// Tries to deliver to a name that the directory does not know, before it is given up.
pub(crate) const UNKNOWN_TRIES_MAX: u32 = 30;
/// Notifications to such a name for which one look into the directory counts as a try.
pub(crate) const UNKNOWN_TOGETHER_MAX: usize = 100;
/// Deliveries of notifications to different receivers at the same time.
pub(crate) const DELIVERIES_MAX: usize = 16;

/// Notifications told to a new monitor from the store that may come to it a second time: as many as
/// connections can be storing at the same time.
pub(crate) const REPLAYED_MAX: usize = 256;
/// Bytes of a client's regular expression once compiled, and of what it remembers while it searches.
pub(crate) const REGEX_COMPILED_BYTES_MAX: usize = 256 * 1024;
/// References that one lookup follows (section 5.6).
pub(crate) const REFERENCES_MAX: usize = 3;
/// Life of a cached public value whose owner does not say how long it may be kept.
pub(crate) const PLOOKUP_CACHE_MILLIS: i64 = 24 * 3_600_000;
/// Entries of the commit log that are taken from the index at once.
pub(crate) const LOG_CHUNK: usize = 256;
/// Entries of one answer to `sync:from`; a client may ask for less (section 5.11).
pub(crate) const SYNC_ENTRIES_MAX: u64 = 25;
/// Bytes of JSON of one answer to `sync:from`, unless its only entry is larger (section 5.11).
pub(crate) const SYNC_BYTES_MAX: usize = 5_242_880;
/// Names, and keys, that the access log counts (section 6.7).
pub(crate) const ACCESS_TABLE_MAX: usize = 128;
/// Who has not come for this long is not counted any more.
pub(crate) const ACCESS_LIFE_MILLIS: i64 = 15 * 24 * 3_600_000;
/// Names, and keys, that the statistics tell of.
pub(crate) const TOP_MAX: usize = 5;
/// Names on a block list.
pub(crate) const BLOCKED_MAX: usize = 1_000;
/// Bytes of an answer to `batch` beyond which no further command of it is done.
pub(crate) const BATCH_ANSWER_BYTES_MAX: usize = 10_240_000;
/// How long after the beginning of a `batch` no further command of it is begun.
pub(crate) const BATCH_TIME_MAX: Duration = Duration::from_secs(120);
/// Copies of others' keys that are fetched again on one day…
pub(crate) const REFRESHED_MAX: usize = 1_000;
/// …and how long that may take in all.
pub(crate) const REFRESH_DEADLINE: Duration = Duration::from_secs(600);
/// Keys that one sweep removes in one commit.
pub(crate) const SWEEP_BATCH_MAX: usize = 256;
/// How long the end of a server waits for what it still does.
pub(crate) const SHUT_DEADLINE: Duration = Duration::from_secs(10);

/// Where others can open a server's store, what it knows is given out no longer than this after a
/// look that found it its own; then the answer waits for a look…
pub const LOOK_AGE_MAX: Duration = Duration::from_secs(2);
/// …which takes no longer than this, or the connection ends.
pub const LOOK_DEADLINE: Duration = Duration::from_secs(10);

/// Requests to be enrolled are counted for an hour (section 4.7).
pub(crate) const ENROL_WINDOW_MILLIS: i64 = 3_600_000;
/// Wrong passcodes that one identity takes in that time from all strangers together: one a second.
pub(crate) const WRONG_PASSCODES_MAX: u32 = 3_600;
/// Addresses whose requests one process remembers.
pub(crate) const GUARD_ENTRIES_MAX: usize = 16_384;
/// A pending enrolment is forgotten after this time.
pub(crate) const PENDING_MILLIS: i64 = 48 * 3_600_000;
/// The notification of a pending enrolment lives so long.
pub(crate) const PENDING_TOLD_MILLIS: i64 = 24 * 3_600_000;
/// Enrolments of one identity, whatever became of them.
pub(crate) const ENROLMENTS_MAX: usize = 1_000;
/// A drawn passcode is good for this long unless the owner says otherwise.
pub(crate) const PASSCODE_MILLIS: i64 = 5 * 60_000;
/// Passcodes that wait to be used.
pub(crate) const PASSCODES_MAX: usize = 1_000;
