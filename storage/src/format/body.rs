//! What stands in an opened record: the opening's facts, or a row of changes.

use protocol::Epoch;

use super::cursor::Cursor;
use crate::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// The first record of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// How the segment relates to what was before.
    pub mode: Mode,
    /// The whole value of the chain at the point it continues.
    pub base: [u8; 32],
    /// Which segment it continues, and where; `None` for the first of a log.
    pub continues: Option<Continues>,
}

/// How a segment relates to what was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The log begins here, empty.
    Created,
    /// The state is what the earlier segments say, and goes on here.
    Continued,
    /// A whole state follows; the earlier segments are no longer needed.
    Compacted,
}

/// The end of a history that a segment goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continues {
    /// Epoch of the segment before.
    pub epoch: Epoch,
    /// Number of the segment before.
    pub number: u32,
    /// The offset in it at which its history ends.
    pub end: u32,
}

impl Opening {
    /// The body's bytes; every opening has the same length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (epoch, number, end) =
            self.continues.map_or((0, 0, 0), |from| (from.epoch.number(), from.number, from.end));
        let mode = match self.mode {
            Mode::Created => 0,
            Mode::Continued => 1,
            Mode::Compacted => 2,
        };
        let mut bytes = vec![mode];
        bytes.extend(self.base);
        bytes.extend(epoch.to_le_bytes());
        bytes.extend(number.to_le_bytes());
        bytes.extend(end.to_le_bytes());
        bytes
    }

    /// Reads an opening; `None` if the bytes are no such thing.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let mode = match cursor.u8()? {
            0 => Mode::Created,
            1 => Mode::Continued,
            2 => Mode::Compacted,
            _ => return None,
        };
        let base = cursor.array()?;
        let (epoch, number, end) = (cursor.u64()?, cursor.u32()?, cursor.u32()?);
        let continues = Epoch::from_number(epoch).map(|epoch| Continues { epoch, number, end });
        // Only the first segment of a log continues nothing.
        let sound = continues.is_none() == (mode == Mode::Created) && cursor.0.is_empty();
        sound.then_some(Self { mode, base, continues })
    }
}

/// One change of a state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Op<'a> {
    /// The key has this value from now on.
    Put {
        /// The key.
        key: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// The key has no value from now on.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// The key has had this value since a batch of the past (in snapshots only).
    Keep {
        /// The batch that put it.
        seq: u64,
        /// The key.
        key: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
}

const PUT: u8 = 1;
const DELETE: u8 = 2;
const KEEP: u8 = 3;

/// Appends a change. The caller has checked the lengths: [`KEY_BYTES_MAX`], [`VALUE_BYTES_MAX`].
pub(crate) fn push_op(out: &mut Vec<u8>, op: Op<'_>) {
    let lengths = |out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>| {
        debug_assert!(key.len() <= KEY_BYTES_MAX);
        out.extend((key.len() as u16).to_le_bytes());
        if let Some(value) = value {
            debug_assert!(value.len() <= VALUE_BYTES_MAX);
            out.extend((value.len() as u32).to_le_bytes());
        }
        out.extend(key);
        out.extend(value.unwrap_or_default());
    };
    match op {
        Op::Put { key, value } => {
            out.push(PUT);
            lengths(out, key, Some(value));
        }
        Op::Delete { key } => {
            out.push(DELETE);
            lengths(out, key, None);
        }
        Op::Keep { seq, key, value } => {
            out.push(KEEP);
            out.extend(seq.to_le_bytes());
            lengths(out, key, Some(value));
        }
    }
}

/// The changes in a record's body, in order.
#[derive(Clone)]
pub struct Ops<'a>(Cursor<'a>);

/// A body that is no row of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body of a record is malformed")]
pub struct OpError;

impl<'a> Ops<'a> {
    /// Reads changes off these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Cursor(bytes))
    }

    /// Bytes that are not read yet.
    pub(crate) fn left(&self) -> usize {
        self.0.0.len()
    }

    fn parse(&mut self) -> Option<Op<'a>> {
        let cursor = &mut self.0;
        let tag = cursor.u8()?;
        let seq = if tag == KEEP { cursor.u64()? } else { 0 };
        let key_bytes = usize::from(cursor.u16()?);
        let value_bytes = if tag == DELETE { 0 } else { usize::try_from(cursor.u32()?).ok()? };
        if key_bytes == 0 || key_bytes > KEY_BYTES_MAX || value_bytes > VALUE_BYTES_MAX {
            return None;
        }
        let (key, value) = (cursor.take(key_bytes)?, cursor.take(value_bytes)?);
        match tag {
            PUT => Some(Op::Put { key, value }),
            DELETE => Some(Op::Delete { key }),
            KEEP => Some(Op::Keep { seq, key, value }),
            _ => None,
        }
    }
}

impl<'a> Iterator for Ops<'a> {
    type Item = Result<Op<'a>, OpError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.0.is_empty() {
            return None;
        }
        let op = self.parse();
        if op.is_none() {
            self.0 = Cursor(&[]);
        }
        Some(op.ok_or(OpError))
    }
}

/// The body of a [`super::Kind::SnapshotEnd`]: how many entries the state has.
pub(crate) fn snapshot_end(entries: u64) -> [u8; 8] {
    entries.to_le_bytes()
}

/// Reads it back.
pub(crate) fn snapshot_end_count(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_survives_its_bytes() {
        let continues = Some(Continues { epoch: Epoch::FIRST, number: 2, end: 300 });
        for (mode, continues) in
            [(Mode::Created, None), (Mode::Continued, continues), (Mode::Compacted, continues)]
        {
            let opening = Opening { mode, base: [4; 32], continues };
            assert_eq!(Opening::parse(&opening.encode()), Some(opening));
            let cut = opening.encode().len() - 1;
            assert_eq!(Opening::parse(&opening.encode()[..cut]), None);
        }
        let lie = Opening { mode: Mode::Created, base: [4; 32], continues };
        assert_eq!(Opening::parse(&lie.encode()), None, "a beginning that continues something");
    }

    #[test]
    fn changes_survive_their_bytes_and_every_cut_is_an_error() {
        let (key, value) = (&b"key"[..], &b"value"[..]);
        let ops = [Op::Put { key, value }, Op::Delete { key }, Op::Keep { seq: 7, key, value }];
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        for op in ops {
            push_op(&mut bytes, op);
            ends.push(bytes.len());
        }
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
            let parsed: Vec<_> = Ops::new(&bytes[..cut]).collect();
            let expected = ops[..whole].iter().map(|op| Ok(*op));
            let broken = (!ends.contains(&cut)).then_some(Err(OpError));
            assert!(parsed.into_iter().eq(expected.chain(broken)), "cut at {cut}");
        }
    }

    #[test]
    fn an_empty_key_is_malformed() {
        assert!(Ops::new(&[DELETE, 0, 0]).eq([Err(OpError)]));
    }
}
