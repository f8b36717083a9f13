//! What the registrar says about everything as of one change.

use atlas::Root;
use protocol::{FeedId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::signed::Statement;

/// All names and where they are, as of one change, in 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Which feed this is.
    pub feed: FeedId,
    /// The last change that it contains.
    pub number: u64,
    /// Of the hash tree over all names ([`atlas::Atlas::root`]).
    pub root: Root,
    /// When the registrar said so.
    pub at: Timestamp,
}

impl Statement for Checkpoint {
    const DOMAIN: &'static [u8] = b"warren feed checkpoint 1\n";
}
