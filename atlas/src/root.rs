//! What an atlas holds, in 32 bytes.
//!
//! A leaf is a block of names. The leaves of a segment are under its root, the segments under that
//! of the atlas. The bytes of a segment are hashed as well, so that nobody can write the same names
//! in another way under the same root.

use std::fmt;
use std::io::Write as _;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::atlas::Atlas;
use crate::place::Place;
use crate::rows::BLOCK_NAMES;
use crate::segment::{Damaged, Segment, SegmentRows};
use crate::tree::{self, Hash, Kind};

/// The root of the hash tree over an atlas.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Root(pub(crate) Hash);

impl Atlas {
    /// The root of its hash tree. The first call hashes every segment that is new.
    ///
    /// # Errors
    /// [`Damaged`] if a row cannot be read.
    pub fn root(&self) -> Result<Root, Damaged> {
        let summaries = self.summaries()?;
        Ok(Root(of_atlas(self.len() as u64, summaries.len() as u64, tree::root(&summaries))))
    }

    pub(crate) fn summaries(&self) -> Result<Vec<Hash>, Damaged> {
        self.segments.iter().map(|segment| segment.summary_hash()).collect()
    }
}

/// What is kept of a segment's tree: enough to build any path from a few blocks.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    /// What stands for the segment in the tree of the atlas.
    hash: Hash,
    /// Of its bytes.
    bytes: Hash,
    /// The roots over each [`GROUP`] of blocks.
    groups: Box<[Hash]>,
}

/// Blocks whose hashes are made anew for each path; a power of two, so that groups are subtrees.
const GROUP: usize = if cfg!(test) { 2 } else { 64 };

impl Segment {
    /// What stands for it in the tree of the atlas.
    pub(crate) fn summary_hash(&self) -> Result<Hash, Damaged> {
        Ok(self.summarised()?.hash)
    }

    pub(crate) fn bytes_hash(&self) -> Result<Hash, Damaged> {
        Ok(self.summarised()?.bytes)
    }

    /// The hashes from a block to the root over all blocks.
    pub(crate) fn path(&self, block: usize) -> Result<Vec<Hash>, Damaged> {
        let group = block / GROUP;
        let leaves = self.leaves(group * GROUP, GROUP)?;
        let mut path = tree::path(&leaves, block % GROUP);
        path.extend(tree::path(&self.summarised()?.groups, group));
        Ok(path)
    }

    fn summarised(&self) -> Result<&Summary, Damaged> {
        if let Some(summary) = self.summary.get() {
            return Ok(summary);
        }
        let leaves = self.leaves(0, self.blocks())?;
        let groups: Box<[Hash]> = leaves.chunks(GROUP).map(tree::root).collect();
        let bytes = tree::hash(Kind::Leaf, &[self.bytes()]);
        let hash = of_segment(self.blocks() as u64, tree::root(&groups), bytes);
        Ok(self.summary.get_or_init(|| Summary { hash, bytes, groups }))
    }

    /// The hashes of at most so many blocks.
    fn leaves(&self, first: usize, blocks_max: usize) -> Result<Vec<Hash>, Damaged> {
        let mut rows = SegmentRows::from_block(self, first);
        let (mut leaves, mut block, mut count) = (Vec::new(), Vec::new(), 0);
        while leaves.len() < blocks_max
            && let Some(row) = rows.next()
        {
            let row = row?;
            put_row(&mut block, row.name, row.place);
            count += 1;
            if count == BLOCK_NAMES {
                leaves.push(of_block(&block));
                block.clear();
                count = 0;
            }
        }
        if count > 0 {
            leaves.push(of_block(&block));
        }
        Ok(leaves)
    }
}

/// A name and its place as they are hashed: each part with its length before it.
pub(crate) fn put_row(out: &mut Vec<u8>, name: &[u8], place: Place<'_>) {
    put_part(out, |out| out.extend_from_slice(name));
    // Writing to memory does not fail.
    put_part(out, |out| drop(write!(out, "{}", place.host)));
    out.extend_from_slice(&place.port.get().to_be_bytes());
    out.extend_from_slice(&place.epoch.number().to_be_bytes());
}

/// Both parts have fewer than 256 bytes.
fn put_part(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    write(out);
    let bytes = out.len() - at - 1;
    if let Some(length) = out.get_mut(at) {
        *length = u8::try_from(bytes).unwrap_or(u8::MAX);
    }
}

pub(crate) fn of_block(rows: &[u8]) -> Hash {
    tree::hash(Kind::Leaf, &[rows])
}

pub(crate) fn of_segment(blocks: u64, root: Hash, bytes: Hash) -> Hash {
    tree::hash(Kind::Segment, &[&blocks.to_be_bytes(), &root, &bytes])
}

pub(crate) fn of_atlas(names: u64, segments: u64, root: Hash) -> Hash {
    tree::hash(Kind::Atlas, &[&names.to_be_bytes(), &segments.to_be_bytes(), &root])
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({self})")
    }
}

impl Serialize for Root {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        parse_hash(&text).map(Self).ok_or_else(|| de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// A hash as 64 lower-case hexadecimal digits.
pub(crate) fn parse_hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    let is_plain = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if text.len() != 2 * hash.len() || !is_plain {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(hash)
}
