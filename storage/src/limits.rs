//! Every limit of the store, with its reason.

/// Longest key of an entry. The protocol's longest key name has 248 characters of up to four bytes;
/// the callers put a short prefix before it.
pub const KEY_BYTES_MAX: usize = 1_100;

/// Largest value: the protocol's longest command is 10,240,000 bytes, and the caller wraps the value.
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// Largest encoded batch: one value of the largest size and whatever goes with it.
pub const BATCH_BYTES_MAX: usize = 24 << 20;

/// Bytes of batches that may wait for the disk in one store; more are refused as busy.
pub const PENDING_BYTES_MAX: usize = 48 << 20;

/// Largest segment. Offsets are 32 bits wide in the format, and in a watermark 31.
pub const SEGMENT_BYTES_MAX: u32 = (2 << 30) - 1;

/// Entries of a snapshot are gathered into records of about this size: reading one value opens its
/// whole record, so a larger one would make reads dear, a smaller one would waste disk.
pub const SNAPSHOT_RECORD_BYTES: usize = 4 << 10;

/// A compaction hands its records to the disk in pieces of this size.
pub const COMPACTION_WRITE_BYTES: usize = 256 << 10;

/// Compaction is not worth it below so many dead bytes, whatever their share.
pub const DEAD_BYTES_MIN: u64 = 64 << 10;

/// Compaction is worth it when a log consists of so many segments, whatever they hold.
pub const SEGMENTS_WORTH_MERGING: usize = 8;

/// Longest row of segments that an opening follows back to a state.
pub const SEGMENTS_MAX: usize = 1_024;

/// Most names that a volume's folder is read for.
pub const FOLDER_NAMES_MAX: usize = 4_096;

/// Fences that stay in a volume's folder. One is enough for a look that sees all names of one moment;
/// so many make up for a look that lasts, on a mount that reads a folder in pieces, while others open
/// the volume again and again.
pub const FENCES_KEPT: usize = 8;

/// How often an opening reads a log that its last writer, fenced already, may still be writing. Each
/// such writer has at most one write under way.
pub const READINGS_MAX: u32 = 4;

/// How often a compaction waits for the queue to run dry before it gives way to the writers.
pub const QUIET_ATTEMPTS_MAX: u32 = 8;

/// A scan reads the log in pieces of this size.
pub const SCAN_BYTES: usize = 64 << 10;

/// Most places in a tail that look like a record and are tried as one, before the tail is refused.
pub const TAIL_CANDIDATES_MAX: u32 = 4_096;

/// An idle store keeps its write buffer up to this size and gives back what is more.
pub const IDLE_BUFFER_BYTES: usize = 2 << 10;

/// Most slots of one watermark file: 128 MiB, a hundred times what a cell is meant to hold.
pub const WATERMARK_SLOTS_MAX: u32 = 1 << 20;

/// Syncs that one job does before it leaves the rest to another.
pub const SYNCS_A_JOB_MAX: u32 = 8;

/// So many commits since the opening make a writer that is worth laying out room for.
pub const ROOM_AFTER_COMMITS: u32 = 16;

/// Room that is laid out behind the log at once. A sync into room costs less than one that has to
/// note a new size of the file; it is given back on closing.
pub const ROOM_BYTES: usize = 128 << 10;
