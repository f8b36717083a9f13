//! Packing sorted names into segments.

use crate::cut::is_cut;
use crate::hosts::HostForms;
use crate::place::Place;
use crate::rows::{self, BLOCK_NAMES, NAME_BYTES_MAX, PackedPlace};
use crate::segment::{HEAD_BYTES, Segment};

/// Takes names in order, and makes segments of them.
#[derive(Debug, Default)]
pub struct Packer {
    done: Vec<Segment>,
    open: Open,
}

/// Why a name is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// It does not come after the one before.
    #[error("'{0}' does not come after the name before it")]
    Order(String),
    /// Longer than names are.
    #[error("a name has between 1 and {NAME_BYTES_MAX} bytes, this one has {0}")]
    Length(usize),
    /// A segment has outgrown what its numbers can say.
    #[error("more than 4 GiB of names belong together; an atlas cannot hold them")]
    TooLarge,
}

/// The segment that is being filled.
#[derive(Debug, Default)]
struct Open {
    names: Vec<u8>,
    ends: Vec<u32>,
    places: Vec<PackedPlace>,
    hosts: HostForms,
}

impl Packer {
    /// Takes the next name.
    ///
    /// # Errors
    /// [`PackError`], and then nothing was taken.
    pub fn push(&mut self, name: &[u8], place: Place<'_>) -> Result<(), PackError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(PackError::Length(name.len()));
        }
        if self.open.last().is_some_and(|last| last >= name) {
            return Err(PackError::Order(String::from_utf8_lossy(name).into_owned()));
        }
        if is_cut(name) {
            self.close()?;
        }
        self.open.push(name, place)
    }

    /// The segments, in order.
    ///
    /// # Errors
    /// [`PackError::TooLarge`].
    pub fn finish(mut self) -> Result<Vec<Segment>, PackError> {
        self.close()?;
        Ok(self.done)
    }

    /// Takes the segments that are complete already.
    pub fn drain(&mut self) -> Vec<Segment> {
        std::mem::take(&mut self.done)
    }

    fn close(&mut self) -> Result<(), PackError> {
        if !self.open.ends.is_empty() {
            self.done.push(std::mem::take(&mut self.open).pack()?);
        }
        Ok(())
    }
}

impl Open {
    fn last(&self) -> Option<&[u8]> {
        self.name(self.ends.len().checked_sub(1)?)
    }

    fn name(&self, at: usize) -> Option<&[u8]> {
        let from = match at.checked_sub(1) {
            Some(before) => usize::try_from(*self.ends.get(before)?).ok()?,
            None => 0,
        };
        self.names.get(from..usize::try_from(*self.ends.get(at)?).ok()?)
    }

    fn push(&mut self, name: &[u8], place: Place<'_>) -> Result<(), PackError> {
        let end = number(self.names.len() + name.len())?;
        let host = self.hosts.number(name, place.host).ok_or(PackError::TooLarge)?;
        self.names.extend_from_slice(name);
        self.ends.push(end);
        self.places.push(PackedPlace { host, port: place.port, epoch: place.epoch });
        Ok(())
    }

    fn pack(self) -> Result<Segment, PackError> {
        let (hosts, renumbered) = self.hosts.sorted();
        let (offsets, blocks) = self.blocks(&renumbered)?;
        let counts = [self.ends.len(), hosts.len(), offsets.len(), blocks.len()];
        let mut bytes = Vec::with_capacity(HEAD_BYTES + blocks.len() + 4 * offsets.len());
        for count in counts {
            bytes.extend_from_slice(&number(count)?.to_le_bytes());
        }
        for host in hosts {
            // A host name has at most 253 bytes, and a template is shorter than what it is made of.
            bytes.push(host.len() as u8);
            bytes.extend_from_slice(host.as_bytes());
        }
        offsets.iter().for_each(|offset| bytes.extend_from_slice(&offset.to_le_bytes()));
        bytes.extend_from_slice(&blocks);
        bytes.shrink_to_fit();
        Segment::from_bytes(bytes).map_err(|_| PackError::TooLarge)
    }

    fn blocks(&self, renumbered: &[u32]) -> Result<(Vec<u32>, Vec<u8>), PackError> {
        let mut offsets = Vec::with_capacity(self.ends.len().div_ceil(BLOCK_NAMES));
        let mut blocks = Vec::with_capacity(self.names.len() + 4 * self.ends.len());
        let mut before: &[u8] = &[];
        for (at, place) in self.places.iter().enumerate() {
            if at % BLOCK_NAMES == 0 {
                offsets.push(number(blocks.len())?);
                before = &[];
            }
            let name = self.name(at).unwrap_or_default();
            let host = renumbered.get(place.host as usize).copied().unwrap_or_default();
            rows::put(&mut blocks, before, name, PackedPlace { host, ..*place });
            before = name;
        }
        Ok((offsets, blocks))
    }
}

fn number(count: usize) -> Result<u32, PackError> {
    u32::try_from(count).map_err(|_| PackError::TooLarge)
}
