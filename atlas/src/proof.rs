//! That a name is where it is said to be, for somebody who knows no more than the root.

use protocol::{Address, AtSign, Epoch};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::atlas::Atlas;
use crate::place::Place;
use crate::root::{Root, of_atlas, of_block, of_segment, parse_hash, put_row};
use crate::rows::BLOCK_NAMES;
use crate::segment::{Damaged, SegmentRows};
use crate::tree::{self, Hash};

/// More hashes than this lead nowhere: a tree has at most 2^64 leaves.
const PATH_MAX: usize = 64;

/// The block in which a name stands, and the way from there to the root. As JSON about 3 KB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// All names of the block: with its neighbours a name is proven at little cost.
    rows: Vec<ProofRow>,
    block: Step,
    /// Of the segment's bytes.
    bytes: Digest,
    segment: Step,
    /// In the whole atlas.
    names: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofRow {
    identity: AtSign,
    address: Address,
    epoch: Epoch,
}

/// A leaf's place in its tree, and the hashes from there to the tree's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    index: u64,
    count: u64,
    path: Vec<Digest>,
}

/// A hash as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digest(Hash);

/// A proof does not prove what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It leads to another root.
    #[error("the proof does not lead to the signed root")]
    OtherRoot,
    /// It is about others.
    #[error("the proof is not about this name")]
    OtherName,
}

impl Atlas {
    /// The proof for a name; none if the name is not here.
    ///
    /// # Errors
    /// [`Damaged`] if a row cannot be read.
    pub fn prove(&self, name: &[u8]) -> Result<Option<Proof>, Damaged> {
        let Some(index) = self.segment_of(name).filter(|_| self.find(name).is_some()) else {
            return Ok(None);
        };
        let Some((segment, block)) =
            self.segments.get(index).and_then(|segment| Some((segment, segment.block_of(name)?)))
        else {
            return Ok(None);
        };
        let mut rows = Vec::with_capacity(BLOCK_NAMES);
        let mut cursor = SegmentRows::from_block(segment, block);
        while rows.len() < BLOCK_NAMES
            && let Some(row) = cursor.next()
        {
            let row = row?;
            let text = std::str::from_utf8(row.name).map_err(|_| Damaged("a name is no text"))?;
            let identity = AtSign::parse(text).map_err(|_| Damaged("a name is none"))?;
            rows.push(ProofRow { identity, address: row.place.address(), epoch: row.place.epoch });
        }
        let summaries = self.summaries()?;
        Ok(Some(Proof {
            rows,
            block: Step::new(block, segment.blocks(), segment.path(block)?),
            bytes: Digest(segment.bytes_hash()?),
            segment: Step::new(index, summaries.len(), tree::path(&summaries, index)),
            names: self.len() as u64,
        }))
    }
}

impl Proof {
    /// Where the name is, and under which epoch, as of this root.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn check(&self, root: &Root, name: &AtSign) -> Result<(Address, Epoch), ProofError> {
        let row = self.rows.iter().find(|row| row.identity == *name);
        let row = row.filter(|_| self.rows.len() <= BLOCK_NAMES).ok_or(ProofError::OtherName)?;
        match self.root() == Some(*root) {
            true => Ok((row.address.clone(), row.epoch)),
            false => Err(ProofError::OtherRoot),
        }
    }

    fn root(&self) -> Option<Root> {
        let mut block = Vec::new();
        for ProofRow { identity, address, epoch } in &self.rows {
            let place = Place { host: (&address.host).into(), port: address.port, epoch: *epoch };
            put_row(&mut block, identity.bare().as_bytes(), place);
        }
        let segment = self.block.root_from(of_block(&block))?;
        let summary = of_segment(self.block.count, segment, self.bytes.0);
        let atlas = self.segment.root_from(summary)?;
        Some(Root(of_atlas(self.names, self.segment.count, atlas)))
    }
}

impl Step {
    fn new(index: usize, count: usize, path: Vec<Hash>) -> Self {
        let path = path.into_iter().map(Digest).collect();
        Self { index: index as u64, count: count as u64, path }
    }

    fn root_from(&self, leaf: Hash) -> Option<Hash> {
        let path: Vec<Hash> = self.path.iter().take(PATH_MAX + 1).map(|digest| digest.0).collect();
        tree::root_of(leaf, self.index, self.count, &path)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Root(self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        parse_hash(&text).map(Self).ok_or_else(|| de::Error::custom("not 64 hexadecimal digits"))
    }
}
