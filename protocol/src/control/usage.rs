//! What an identity used: what a cell tells the registrar of it, now and then and only of those who
//! used something.

use serde::{Deserialize, Serialize};

use crate::AtSign;

/// Most rows in one [`UsageBatch`].
pub const USAGE_ROWS_MAX: usize = 4_000;

/// What was used in some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Used {
    /// Commands of whoever was connected.
    pub commands: u64,
    /// Bytes that came in them.
    pub bytes_in: u64,
    /// Bytes that went out.
    pub bytes_out: u64,
    /// How often the server was woken.
    pub wakes: u64,
    /// How long it was awake.
    pub awake_ms: u64,
    /// Bytes on the volume, as of the last time that it was told.
    pub stored_bytes: u64,
}

impl Used {
    /// This, and what came after it.
    #[must_use]
    pub fn and_then(self, later: Self) -> Self {
        Self {
            commands: self.commands.saturating_add(later.commands),
            bytes_in: self.bytes_in.saturating_add(later.bytes_in),
            bytes_out: self.bytes_out.saturating_add(later.bytes_out),
            wakes: self.wakes.saturating_add(later.wakes),
            awake_ms: self.awake_ms.saturating_add(later.awake_ms),
            stored_bytes: match later.stored_bytes {
                0 => self.stored_bytes,
                bytes => bytes,
            },
        }
    }
}

/// What one identity used since the last batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRow {
    /// Who.
    pub identity: AtSign,
    /// What.
    #[serde(flatten)]
    pub used: Used,
}

/// What some used. A batch is told until it is taken, and counts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageBatch {
    /// From 1 within a term of the cell; a further telling has the same.
    pub number: u64,
    /// At most [`USAGE_ROWS_MAX`].
    pub rows: Vec<UsageRow>,
}
