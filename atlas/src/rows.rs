//! How names stand in a block.
//!
//! A row is: one byte with the length that the name shares with the one before (high half) and the
//! length of the rest (low half), where 15 means that a number with what is above 15 follows; the
//! rest of the name; the host's number doubled, plus one if an epoch other than the first follows;
//! the port; the epoch.

use std::num::NonZeroU16;

use protocol::Epoch;

use crate::place::Place;
use crate::varint;

/// Names of a block.
pub const BLOCK_NAMES: usize = 16;

/// Longest name in bytes that a row may have.
pub(crate) const NAME_BYTES_MAX: usize = protocol::name::NAME_BYTES_MAX;

/// Most bytes of a row.
pub(crate) const BYTES_MAX: usize = NAME_BYTES_MAX + 64;

/// The half of a byte that says: more follows.
const MORE: usize = 15;

/// One name with its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// The name's bytes, without `@`.
    pub name: &'a [u8],
    /// Where it is.
    pub place: Place<'a>,
}

/// A place as a row holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PackedPlace {
    pub(crate) host: u32,
    pub(crate) port: NonZeroU16,
    pub(crate) epoch: Epoch,
}

/// Appends a row behind the one whose name is `before`; it is empty at the start of a block.
pub(crate) fn put(out: &mut Vec<u8>, before: &[u8], name: &[u8], place: PackedPlace) {
    let shared = before.iter().zip(name).take_while(|(a, b)| a == b).count();
    put_parts(out, shared, name.get(shared..).unwrap_or_default(), place);
}

/// Appends a row of which it is known how much of the name before it keeps.
pub(crate) fn put_parts(out: &mut Vec<u8>, shared: usize, rest: &[u8], place: PackedPlace) {
    out.push((shared.min(MORE) << 4 | rest.len().min(MORE)) as u8);
    for length in [shared, rest.len()] {
        if length >= MORE {
            varint::put(out, (length - MORE) as u64);
        }
    }
    out.extend_from_slice(rest);
    let has_epoch = place.epoch != Epoch::FIRST;
    varint::put(out, u64::from(place.host) << 1 | u64::from(has_epoch));
    out.extend_from_slice(&place.port.get().to_le_bytes());
    if has_epoch {
        varint::put(out, place.epoch.number());
    }
}

/// The row at the front: how much of the name before it keeps, what it adds, where that name is.
pub(crate) struct Taken<'a> {
    pub(crate) shared: usize,
    pub(crate) rest: &'a [u8],
    pub(crate) place: PackedPlace,
}

/// Takes a row off the front; none where there is no whole one.
pub(crate) fn take<'a>(bytes: &mut &'a [u8]) -> Option<Taken<'a>> {
    let (shared, rest) = take_name(bytes)?;
    let place = take_place(bytes)?;
    Some(Taken { shared, rest, place })
}

/// Takes the name of the row at the front: how much it shares with the one before, and the rest.
#[inline]
pub(crate) fn take_name<'a>(bytes: &mut &'a [u8]) -> Option<(usize, &'a [u8])> {
    let (head, after) = bytes.split_first()?;
    *bytes = after;
    let shared = length(usize::from(head >> 4), bytes)?;
    let rest_length = length(usize::from(head & 0x0f), bytes)?;
    Some((shared, split(bytes, rest_length)?))
}

/// Takes the place behind a name.
pub(crate) fn take_place(bytes: &mut &[u8]) -> Option<PackedPlace> {
    let host = varint::take(bytes)?;
    let port = split(bytes, 2)?.try_into().ok()?;
    let port = NonZeroU16::new(u16::from_le_bytes(port))?;
    let epoch = match host & 1 {
        0 => Epoch::FIRST,
        _ => Epoch::from_number(varint::take(bytes)?)?,
    };
    let host = u32::try_from(host >> 1).ok()?;
    Some(PackedPlace { host, port, epoch })
}

/// Passes over the place behind a name.
#[inline]
pub(crate) fn skip_place(bytes: &mut &[u8]) -> Option<()> {
    let has_epoch = bytes.first()? & 1 == 1;
    varint::skip(bytes)?;
    split(bytes, 2)?;
    if has_epoch { varint::skip(bytes) } else { Some(()) }
}

/// The whole name at the start of a block.
#[inline]
pub(crate) fn head(mut bytes: &[u8]) -> Option<&[u8]> {
    take_name(&mut bytes).filter(|(shared, _)| *shared == 0).map(|(_, name)| name)
}

#[inline]
fn length(half: usize, bytes: &mut &[u8]) -> Option<usize> {
    if half < MORE {
        return Some(half);
    }
    let more = usize::try_from(varint::take(bytes)?).ok()?;
    more.checked_add(MORE).filter(|length| *length <= NAME_BYTES_MAX)
}

#[inline]
fn split<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (front, back) = bytes.split_at_checked(length)?;
    *bytes = back;
    Some(front)
}
