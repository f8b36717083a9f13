//! The registrar's feed: all that the directory knows comes from here, as changes numbered 1, 2,
//! 3 … A replica starts from a [`Snapshot`], follows [`Batch`]es from there, and refuses gaps.

use serde::{Deserialize, Serialize};

use crate::id::FeedId;
use crate::{Address, AtSign, Epoch, Timestamp};

/// Most changes in one [`Batch`].
pub const BATCH_CHANGES_MAX: usize = 10_000;

/// One change of what the directory answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its number; the first is 1, and none is left out.
    pub number: u64,
    /// Whose address changes.
    pub identity: AtSign,
    /// The new address, or none once the identity is gone.
    pub address: Option<Address>,
    /// The placement's epoch. A change never carries a lower one than its identity had.
    pub epoch: Epoch,
}

/// Changes in order, all of those after the number that was asked for up to `last`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Which feed this is.
    pub feed: FeedId,
    /// At most [`BATCH_CHANGES_MAX`], in order, without a gap; may be empty.
    pub changes: Vec<Change>,
    /// The number of the registrar's newest change; more than the batch holds means: ask again.
    pub newest: u64,
    /// When the registrar said so.
    pub at: Timestamp,
}

/// One identity as a snapshot holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Whose.
    pub identity: AtSign,
    /// Where.
    pub address: Address,
    /// Under which epoch.
    pub epoch: Epoch,
}

/// All that a replica must know as of change `number`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Which feed this is.
    pub feed: FeedId,
    /// The last change that it contains.
    pub number: u64,
    /// Every identity that has an address.
    pub entries: Vec<Entry>,
}
