//! How much the atProtocol lets anybody send.

/// Longest command to a personal server, in bytes without its line end (protocol notes 2.2).
pub const COMMAND_BYTES_MAX: usize = 10_240_000;

/// Longest line to the directory, in bytes without its line end (protocol notes 1.2).
pub const DIRECTORY_LINE_BYTES_MAX: usize = 255;

/// Longest answer of a directory: the longest host name, a port and the prompts around them.
pub const DIRECTORY_ANSWER_BYTES_MAX: usize = 512;

/// Longest line from another personal server, in bytes (protocol notes 4.5).
pub const PEER_LINE_BYTES_MAX: usize = 10_240_000;

/// Longest ordinary key, in UTF-16 units: so that its cached copy still fits (protocol notes 6.2).
pub const KEY_UNITS_MAX: usize = 248;

/// Longest key that starts with `cached:`, in UTF-16 units.
pub const CACHED_KEY_UNITS_MAX: usize = 255;

/// Longest wait that `noop` may ask for, in milliseconds (protocol notes 5.19).
pub const NOOP_MILLIS_MAX: u64 = 5_000;

/// Longest regular expression that a client may send, in bytes. Ours: the protocol names none.
pub const REGEX_BYTES_MAX: usize = 4_096;

/// Longest id that a client may give a notification, in bytes. Ours: the protocol names none.
pub const NOTIFICATION_ID_BYTES_MAX: usize = 128;

/// Most recipients of one `notify:all`. Ours: the protocol names none.
pub const NOTIFY_ALL_MAX: usize = 256;

/// Most commands of one `batch`. Ours: the protocol names none.
pub const BATCH_COMMANDS_MAX: usize = 256;

/// Longest name of a notifier, in bytes. Ours: the protocol names none.
pub const NOTIFIER_BYTES_MAX: usize = 256;

/// Longest text of one metadata part, in bytes. Ours: the protocol names none; the longest part in
/// use is an RSA-4096 signature or a wrapped key in base64.
pub const METADATA_TEXT_BYTES_MAX: usize = 8_192;

/// Capacity that a decoder keeps while it is idle, in bytes.
pub const IDLE_CAPACITY_MAX: usize = 1_024;

/// Longest id of an enrolment, in bytes; those that a server draws have 36.
pub const ENROLLMENT_ID_BYTES_MAX: usize = 64;

/// Longest name of an app or a device that is enrolled, in bytes. Ours: the protocol names none.
pub const APP_NAME_BYTES_MAX: usize = 128;

/// Longest key that comes with an enrolment, in bytes; the longest in use is an encrypted RSA-4096
/// private key in base64. Ours: the protocol names none.
pub const ENROLLMENT_KEY_BYTES_MAX: usize = 16_384;

/// Namespaces that one enrolment may name. Ours: the protocol names none.
pub const NAMESPACES_MAX: usize = 64;

/// Longest namespace, in bytes. Ours: the protocol names none but the longest key.
pub const NAMESPACE_BYTES_MAX: usize = 128;

/// Longest one-time passcode, in bytes. Ours: the protocol names none.
pub const PASSCODE_BYTES_MAX: usize = 128;
