//! One segment: neighbouring names, packed and never changed.
//!
//! Its bytes are, all numbers little-endian: the count of names, of hosts and of blocks, and the
//! length of the blocks' bytes, 32 bits each; the hosts in order, each a length byte and a name or
//! `*.` and a suffix; the offset of each block; the blocks.

use std::sync::OnceLock;

use crate::cut::is_cut;
use crate::hosts;
use crate::index::{Blocks, Index};
use crate::pack::Packer;
use crate::place::Place;
use crate::root::Summary;
use crate::rows::{self, BLOCK_NAMES, PackedPlace, Row};

/// Bytes of the four counts.
pub(crate) const HEAD_BYTES: usize = 16;

/// A sorted run of names with their places.
#[derive(Debug, Clone)]
pub struct Segment {
    bytes: Box<[u8]>,
    /// Where each host stands in the bytes.
    hosts: Box<[u32]>,
    names: usize,
    blocks: usize,
    /// Where the blocks' offsets begin.
    offsets_at: usize,
    /// Where the blocks begin.
    blocks_at: usize,
    index: Index,
    /// What stands for it in the hash tree, once somebody has asked.
    pub(crate) summary: OnceLock<Summary>,
}

impl PartialEq for Segment {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Segment {}

/// The bytes are no segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no segment of an atlas: {0}")]
pub struct Damaged(pub(crate) &'static str);

impl Segment {
    /// Takes over bytes that [`bytes`](Self::bytes) gave. What the blocks hold is not looked at
    /// here: whoever cannot rely on a checksum calls [`verify`](Self::verify).
    ///
    /// # Errors
    /// [`Damaged`] if the parts do not fit together.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Damaged> {
        let mut rest = &bytes[..];
        let [names, hosts_count, blocks, data] =
            [(); 4].map(|()| take_number(&mut rest).unwrap_or(usize::MAX));
        if data == usize::MAX || names == 0 || blocks != names.div_ceil(BLOCK_NAMES) {
            return Err(Damaged("its counts are wrong"));
        }
        let hosts = take_hosts(&mut rest, hosts_count, bytes.len())?;
        let offsets_at = bytes.len() - rest.len();
        let blocks_at = blocks
            .checked_mul(4)
            .and_then(|length| length.checked_add(offsets_at))
            .ok_or(Damaged("it has too many blocks"))?;
        if blocks_at.checked_add(data) != Some(bytes.len()) {
            return Err(Damaged("it is cut short or too long"));
        }
        let bytes = bytes.into_boxed_slice();
        let (index, summary) = (Index::new(std::iter::empty()), OnceLock::new());
        let segment = Self { bytes, hosts, names, blocks, offsets_at, blocks_at, index, summary };
        let heads = (0..blocks).map(|block| segment.head(block).unwrap_or_default());
        let index = Index::new(heads);
        Ok(Self { index, ..segment })
    }

    /// What it is stored and sent as.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many names it has; never none.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a segment is never empty")]
    pub fn len(&self) -> usize {
        self.names
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Its first name.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        self.head(0).unwrap_or_default()
    }

    /// Where this name is.
    #[must_use]
    pub fn find<'a>(&'a self, name: &'a [u8]) -> Option<Place<'a>> {
        let mut block = self.block(self.block_of(name)?)?;
        // How much of `name` the name before begins with: rows that share less are behind it.
        let mut matched = 0;
        while !block.is_empty() {
            let (shared, rest) = rows::take_name(&mut block)?;
            if shared < matched {
                return None;
            }
            if shared == matched {
                let wanted = name.get(matched..)?;
                let same = rest.iter().zip(wanted).take_while(|(a, b)| a == b).count();
                if same == wanted.len() && same == rest.len() {
                    return self.place(rows::take_place(&mut block)?, name);
                }
                if rest.get(same..) > wanted.get(same..) {
                    return None;
                }
                matched += same;
            }
            rows::skip_place(&mut block)?;
        }
        None
    }

    /// The number of the block that holds this name, if any does.
    pub(crate) fn block_of(&self, name: &[u8]) -> Option<usize> {
        let (mut low, mut high) = match self.index.find(name) {
            Blocks::None => return None,
            Blocks::One(block) => return Some(block),
            Blocks::Some(range) => (range.start, range.end),
        };
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.head(middle)? <= name { low = middle + 1 } else { high = middle }
        }
        low.checked_sub(1)
    }

    /// Checks that it is what a [`Packer`] makes of the names in it: then every name is found, and
    /// nothing else is in its bytes.
    ///
    /// # Errors
    /// [`Damaged`] if a row cannot be read, a name is none or out of order, a cut is missing, or the
    /// names would be packed in another way.
    pub fn verify(&self) -> Result<(), Damaged> {
        const OTHERWISE: Damaged = Damaged("its names are packed in another way");
        let mut rows = SegmentRows::new(self);
        let mut packer = Packer::default();
        let mut is_first = true;
        while let Some(row) = rows.next() {
            let row = row?;
            let text = std::str::from_utf8(row.name).map_err(|_| Damaged("a name is no text"))?;
            if protocol::AtSign::parse(text).map_or(true, |name| name.bare() != text) {
                return Err(Damaged("a name is not normalised"));
            }
            if !is_first && is_cut(row.name) {
                return Err(Damaged("a cut is missing"));
            }
            is_first = false;
            let pushed = packer.push(row.name, row.place);
            pushed.map_err(|_| Damaged("its names are not in order"))?;
        }
        let packed = packer.finish().map_err(|_| OTHERWISE)?;
        match &packed[..] {
            [again] if again.bytes == self.bytes => Ok(()),
            _ => Err(OTHERWISE),
        }
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        /// What an allocator adds to an allocation, about.
        const ALLOCATION: usize = 16;
        let hosts = size_of_val(&*self.hosts);
        let index = self.index.memory_bytes();
        size_of::<Self>() + self.bytes.len() + index + hosts + 2 * ALLOCATION
    }

    /// The place of this name.
    fn place<'a>(&'a self, packed: PackedPlace, name: &'a [u8]) -> Option<Place<'a>> {
        let at = *self.hosts.get(usize::try_from(packed.host).ok()?)?;
        let form = take_host(&mut self.bytes.get(usize::try_from(at).ok()?..)?)?;
        let host = hosts::host(std::str::from_utf8(form).ok()?, name)?;
        Some(Place { host, port: packed.port, epoch: packed.epoch })
    }

    fn head(&self, block: usize) -> Option<&[u8]> {
        rows::head(self.block(block)?)
    }

    fn block(&self, block: usize) -> Option<&[u8]> {
        let from = self.offset(block)?;
        let to = match block + 1 == self.blocks {
            true => self.bytes.len(),
            false => self.offset(block + 1)?,
        };
        self.bytes.get(from..to)
    }

    fn offset(&self, block: usize) -> Option<usize> {
        let at = self.offsets_at + 4 * block;
        let offset = self.bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)?;
        self.blocks_at.checked_add(usize::try_from(offset).ok()?)
    }
}

/// Reads a segment from its first row to its last.
pub(crate) struct SegmentRows<'a> {
    segment: &'a Segment,
    block: usize,
    rest: &'a [u8],
    name: Vec<u8>,
}

impl<'a> SegmentRows<'a> {
    pub(crate) fn new(segment: &'a Segment) -> Self {
        Self::from_block(segment, 0)
    }

    /// Begins with the first row of a block.
    pub(crate) fn from_block(segment: &'a Segment, block: usize) -> Self {
        let block = block.min(segment.blocks);
        Self { segment, block, rest: &[], name: Vec::new() }
    }

    /// Whether nothing is left.
    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_empty() && self.block == self.segment.blocks
    }

    /// The next row; its name is good until the next call.
    pub(crate) fn next(&mut self) -> Option<Result<Row<'_>, Damaged>> {
        if self.is_done() {
            return None;
        }
        if self.rest.is_empty() {
            self.name.clear();
            self.rest = self.segment.block(self.block).unwrap_or_default();
            self.block += 1;
        }
        let packed = self.step();
        match packed.and_then(|packed| self.segment.place(packed, &self.name)) {
            Some(place) => Some(Ok(Row { name: &self.name, place })),
            None => {
                // Nothing behind a row that cannot be read can be.
                self.rest = &[];
                self.block = self.segment.blocks;
                Some(Err(Damaged("a row cannot be read")))
            }
        }
    }

    fn step(&mut self) -> Option<PackedPlace> {
        let row = rows::take(&mut self.rest)?;
        if row.shared > self.name.len() || row.shared + row.rest.len() > rows::NAME_BYTES_MAX {
            return None;
        }
        self.name.truncate(row.shared);
        self.name.extend_from_slice(row.rest);
        Some(row.place)
    }
}

fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let (front, back) = bytes.split_first_chunk::<4>()?;
    *bytes = back;
    usize::try_from(u32::from_le_bytes(*front)).ok()
}

/// Where each host stands, of bytes that are `length` in all and begin with the hosts.
fn take_hosts(bytes: &mut &[u8], count: usize, length: usize) -> Result<Box<[u32]>, Damaged> {
    const CUT: Damaged = Damaged("its hosts are cut short");
    let mut hosts = Vec::new();
    let mut last = "";
    for _ in 0..count {
        hosts.push(u32::try_from(length - bytes.len()).map_err(|_| CUT)?);
        let text = take_host(bytes).ok_or(CUT)?;
        let text = std::str::from_utf8(text).map_err(|_| Damaged("a host is no text"))?;
        if !hosts::is_form(text) {
            return Err(Damaged("a host is no host name"));
        }
        if last >= text {
            return Err(Damaged("its hosts are not in order"));
        }
        last = text;
    }
    Ok(hosts.into())
}

fn take_host<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first()?;
    let (host, rest) = rest.split_at_checked(usize::from(*length))?;
    *bytes = rest;
    Some(host)
}
