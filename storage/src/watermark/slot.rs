//! The bytes of a slot: the volume's id (16), then two halves of 56.
//!
//! A half holds batch number (8), epoch (8), segment (4), end (4, of which the highest bit says that
//! the log was closed), the chain's first half (16), and a keyed hash (16) over these, the volume, and
//! the place of the half in the file.

use protocol::{Epoch, VolumeId};

use crate::format::Cursor;
use crate::keyring::Key;
use crate::limits::SEGMENT_BYTES_MAX;
use crate::volume::SegmentName;

pub(crate) const SLOT_BYTES: usize = 128;
pub(crate) const HALF_BYTES: usize = 56;
const FACTS_BYTES: usize = 40;

const CLOSED: u32 = 1 << 31;
const _: () = assert!(SEGMENT_BYTES_MAX < CLOSED);

const MAGIC: [u8; 16] = *b"warren marks v1\n";

/// How far a log was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) seq: u64,
    pub(crate) epoch: Epoch,
    /// Number of the segment.
    pub(crate) segment: u32,
    /// Offset in it.
    pub(crate) end: u32,
    /// The chain there.
    pub(crate) chain: [u8; 16],
    /// Nothing was written, or tried to be, since this was.
    pub(crate) is_closed: bool,
}

impl Mark {
    /// The segment it lies in.
    pub(crate) fn name(&self) -> SegmentName {
        SegmentName { number: self.segment, epoch: self.epoch }
    }
}

/// Slot 0 of a file under this key.
pub(crate) fn first(key: &Key) -> [u8; SLOT_BYTES] {
    let mut bytes = [0; SLOT_BYTES];
    bytes[..16].copy_from_slice(&MAGIC);
    bytes[16..32].copy_from_slice(&keyed(key, &[&MAGIC]));
    bytes
}

/// Whose slot this is; `None` for nobody's.
pub(crate) fn volume(bytes: &[u8; SLOT_BYTES]) -> Option<VolumeId> {
    let id = bytes.first_chunk::<16>()?;
    (*id != [0; 16]).then(|| VolumeId::from_bytes(*id))
}

pub(crate) fn half_start(half: usize) -> usize {
    16 + half * HALF_BYTES
}

/// The bytes of one half.
pub(crate) fn half(
    key: &Key,
    index: u32,
    volume: VolumeId,
    half: usize,
    mark: &Mark,
) -> [u8; HALF_BYTES] {
    let mut bytes = [0; HALF_BYTES];
    bytes[..8].copy_from_slice(&mark.seq.to_le_bytes());
    bytes[8..16].copy_from_slice(&mark.epoch.number().to_le_bytes());
    bytes[16..20].copy_from_slice(&mark.segment.to_le_bytes());
    let end = mark.end | if mark.is_closed { CLOSED } else { 0 };
    bytes[20..24].copy_from_slice(&end.to_le_bytes());
    bytes[24..FACTS_BYTES].copy_from_slice(&mark.chain);
    let seal = half_seal(key, index, volume, half, &bytes[..FACTS_BYTES]);
    bytes[FACTS_BYTES..].copy_from_slice(&seal);
    bytes
}

fn half_seal(key: &Key, index: u32, volume: VolumeId, half: usize, facts: &[u8]) -> [u8; 16] {
    let index = index.to_le_bytes();
    keyed(key, &[b"half", &index, &[u8::from(half > 0)], volume.as_bytes(), facts])
}

/// The newest sound mark of a slot, and in which half it stands.
pub(crate) fn newest(
    key: &Key,
    index: u32,
    volume: VolumeId,
    bytes: &[u8; SLOT_BYTES],
) -> Option<(Mark, usize)> {
    if self::volume(bytes) != Some(volume) {
        return None;
    }
    let sound = [0, 1].into_iter().filter_map(|half| {
        let start = half_start(half);
        let bytes = bytes.get(start..start + HALF_BYTES)?;
        Some((read_half(key, index, volume, half, bytes)?, half))
    });
    // Of two for the same point the one that does not say "closed" is the careful choice.
    sound.max_by_key(|(mark, _)| (mark.segment, mark.end, !mark.is_closed))
}

fn read_half(key: &Key, index: u32, volume: VolumeId, half: usize, bytes: &[u8]) -> Option<Mark> {
    let (facts, seal) = bytes.split_at_checked(FACTS_BYTES)?;
    // Blake3's hash compares in constant time; here nobody can measure, but it costs nothing.
    if half_seal(key, index, volume, half, facts) != *seal {
        return None;
    }
    let mut cursor = Cursor(facts);
    let (seq, epoch) = (cursor.u64()?, Epoch::from_number(cursor.u64()?)?);
    let (segment, end, chain) = (cursor.u32()?, cursor.u32()?, cursor.array()?);
    let is_closed = end & CLOSED != 0;
    Some(Mark { seq, epoch, segment, end: end & !CLOSED, chain, is_closed })
}

fn keyed(key: &Key, parts: &[&[u8]]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new_keyed(key.bytes());
    for part in parts {
        hasher.update(part);
    }
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    short
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mark(end: u32) -> Mark {
        Mark { seq: 5, epoch: Epoch::FIRST, segment: 1, end, chain: [4; 16], is_closed: end == 300 }
    }

    fn slot(index: u32, marks: [Option<Mark>; 2]) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..16].copy_from_slice(id().as_bytes());
        for (n, mark) in marks.iter().enumerate() {
            if let Some(mark) = mark {
                let place = &mut bytes[half_start(n)..][..HALF_BYTES];
                place.copy_from_slice(&half(&key(), index, id(), n, mark));
            }
        }
        bytes
    }

    fn key() -> Key {
        Key::from_bytes([1; 32])
    }

    fn id() -> VolumeId {
        VolumeId::from_bytes([2; 16])
    }

    #[test]
    fn the_newest_sound_half_counts() {
        let both = slot(3, [Some(mark(300)), Some(mark(200))]);
        assert_eq!(newest(&key(), 3, id(), &both), Some((mark(300), 0)));
        let one = slot(3, [None, Some(mark(200))]);
        assert_eq!(newest(&key(), 3, id(), &one), Some((mark(200), 1)));
        assert_eq!(newest(&key(), 3, id(), &slot(3, [None, None])), None);
    }

    #[test]
    fn no_flipped_bit_of_a_slot_changes_a_mark() {
        let bytes = slot(3, [Some(mark(200)), Some(mark(300))]);
        for bit in 0..SLOT_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                0..16 => None,
                16..72 => Some((mark(300), 1)),
                _ => Some((mark(200), 0)),
            };
            assert_eq!(newest(&key(), 3, id(), &flipped), expected, "bit {bit}");
        }
    }

    #[test]
    fn a_mark_is_bound_to_its_place_and_volume() {
        let bytes = slot(3, [Some(mark(200)), None]);
        assert_eq!(newest(&key(), 4, id(), &bytes), None, "another slot");
        assert_eq!(newest(&Key::from_bytes([9; 32]), 3, id(), &bytes), None, "another key");
        let mut swapped = bytes;
        swapped[half_start(0)..].rotate_left(HALF_BYTES);
        assert_eq!(newest(&key(), 3, id(), &swapped), None, "the other half");
        let mut renamed = bytes;
        renamed[0] ^= 1;
        let other = volume(&renamed).unwrap();
        assert_eq!(newest(&key(), 3, other, &renamed), None, "another volume");
    }
}
