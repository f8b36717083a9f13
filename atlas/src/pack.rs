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
    /// Its blocks, but for the numbers of the hosts: those are by the order in which they came.
    rows: Vec<u8>,
    count: usize,
    last: Vec<u8>,
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
        // None is before the first.
        if self.open.last.as_slice() >= name {
            return Err(PackError::Order(String::from_utf8_lossy(name).into_owned()));
        }
        if is_cut(name) {
            let last = std::mem::take(&mut self.open.last);
            self.close()?;
            self.open.last = last;
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
        if self.open.count > 0 {
            self.done.push(std::mem::take(&mut self.open).pack()?);
        }
        Ok(())
    }
}

impl Open {
    fn push(&mut self, name: &[u8], place: Place<'_>) -> Result<(), PackError> {
        number(self.rows.len() + rows::BYTES_MAX)?;
        let host = self.hosts.number(name, place.host).ok_or(PackError::TooLarge)?;
        let is_head = self.count.is_multiple_of(BLOCK_NAMES);
        let before = if is_head { &[] } else { self.last.as_slice() };
        let place = PackedPlace { host, port: place.port, epoch: place.epoch };
        rows::put(&mut self.rows, before, name, place);
        self.count += 1;
        self.last.clear();
        self.last.extend_from_slice(name);
        Ok(())
    }

    fn pack(self) -> Result<Segment, PackError> {
        let (forms, places) = self.hosts.sorted();
        let blocks = self.count.div_ceil(BLOCK_NAMES);
        let forms_bytes: usize = forms.iter().map(|form| 1 + form.len()).sum();
        let blocks_at = HEAD_BYTES + forms_bytes + 4 * blocks;
        // A host's new number may take a byte more.
        let mut bytes = Vec::with_capacity(blocks_at + self.rows.len() + self.count);
        for count in [self.count, forms.len(), blocks, 0] {
            bytes.extend_from_slice(&number(count)?.to_le_bytes());
        }
        for form in forms {
            // A host name has at most 253 bytes, and a template is shorter than what it is made of.
            bytes.push(form.len() as u8);
            bytes.extend_from_slice(form.as_bytes());
        }
        let offsets_at = bytes.len();
        bytes.resize(blocks_at, 0);
        let mut rest = self.rows.as_slice();
        for at in 0..self.count {
            if at.is_multiple_of(BLOCK_NAMES) {
                let offset = number(bytes.len() - blocks_at)?;
                set(&mut bytes, offsets_at + at / BLOCK_NAMES * 4, offset);
            }
            let row = rows::take(&mut rest).ok_or(PackError::TooLarge)?;
            let host = places.get(row.place.host as usize).copied().unwrap_or_default();
            rows::put_parts(&mut bytes, row.shared, row.rest, PackedPlace { host, ..row.place });
        }
        let blocks_bytes = number(bytes.len() - blocks_at)?;
        set(&mut bytes, HEAD_BYTES - 4, blocks_bytes);
        bytes.shrink_to_fit();
        Segment::from_bytes(bytes).map_err(|_| PackError::TooLarge)
    }
}

fn set(bytes: &mut [u8], at: usize, number: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&number.to_le_bytes());
    }
}

fn number(count: usize) -> Result<u32, PackError> {
    u32::try_from(count).map_err(|_| PackError::TooLarge)
}
