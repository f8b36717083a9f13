//! Every limit of a personal server.

use std::time::Duration;

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
    /// Pause after the first failed delivery to a receiver; it doubles with each further one…
    pub retry_pause_first: Duration,
    /// …up to this.
    pub retry_pause_max: Duration,
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
            retry_pause_max: Duration::from_secs(60),
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
/// Deliveries of notifications to different receivers at the same time.
pub(crate) const DELIVERIES_MAX: usize = 16;

/// Notifications told to a new monitor from the store that may come to it a second time: as many as
/// connections can be storing at the same time.
pub(crate) const REPLAYED_MAX: usize = 256;
/// Bytes of a client's regular expression once compiled.
pub(crate) const REGEX_COMPILED_BYTES_MAX: usize = 1 << 20;
/// References that one lookup follows (section 5.6).
pub(crate) const REFERENCES_MAX: usize = 3;
/// Life of a cached public value whose owner does not say how long it may be kept.
pub(crate) const PLOOKUP_CACHE_MILLIS: i64 = 24 * 3_600_000;
/// Keys that one sweep removes in one commit.
pub(crate) const SWEEP_BATCH_MAX: usize = 256;
/// How long the end of a server waits for what it still does.
pub(crate) const SHUT_DEADLINE: Duration = Duration::from_secs(10);

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
