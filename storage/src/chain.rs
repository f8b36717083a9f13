//! The hash that runs through a log: each record's place depends on all records before it.

use protocol::{AtSign, VolumeId};

/// The value of the chain at one point of a log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain([u8; 32]);

impl Chain {
    /// The value before the first record of a volume.
    pub(crate) fn genesis(volume: VolumeId, name: &AtSign) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("warren storage chain genesis v1");
        hasher.update(volume.as_bytes()).update(name.bare().as_bytes());
        Self(hasher.finalize().into())
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// The value after one more record, of which all bytes count.
    pub(crate) fn after(&self, record: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0).update(record);
        Self(hasher.finalize().into())
    }

    /// Its first half, which records and watermarks carry: 128 bits that nobody can aim at without
    /// the volume's key.
    pub(crate) fn short(&self) -> [u8; 16] {
        let mut short = [0; 16];
        short.copy_from_slice(&self.0[..16]);
        short
    }
}

/// A point of a log: all that a writer needs to go on from there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Number of the last batch; 0 before the first.
    pub(crate) seq: u64,
    pub(crate) chain: Chain,
    /// Offset in the current segment.
    pub(crate) end: u32,
}
