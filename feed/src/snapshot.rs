//! Everything in one piece: a signed checkpoint, and the atlas that it speaks of.
//!
//! As bytes: the checkpoint's length (32 bits, little-endian) and its bytes, then each segment's
//! length and bytes, to the end.

use std::sync::Arc;

use atlas::{Atlas, Damaged, MergeError, PackError, Packer, Place, Segment};
use protocol::control::feed::{Change, Entry, Snapshot};
use protocol::{Address, Timestamp};

use crate::changes::Latest;
use crate::checkpoint::Checkpoint;
use crate::key::{FeedKey, SigningKey};
use crate::signed::{Forged, Signed};

/// A snapshot whose signature and tree were found to be right, or that was made here.
#[derive(Debug, Clone)]
pub struct SignedSnapshot {
    checkpoint: Checkpoint,
    signed: Signed,
    atlas: Arc<Atlas>,
}

/// Why a snapshot is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Its checkpoint is not the registrar's.
    #[error("the snapshot's checkpoint is not to be believed")]
    Forged(#[from] Forged),
    /// Its bytes end too early.
    #[error("the snapshot is cut short")]
    Cut,
    /// Its names are none, or out of order.
    #[error("the snapshot's names cannot be read")]
    Damaged(#[from] Damaged),
    /// It can be read, and is not what was signed.
    #[error("the snapshot is not what its checkpoint says")]
    OtherRoot,
    /// It is larger than an atlas can be, or has a name twice.
    #[error("the names cannot be packed")]
    Pack(#[from] PackError),
    /// Changes cannot be taken over.
    #[error("the changes cannot be taken over")]
    Merge(#[from] MergeError),
    /// It is being renewed.
    #[error("the snapshot is being renewed: ask again in a moment")]
    Renewed,
}

impl SignedSnapshot {
    /// Packs and signs.
    ///
    /// # Errors
    /// [`SnapshotError::Pack`].
    pub fn of(snapshot: &Snapshot, at: Timestamp, key: &SigningKey) -> Result<Self, SnapshotError> {
        let atlas = Arc::new(pack(&snapshot.entries)?);
        let root = atlas.root()?;
        let checkpoint = Checkpoint { feed: snapshot.feed, number: snapshot.number, root, at };
        let signed = Signed::of(&checkpoint, key)?;
        Ok(Self { checkpoint, signed, atlas })
    }

    /// This snapshot with changes, in the order of their numbers, up to change `number`; signed anew.
    ///
    /// # Errors
    /// [`SnapshotError`] if it cannot be packed.
    pub fn with(
        &self,
        changes: &[Change],
        number: u64,
        at: Timestamp,
        key: &SigningKey,
    ) -> Result<Self, SnapshotError> {
        let mut latest = Latest::default();
        changes.iter().try_for_each(|change| latest.add(change))?;
        let atlas = latest.merge(Atlas::clone(&self.atlas), |_| {})?;
        let atlas = Arc::new(atlas);
        let checkpoint = Checkpoint { number, root: atlas.root()?, at, ..self.checkpoint };
        let signed = Signed::of(&checkpoint, key)?;
        Ok(Self { checkpoint, signed, atlas })
    }

    /// An atlas that a checkpoint speaks of, whose signature was checked.
    ///
    /// # Errors
    /// [`SnapshotError::OtherRoot`] if it speaks of another.
    pub fn matching(
        signed: Signed,
        checkpoint: Checkpoint,
        atlas: Arc<Atlas>,
    ) -> Result<Self, SnapshotError> {
        match atlas.root()? == checkpoint.root {
            true => Ok(Self { checkpoint, signed, atlas }),
            false => Err(SnapshotError::OtherRoot),
        }
    }

    /// The same for what was checked when it was stored: nothing is checked again.
    ///
    /// # Errors
    /// [`SnapshotError::Forged`] if `signed` is no checkpoint.
    pub fn stored(signed: Signed, atlas: Arc<Atlas>) -> Result<Self, SnapshotError> {
        let checkpoint = signed.stated()?;
        Ok(Self { checkpoint, signed, atlas })
    }

    pub(crate) fn from_parts(checkpoint: Checkpoint, signed: Signed, atlas: Arc<Atlas>) -> Self {
        Self { checkpoint, signed, atlas }
    }

    pub(crate) fn into_parts(self) -> (Checkpoint, Signed, Arc<Atlas>) {
        (self.checkpoint, self.signed, self.atlas)
    }

    /// Reads the bytes, and checks that the key has signed exactly what is in them.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn open(bytes: &[u8], key: &FeedKey) -> Result<Self, SnapshotError> {
        let mut rest = bytes;
        let signed = Signed::from_bytes(part(&mut rest)?)?;
        let checkpoint: Checkpoint = signed.open(key)?;
        let mut segments = Vec::new();
        while !rest.is_empty() {
            let segment = Segment::from_bytes(part(&mut rest)?.to_vec())?;
            segment.verify()?;
            segments.push(Arc::new(segment));
        }
        Self::matching(signed, checkpoint, Arc::new(Atlas::new(segments)?))
    }

    /// The bytes that travel.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let signed = self.signed.to_bytes();
        let parts = self.atlas.segments().iter().map(|segment| segment.bytes());
        let mut bytes = Vec::new();
        for part in std::iter::once(&signed[..]).chain(parts) {
            // The packer makes no segment of more than 32 bits.
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }

    /// What the registrar says of it.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The same as it was signed.
    #[must_use]
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// All names.
    #[must_use]
    pub fn atlas(&self) -> &Arc<Atlas> {
        &self.atlas
    }
}

/// Packs entries, which may come in any order.
///
/// # Errors
/// [`PackError`]: a name is there twice, or there are too many.
pub fn pack(entries: &[Entry]) -> Result<Atlas, PackError> {
    let mut sorted: Vec<_> = entries.iter().collect();
    sorted.sort_unstable_by(|a, b| a.identity.cmp(&b.identity));
    let mut packer = Packer::default();
    for entry in sorted {
        let Address { host, port } = &entry.address;
        let place = Place { host: host.into(), port: *port, epoch: entry.epoch };
        packer.push(entry.identity.bare().as_bytes(), place)?;
    }
    let segments = packer.finish()?.into_iter().map(Arc::new).collect();
    Atlas::new(segments).map_err(|_| PackError::TooLarge)
}

fn part<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], SnapshotError> {
    let (length, after) = rest.split_first_chunk().ok_or(SnapshotError::Cut)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| SnapshotError::Cut)?;
    let (part, after) = after.split_at_checked(length).ok_or(SnapshotError::Cut)?;
    *rest = after;
    Ok(part)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use protocol::{AtSign, Epoch, FeedId};

    use super::*;

    fn snapshot(names: &[&str]) -> Snapshot {
        let entry = |name: &&str| Entry {
            identity: AtSign::parse(name).unwrap(),
            address: Address::parse("a.example:7").unwrap(),
            epoch: Epoch::FIRST,
        };
        let entries = names.iter().map(entry).collect();
        Snapshot { feed: FeedId::from_bytes([1; 16]), number: 9, entries }
    }

    #[test]
    fn a_snapshot_opens_with_its_key_and_no_bit_of_it_can_be_changed() {
        let key = SigningKey::from_seed(&[1; 32]).unwrap();
        let public = key.public();
        let made = SignedSnapshot::of(&snapshot(&["bob", "alice"]), Timestamp(3), &key).unwrap();
        let bytes = made.to_bytes();
        let opened = SignedSnapshot::open(&bytes, &public).unwrap();
        assert_eq!(opened.checkpoint(), made.checkpoint());
        assert!(opened.atlas().find(b"alice").is_some());
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(SignedSnapshot::open(&bad, &public).is_err(), "bit {at}");
        }
        for cut in 0..bytes.len() {
            assert!(SignedSnapshot::open(&bytes[..cut], &public).is_err(), "cut at {cut}");
        }
        let other = SigningKey::from_seed(&[2; 32]).unwrap().public();
        let refused = SignedSnapshot::open(&bytes, &other);
        assert!(matches!(refused, Err(SnapshotError::Forged(Forged::Signature))));
    }

    #[test]
    fn the_names_of_one_snapshot_do_not_pass_under_the_signature_of_another() {
        let key = SigningKey::from_seed(&[1; 32]).unwrap();
        let of = |names: &[&str]| SignedSnapshot::of(&snapshot(names), Timestamp(3), &key).unwrap();
        let (one, other) = (of(&["alice"]), of(&["alice", "bob"]));
        let mixed = SignedSnapshot { atlas: Arc::clone(other.atlas()), ..one };
        let opened = SignedSnapshot::open(&mixed.to_bytes(), &key.public());
        assert!(matches!(opened, Err(SnapshotError::OtherRoot)));
    }

    #[test]
    fn nobody_is_in_a_snapshot_twice() {
        assert!(pack(&snapshot(&["alice", "Alice"]).entries).is_err());
    }

    #[test]
    fn a_snapshot_of_nobody_is_one_too() {
        let key = SigningKey::from_seed(&[1; 32]).unwrap();
        let empty = SignedSnapshot::of(&snapshot(&[]), Timestamp(3), &key).unwrap();
        let opened = SignedSnapshot::open(&empty.to_bytes(), &key.public()).unwrap();
        assert!(opened.atlas().is_empty());
    }
}
