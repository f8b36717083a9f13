//! The frame of a record: a head in clear, which its seal proves, and a sealed body.

use super::cursor::Cursor;
use crate::limits::BATCH_BYTES_MAX;

pub(crate) const NONCE_BYTES: usize = 24;
pub(crate) const TAG_BYTES: usize = 16;
/// The part of the head that is associated data: all of it but the nonce.
pub(crate) const CHECKED_BYTES: usize = 33;
pub(crate) const HEAD_BYTES: usize = CHECKED_BYTES + NONCE_BYTES;

/// What a record adds to its body.
pub const RECORD_OVERHEAD_BYTES: usize = HEAD_BYTES + TAG_BYTES;

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first record of a segment: who opens it, and which history it continues.
    Opening,
    /// One batch of changes.
    Ops,
    /// A part of a whole state.
    Snapshot,
    /// The state is whole.
    SnapshotEnd,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Opening => 1,
            Self::Ops => 2,
            Self::Snapshot => 3,
            Self::SnapshotEnd => 4,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::Opening, Self::Ops, Self::Snapshot, Self::SnapshotEnd]
            .into_iter()
            .find(|kind| kind.code() == code)
    }
}

/// The head of a record, unproven until its body is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHead {
    /// Bytes of the body, the tag not counted.
    pub body_bytes: u32,
    /// What the body is.
    pub kind: Kind,
    /// The segment was durable up to this offset when the record was written.
    pub settled: u32,
    /// Number of the last batch of the log, this record included.
    pub seq: u64,
    /// The beginning of the chain's value before this record.
    pub previous: [u8; 16],
    /// Nonce of the seal.
    pub nonce: [u8; NONCE_BYTES],
}

/// What came of reading a record off the front of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordParse<'a> {
    /// A whole record: its head, and the sealed body with its tag.
    Done(RecordHead, &'a [u8]),
    /// The bytes end inside the record; it needs so many in all (at least).
    Incomplete(usize),
    /// No record begins like this.
    Refused(RecordError),
}

/// Why no record begins like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Larger than any writer makes them.
    #[error("a record claims {0} bytes")]
    Length(u32),
    /// A kind that this version of the format does not have.
    #[error("a record claims to be of kind {0}")]
    Kind(u8),
}

/// Bytes of a record with so many bytes in its body.
pub(crate) fn record_bytes(body_bytes: usize) -> usize {
    body_bytes + RECORD_OVERHEAD_BYTES
}

/// Reads a record off the front of bytes. Nothing is allocated.
#[must_use]
pub fn parse_record(bytes: &[u8]) -> RecordParse<'_> {
    let mut cursor = Cursor(bytes);
    let Some((body_bytes, code)) = cursor.u32().zip(cursor.u8()) else {
        return RecordParse::Incomplete(RECORD_OVERHEAD_BYTES);
    };
    let Some(kind) = Kind::from_code(code) else {
        return RecordParse::Refused(RecordError::Kind(code));
    };
    let Some(body) = usize::try_from(body_bytes).ok().filter(|count| *count <= BATCH_BYTES_MAX)
    else {
        return RecordParse::Refused(RecordError::Length(body_bytes));
    };
    parse_rest(cursor, body_bytes, kind, body)
        .unwrap_or(RecordParse::Incomplete(record_bytes(body)))
}

fn parse_rest<'a>(
    mut cursor: Cursor<'a>,
    body_bytes: u32,
    kind: Kind,
    body: usize,
) -> Option<RecordParse<'a>> {
    let (settled, seq) = (cursor.u32()?, cursor.u64()?);
    let (previous, nonce) = (cursor.array()?, cursor.array()?);
    let head = RecordHead { body_bytes, kind, settled, seq, previous, nonce };
    Some(RecordParse::Done(head, cursor.take(body + TAG_BYTES)?))
}

impl RecordHead {
    /// The head's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&self.body_bytes.to_le_bytes());
        bytes[4] = self.kind.code();
        bytes[5..9].copy_from_slice(&self.settled.to_le_bytes());
        bytes[9..17].copy_from_slice(&self.seq.to_le_bytes());
        bytes[17..33].copy_from_slice(&self.previous);
        bytes[33..].copy_from_slice(&self.nonce);
        bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn record() -> (RecordHead, Vec<u8>) {
        let head = RecordHead {
            body_bytes: 3,
            kind: Kind::Ops,
            settled: 128,
            seq: 9,
            previous: [5; 16],
            nonce: [6; 24],
        };
        let mut bytes = head.encode().to_vec();
        bytes.extend([8; 3 + TAG_BYTES]);
        (head, bytes)
    }

    #[test]
    fn a_record_survives_its_bytes_and_leaves_the_rest() {
        let (head, mut bytes) = record();
        bytes.push(99);
        assert_eq!(parse_record(&bytes), RecordParse::Done(head, &[8; 19]));
    }

    #[test]
    fn every_cut_record_is_incomplete_and_says_what_it_needs() {
        let (_, bytes) = record();
        for cut in 0..bytes.len() {
            let RecordParse::Incomplete(needs) = parse_record(&bytes[..cut]) else {
                panic!("cut at {cut}");
            };
            assert!(needs > cut && needs <= bytes.len(), "cut at {cut} needs {needs}");
        }
    }

    #[test]
    fn hostile_lengths_and_kinds_are_refused() {
        let (_, mut bytes) = record();
        bytes[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(parse_record(&bytes), RecordParse::Refused(RecordError::Length(u32::MAX)));
        bytes[4] = 5;
        assert_eq!(parse_record(&bytes), RecordParse::Refused(RecordError::Kind(5)));
    }
}
