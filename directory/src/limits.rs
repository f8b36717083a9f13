//! Every limit of this crate.

use std::time::Duration;

use net::gate::{AcceptLimits, BlockLimits};

use crate::misses::{MissLimits, MissRate};

/// What the directory's door admits unless it is told otherwise.
pub const ACCEPT: AcceptLimits = AcceptLimits {
    connections_max: 20_000,
    handshakes_max: 256,
    per_address_max: 2_000,
    handshake_deadline: Duration::from_secs(10),
};

/// What it admits from one part of the network. Many people may share an address, so an address has
/// a tenth of the room and a network a quarter.
pub const BLOCKS: BlockLimits = BlockLimits {
    per_network_max: 5_000,
    handshakes_per_address_max: 64,
    handshakes_per_network_max: 128,
};

/// What the system keeps for a connection in each direction; it takes twice as much for its own
/// books. Questions and answers are short.
pub const BUFFER_BYTES: usize = 16 * 1024;

/// How long a connection may be idle while there is room. One SDK keeps a connection for its whole
/// life and does not survive its end (the protocol's section 1.2), so this is long.
pub const IDLE_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long when the door is full; from half full on it falls in a straight line to this.
pub const IDLE_MAX_WHEN_FULL: Duration = Duration::from_secs(10);
/// How often an idle connection looks at how full the door is.
pub const IDLE_CHECK: Duration = Duration::from_secs(15);

/// Bytes of a line, or of a key or its value, in what an existing directory is taken over from.
/// Longer ones are no names and addresses, which have some 250 bytes each.
pub const IMPORT_TEXT_BYTES_MAX: usize = 1_024;

/// Questions that came together are answered in one write until the answers have this many bytes.
pub const ANSWERS_BYTES_MAX: usize = 8 * 1024;

/// From the second unknown name of a connection on, an answer takes this long…
pub const MISS_DELAY: Duration = Duration::from_secs(3);
/// …so many may be remembered before the connection is closed…
pub const MISSES_MAX: u32 = 64;
/// …and one is forgotten each time this has passed, so that who errs now and then never waits.
pub const MISS_FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// What unknown names cost by address block, whatever the number of connections.
pub const MISSES: MissLimits = MissLimits {
    address: MissRate { burst: 300, per_second: 5 },
    network: MissRate { burst: 2_400, per_second: 40 },
    spares_loopback: true,
};
/// Blocks of each size whose misses are remembered; a multiple of 8.
pub const MISS_ACCOUNTS_MAX: usize = 16_384;

/// For one question to the parent, tries and waits included: less than the 3 s after which one SDK
/// gives up.
pub const PARENT_DEADLINE: Duration = Duration::from_millis(2_500);
/// Different names that the parent is asked for at the same time, or that wait for their turn.
pub const PARENT_QUESTIONS_MAX: usize = 1_024;
/// Names whose answer of the parent is remembered.
pub const PARENT_ANSWERS_MAX: usize = 16_384;
/// How long it is remembered where a name is…
pub const PARENT_FOUND_AGE_MAX: Duration = Duration::from_secs(60);
/// …and that it is unknown: short, because who has just registered wants to be found.
pub const PARENT_UNKNOWN_AGE_MAX: Duration = Duration::from_secs(10);

/// When the end begins, who has connected and not asked yet may still do so for this long.
pub const LAST_QUESTION: Duration = Duration::from_secs(2);

/// A question that comes before the directory knows anything waits so long for that to change; so
/// does, after a start, one that comes before the registrar has confirmed what the file says, unless
/// all who carry its words have failed by then.
pub const READY_WAIT: Duration = Duration::from_secs(2);

/// How long the registrar may hold a question for news back until there are some.
pub const FEED_WAIT: Duration = Duration::from_secs(25);
/// For an answer of the feed beyond that.
pub const FEED_DEADLINE: Duration = Duration::from_secs(10);
/// For a snapshot from the registrar: a hundred million identities at 32 Mbit/s.
pub const SNAPSHOT_DEADLINE: Duration = Duration::from_secs(300);
/// Bytes of a snapshot from a carrier: some hundred and sixty million identities. While it is
/// checked, twice as much is in memory. (Redis gets none of more than 256 MiB, some twenty million:
/// a larger directory begins over HTTPS or with its own file, and follows Redis from there.)
pub const SNAPSHOT_BYTES_MAX: usize = 2 << 30;
/// How long somebody waits for a proof or a snapshot while the atlas is renewed.
pub const RENEWAL_WAIT: Duration = Duration::from_secs(5);
/// How often the registrar is asked what it says about everything, while something changes…
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(60);
/// …and how often once so many changes came since…
pub const CHECKPOINT_CHANGES: usize = 65_536;
/// …or one for so many names, where that is more…
pub const CHECKPOINT_NAMES_EACH: usize = 128;
/// …which is this often. Each checkpoint packs nearly all names anew, so a change costs the packing
/// of at most so many, however large the directory is; and what waits in memory is a share of it.
pub const CHECKPOINT_PAUSE: Duration = Duration::from_secs(5);
/// With more changes since the last checkpoint, a directory starts anew from a snapshot…
pub const TOLD_CHANGES_MAX: usize = 1_000_000;
/// …or with more than one for so many names, where that is more.
pub const TOLD_NAMES_EACH: usize = 16;
/// Parts of the recent changes that are locked one by one. At a hundred million names a million
/// changes wait: to look through a part takes a fraction of a millisecond.
pub const RECENT_SHARDS: usize = 1_024;
/// Shortest token of a directory that others may follow.
pub const RELAY_TOKEN_BYTES_MIN: usize = 16;
/// The first pause after the feed failed; it doubles…
pub const BACKOFF_MIN: Duration = Duration::from_millis(200);
/// …up to this. Each pause is drawn between its half and its whole.
pub const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// A feed that answers "nothing new" without having waited is asked again after this.
pub const EMPTY_PAUSE: Duration = Duration::from_millis(250);

/// For an answer of Redis, beyond what it was asked to wait.
pub const REDIS_DEADLINE: Duration = Duration::from_secs(5);
/// How long Redis may hold a question for news back; the registrar's words there come as often.
pub const REDIS_WAIT: Duration = Duration::from_secs(10);
/// A carrier that failed, or whose words were refused, is left alone for this; it doubles each time…
pub const CARRIER_LEFT_MIN: Duration = Duration::from_secs(5);
/// …up to this. Each time is drawn between its half and its whole.
pub const CARRIER_LEFT_MAX: Duration = Duration::from_secs(120);
/// A carrier that had nothing newer for so long is compared with the next.
pub const CARRIER_SILENT_MAX: Duration = Duration::from_secs(45);

/// The snapshot file is written so long after the first change that it lacks.
pub const SAVE_AFTER: Duration = Duration::from_secs(5);
/// If it cannot be written, this passes before the next try.
pub const SAVE_RETRY: Duration = Duration::from_secs(60);
/// Writing it takes at most one part in so many of the time.
pub const SAVE_SHARE: u32 = 20;

/// What the door of the HTTPS front admits. It is a door of its own: a crowd there keeps nobody from
/// the line protocol.
pub const HTTPS_ACCEPT: AcceptLimits = AcceptLimits {
    connections_max: 4_096,
    handshakes_max: 128,
    per_address_max: 512,
    handshake_deadline: Duration::from_secs(10),
};
/// How long whoever asked for one identity over HTTPS may go by the answer.
pub const HTTPS_AGE_MAX: Duration = Duration::from_secs(60);
/// When to ask a directory again that did not know anything yet.
pub const HTTPS_RETRY_AFTER: Duration = Duration::from_secs(2);
/// How long a browser may remember that pages of other sites may ask here.
pub const HTTPS_PREFLIGHT_AGE_MAX: Duration = Duration::from_secs(24 * 3600);
/// Names in one lookup of several.
pub const HTTPS_LOOKUP_NAMES_MAX: usize = 256;
/// Of these so many may be on their way to the parent at a time.
pub const HTTPS_LOOKUP_BEYOND_MAX: usize = 16;
/// The unknown names of one request delay its answer by no more than this.
pub const HTTPS_MISSES_WAIT_MAX: Duration = Duration::from_secs(10);
/// Bytes of its body.
pub const HTTPS_BODY_BYTES_MAX: usize = 32 * 1024;
/// For its body to be there.
pub const HTTPS_BODY_DEADLINE: Duration = Duration::from_secs(5);
/// What the door of DNS over TCP and TLS admits.
pub const DNS_ACCEPT: AcceptLimits = AcceptLimits {
    connections_max: 4_096,
    handshakes_max: 256,
    per_address_max: 256,
    handshake_deadline: Duration::from_secs(5),
};

/// Bytes of a question of DNS over TCP and TLS, with all that stands behind it.
pub const DNS_QUERY_BYTES_MAX: usize = 4_096;
/// Records behind a question that are looked at for EDNS.
pub const DNS_QUERY_RECORDS_MAX: usize = 8;
/// Bytes of a question and of an answer over UDP: what every path carries in one piece.
pub const DNS_PAYLOAD_MAX: u16 = 1_232;
/// Bytes of an answer over UDP to a client that does not say what it takes (RFC 1035).
pub const DNS_PAYLOAD_MIN: u16 = 512;
/// Bytes of an answer over TCP and TLS: what a name in it can be pointed to within, and several
/// times a proof.
pub const DNS_ANSWER_BYTES_MAX: u16 = 16_384;

/// Questions over UDP for which the parent is asked at the same time, or that wait for their turn.
pub const DNS_PARENT_QUESTIONS_MAX: usize = 256;

/// Bytes of the zone's name in messages: so every name that can own keys has room in front of it.
pub const DNS_ZONE_BYTES_MAX: usize = 40;

/// Seconds for which resolvers may remember where an identity is…
pub const DNS_TTL: u32 = 60;
/// …that there is none…
pub const DNS_NEGATIVE_TTL: u32 = 15;
/// …and the zone's own records.
pub const DNS_ZONE_TTL: u32 = 3_600;

/// How long a connection of DNS may be idle.
pub const DNS_IDLE_MAX: Duration = Duration::from_secs(20);
/// How long from a half full door on.
pub const DNS_IDLE_MAX_WHEN_FULL: Duration = Duration::from_secs(2);
/// For a question over TCP or TLS, from its first byte on.
pub const DNS_MESSAGE_DEADLINE: Duration = Duration::from_secs(5);
/// For a client to take the answers that are sent at once.
pub const DNS_WRITE_DEADLINE: Duration = Duration::from_secs(5);

/// Answers a second over UDP to one block of addresses, unless the operator says otherwise.
pub const DNS_ANSWERS_PER_SECOND: u32 = 500;
/// So many may come at once.
pub const DNS_ANSWERS_BURST: u32 = 1_000;
/// Beyond the rate each so many-th answer says to use TCP, and the others are not sent.
pub const DNS_SLIP: u64 = 2;
/// Buckets that the blocks of addresses are counted in, of 8 bytes each.
pub const DNS_BLOCKS: usize = 65_536;
