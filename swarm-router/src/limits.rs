//! Every limit of the router.

use std::time::Duration;

use net::accept::AcceptLimits;

/// Connections handed over and not yet ended, over all routes. One more is accepted and closed.
pub const CONNECTIONS_MAX: usize = 16_384;

/// Of them those from one part of the network (24 bits of IPv4, 48 bits of IPv6), unless the operator
/// says otherwise…
pub const PER_NETWORK_MAX: usize = 4_096;
/// …and those that come from there in a second.
pub const NETWORK_RATE: u32 = 1_000;
/// Connections to one identity at the same time, unless the operator says otherwise…
pub const PER_IDENTITY_MAX: usize = 4_096;
/// …and those that come to her in a second.
pub const IDENTITY_RATE: u32 = 1_000;
/// Whoever has rested may come at once with what is allowed in so long.
pub const RATE_BURST: Duration = Duration::from_secs(2);
/// Parts of the network, and identities, whose rates are kept apart; all others share one.
pub const RATED_MAX: usize = 65_536;
/// How often those who have rested are forgotten, where that many are kept.
pub const RATE_SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Connections taken from one listener before the others get their turn.
pub const ACCEPTS_PER_TURN: usize = 64;

/// The kernel's queue of connections that were not accepted yet, for each port.
pub const BACKLOG: i32 = 128;

/// At the orderly end, how long those are still taken who had connected before.
pub const LAST_ACCEPTS: Duration = Duration::from_millis(200);

/// How long accepting pauses when the process has no descriptor left.
pub const OUT_OF_DESCRIPTORS_PAUSE: Duration = Duration::from_millis(50);

/// How often a port that something else occupies is tried again.
pub const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Connections that are carried to cells, over all and for one client's address. Nobody shakes
/// hands here.
pub const GATE: AcceptLimits = AcceptLimits {
    connections_max: CONNECTIONS_MAX,
    handshakes_max: 0,
    per_address_max: 2_048,
    handshake_deadline: Duration::ZERO,
};

/// Of them those that wait for their cell, over all and for one client's address: whoever waits for
/// a cell that is gone leaves room for those whose cells are there.
pub const HOLD_GATE: AcceptLimits = AcceptLimits {
    connections_max: 8_192,
    handshakes_max: 0,
    per_address_max: 512,
    handshake_deadline: Duration::ZERO,
};

/// How long a client waits for her cell to be started elsewhere.
pub const HOLD_MAX: Duration = Duration::from_secs(20);

/// How long a connection to a cell lasts from which its volume was moved: that cell ends it in order,
/// unless it stands still.
pub const PART_GRACE: Duration = Duration::from_secs(1);

/// Pauses between tries to reach a cell, unless its place changes: from this…
pub const REACH_PAUSE_MIN: Duration = Duration::from_millis(50);
/// …to this.
pub const REACH_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Bytes of a client that go along with her preface: most often all of her `ClientHello`.
pub const FIRST_BYTES_MAX: usize = 2 * 1024;

/// Bytes that are taken from one side before they are given to the other.
pub const COPY_BYTES: usize = 16 * 1024;

/// Bytes that fit into a pipe, through which much is carried.
pub const PIPE_BYTES: usize = 256 * 1024;

/// Pipes in use at the same time. Whoever gets none is carried all the same, with more work.
pub const PIPES_MAX: usize = 256;

/// Pipes that are kept for the next who has much.
pub const PIPES_KEPT: usize = 16;

/// Bytes after which others have their turn.
pub const POUR_BYTES: usize = 1024 * 1024;

/// A side that takes none of what is there for it for so long is given up.
pub const STALL_MAX: Duration = Duration::from_secs(60);

/// How long a client may go on after her server has ended.
pub const AFTER_SERVER_MAX: Duration = Duration::from_secs(30);

/// How long the registrar is asked to wait for news. A machine that stands still says nothing: only
/// the end of this wait tells that another one has to be asked, and until then clients are held.
pub const NEWS_WAIT: Duration = Duration::from_secs(4);

/// How long beyond that an answer may take, and the way to it.
pub const NEWS_GRACE: Duration = Duration::from_secs(3);

/// Pauses after answers that were none, from this…
pub const NEWS_PAUSE_MIN: Duration = Duration::from_millis(200);
/// …to this.
pub const NEWS_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Between two answers, so that a burst of news is one.
pub const NEWS_TURN: Duration = Duration::from_millis(10);

/// How long the kernel may take to answer about the packet filter, or about who listens.
pub const KERNEL_DEADLINE: Duration = Duration::from_secs(5);
/// Bytes that are read of its answers at once.
pub const KERNEL_ANSWER_BYTES: usize = 32 * 1024;
/// Answers to one change before it is given up.
pub const KERNEL_ANSWERS_MAX: usize = 4_096;
/// Bytes of one change, if the system allows as many.
pub const KERNEL_SEND_BYTES: usize = 1024 * 1024;

/// Bytes of a file with the last routes: some 150 for each of a million.
pub const LAST_ROUTES_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Longest answer with routes: all of a million names.
pub const ROUTES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Connections to the port of names that have not yet said whom they want. One more takes the place
/// of the one that has waited longest.
pub const PEEKS_MAX: usize = 8_192;

/// The same from one IPv4 network of 24 bits or IPv6 network of 48 bits…
pub const PEEKS_PER_NETWORK_MAX: usize = 2_048;

/// …and from one IPv4 address or IPv6 network of 64 bits.
pub const PEEKS_PER_ADDRESS_MAX: usize = 512;

/// How long a connection may take to say whom it wants.
pub const PEEK_DEADLINE: Duration = Duration::from_secs(5);

/// The same while the router ends.
pub const PEEK_WIND_DOWN: Duration = Duration::from_secs(1);

/// Longest ClientHello, with the heads of its records.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;

/// The kernel's queue of connections to the port of names that were not accepted yet.
pub const NAMES_BACKLOG: i32 = 4_096;
