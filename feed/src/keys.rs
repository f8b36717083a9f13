//! Under which keys a store such as Redis carries the feed.
//!
//! - `PREFIX:changes` is a stream. Each entry is a signed batch with at least one change; the
//!   number of its last change is the first half of the entry's id, so that the store itself
//!   refuses what is there already, and whoever knows change 41 reads on after `41-0`.
//! - `PREFIX:newest` is the last signed word that there is nothing after the stream's last entry.
//! - `PREFIX:snapshot` is a signed snapshot, and `PREFIX:checkpoint` what the registrar says about
//!   it. The stream has everything since.

/// The keys of one feed. They are for one registrar: a second one takes another prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierKeys {
    /// The stream of batches.
    pub changes: String,
    /// The newest word.
    pub newest: String,
    /// The snapshot.
    pub snapshot: String,
    /// Its checkpoint alone.
    pub checkpoint: String,
}

impl CarrierKeys {
    /// What keys begin with unless somebody wants it otherwise.
    pub const PREFIX: &'static str = "warren:feed";
    /// The one field of an entry of the stream.
    pub const FIELD: &'static str = "signed";

    /// The keys that begin with this.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let key = |name| format!("{prefix}:{name}");
        Self {
            changes: key("changes"),
            newest: key("newest"),
            snapshot: key("snapshot"),
            checkpoint: key("checkpoint"),
        }
    }

    /// The id of the entry whose last change this is.
    #[must_use]
    pub fn entry_id(number: u64) -> String {
        format!("{number}-0")
    }
}
