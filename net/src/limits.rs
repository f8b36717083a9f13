//! Every limit of this crate that is not the caller's to choose.

use std::time::Duration;

/// A handshake has so long before it may be displaced by newer ones.
pub const HANDSHAKE_TURN: Duration = Duration::from_secs(1);

/// Bytes of a long answer that are sealed and sent before other tasks have their turn.
pub(crate) const TURN_BYTES_MAX: usize = 4 * RECORD_BYTES_MAX;

/// Plain bytes in one TLS record; an answer up to this size leaves as one.
pub const RECORD_BYTES_MAX: usize = 16 * 1024;

/// How long an unfinished line may take, whatever its size…
pub const LINE_GRACE: Duration = Duration::from_secs(30);
/// …and how fast its bytes must come beyond that.
pub const LINE_BYTES_PER_SECOND_MIN: u64 = 8 * 1024;

/// How long a write may take, whatever its size…
pub const WRITE_GRACE: Duration = Duration::from_secs(15);
/// …and how fast its reader must take the bytes beyond that.
pub const WRITE_BYTES_PER_SECOND_MIN: u64 = 16 * 1024;

/// For the farewell of TLS when a connection ends in order.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// A peer that fell silent is asked for a sign of life after this, and then at the interval.
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(120);
/// Between two signs of life.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Connections that the system keeps until they are accepted, where it is asked for so many; the
/// usual 128 are few when all clients of another replica come at once.
pub const ACCEPT_BACKLOG: u32 = 4_096;

/// Pause of an accept loop after an error that is likely to come again (no file handles left).
pub const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(50);

/// Bytes that wait in front of a UDP socket, if the system allows as many.
pub const UDP_RECEIVE_BYTES: usize = 4 * 1024 * 1024;
/// Datagrams that are received, and answers that are sent, in one call of the system.
pub const UDP_BATCH_MAX: usize = 32;
/// Once the end has begun, a listener still takes those who have connected, until nobody has come
/// for this long…
pub const LAST_ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// …or for this long in all. Their handshakes get [`HANDSHAKE_TURN`].
pub const LAST_ACCEPTS: Duration = Duration::from_millis(200);

/// For one outgoing connection, if the caller has no other wish: resolving, connecting, handshake.
pub const DIAL_DEADLINE: Duration = Duration::from_secs(10);
/// Addresses of one name that a dial tries.
pub const DIAL_ADDRESSES_MAX: usize = 4;

/// PEM files larger than this are not read: a bundle of public roots has some 250 KiB.
pub const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Certificates that a peer may present before its chain is not looked at.
pub const PEER_CHAIN_MAX: usize = 8;

/// Identities whose address a directory client remembers.
pub const LOOKUP_CACHE_MAX: usize = 4096;
/// For how long it does (the protocol's section 1.5).
pub const LOOKUP_CACHE_AGE_MAX: Duration = Duration::from_secs(3600);
/// Questions to the directory at the same time.
pub const LOOKUPS_IN_FLIGHT_MAX: usize = 64;
/// For one question, tries and waits included.
pub const LOOKUP_DEADLINE: Duration = Duration::from_secs(10);
/// Waits between the tries of one question (the protocol's section 1.5).
pub const LOOKUP_RETRY_PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(150),
    Duration::from_millis(200),
];

/// A request's head: time from the first byte, and between requests.
pub const HTTP_HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 * 1024;
/// When the end begins, who has connected and not asked yet may still do so for this long.
pub const LAST_REQUEST: Duration = Duration::from_secs(2);
/// Header lines of a request.
pub const HTTP_HEADERS_MAX: usize = 64;
/// Bytes of a request's body.
pub const HTTP_BODY_BYTES_MAX: usize = 1024 * 1024;
/// For a request's body, from its first poll to its end.
pub const HTTP_BODY_DEADLINE: Duration = Duration::from_secs(20);
/// Bytes of an answer that our client takes, unless it is given its own limit.
pub const HTTP_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// For one request of our client, unless it is given its own.
pub const HTTP_REQUEST_DEADLINE: Duration = Duration::from_secs(60);
/// For reaching one of several addresses at which a service of ours may be.
pub const UPSTREAM_DIAL_DEADLINE: Duration = Duration::from_secs(2);
/// Our client keeps a connection for the next request no longer than this.
pub const HTTP_IDLE_MAX: Duration = Duration::from_secs(5);
/// And no more than so many.
pub const HTTP_IDLE_CONNECTIONS_MAX: usize = 4;

/// A connection to a service on this machine ends after this, whatever became of its one request.
pub const UNIX_CONNECTION_MAX: Duration = Duration::from_secs(60);

/// For a connection to Redis: resolving, connecting, handshake, login.
pub const REDIS_CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// What an answer of Redis may have around what was asked for.
pub const REDIS_ANSWER_OVERHEAD: usize = 64 * 1024;

/// For a connection to one server of PostgreSQL: resolving, connecting, handshake, login.
pub const POSTGRES_CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// What PostgreSQL may say around what was asked for.
pub const POSTGRES_ANSWER_OVERHEAD: usize = 64 * 1024;
/// Servers of PostgreSQL that one URL may name.
pub const POSTGRES_HOSTS_MAX: usize = 8;

/// For a process that asks for the sockets of the one it replaces, to say so; and for each word
/// after it that needs no work.
pub const HANDOVER_WORD_DEADLINE: Duration = Duration::from_secs(1);
/// For the running process to begin with its sockets: it may write a large file first.
pub const HANDOVER_OFFER_DEADLINE: Duration = Duration::from_secs(60);
/// For the new process to be ready; then it gives up…
pub const HANDOVER_READY_DEADLINE: Duration = Duration::from_secs(150);
/// …and so does the running one a little later, and goes on.
pub const HANDOVER_PATIENCE: Duration = Duration::from_secs(160);
/// A running process that closes the connection is asked again for so long…
pub const HANDOVER_ASK_AGAIN: Duration = Duration::from_secs(5);
/// …with this between two tries.
pub(crate) const HANDOVER_ASK_PAUSE: Duration = Duration::from_millis(20);
/// Connections that have not said yet that they ask; beyond that, new ones are closed.
pub(crate) const HANDOVER_ASKERS_MAX: usize = 64;
/// Connections that wait to be accepted.
pub(crate) const HANDOVER_BACKLOG: i32 = 128;
/// Sockets that a process takes.
pub(crate) const HANDOVER_SOCKETS_MAX: usize = 4_096;
/// Bytes of a word.
pub(crate) const HANDOVER_WORD_BYTES_MAX: usize = 64;
/// Bytes of the name of what a socket is for.
pub const HANDOVER_ROLE_BYTES_MAX: usize = 32;

/// Bytes of what a router says to a cell before a client's own bytes.
pub const PREFACE_BYTES_MAX: usize = 256;
/// How long a cell waits for it.
pub const PREFACE_DEADLINE: Duration = Duration::from_secs(5);
/// How far the clocks of a router and a cell may be apart, the way between them included.
pub const PREFACE_AGE_MAX: Duration = Duration::from_secs(60);
/// Shorter keys between routers and cells could be guessed.
pub const LINK_KEY_BYTES_MIN: usize = 32;

/// For a router's connection to a cell.
pub const LINK_DIAL_DEADLINE: Duration = Duration::from_secs(2);
/// A cell that fell silent is asked for a sign of life after this, and then at the interval…
pub const LINK_KEEPALIVE_AFTER: Duration = Duration::from_secs(10);
/// …which is shorter than for clients, since the way is short and a dead machine is to be noticed.
pub const LINK_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// A cell whose machine confirms nothing for so long is gone.
pub const LINK_SILENCE_MAX: Duration = Duration::from_secs(20);
