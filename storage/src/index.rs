//! Where each live value lies. It is in memory while a store is awake, and nowhere else.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::format::Op;

/// Bytes that an entry takes in a snapshot beside its key and value.
const ENTRY_OVERHEAD_BYTES: u64 = 15;

/// The record that holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The batch that put the value.
    pub(crate) seq: u64,
    /// Number of the segment.
    pub(crate) segment: u32,
    /// Where the record begins in it.
    pub(crate) offset: u32,
    /// Bytes of the whole record.
    pub(crate) bytes: u32,
    /// Bytes of the value.
    pub(crate) value_bytes: u32,
}

/// A record as a place for whatever it holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordPlace {
    pub(crate) seq: u64,
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
}

#[derive(Default)]
pub(crate) struct Index {
    entries: BTreeMap<Box<[u8]>, Place>,
    live_bytes: u64,
    key_bytes: usize,
}

impl Index {
    /// Applies one change that stands in the record at `at`.
    pub(crate) fn apply(&mut self, op: Op<'_>, at: RecordPlace) {
        match op {
            Op::Put { key, value } => self.put(key, value.len(), at.seq, at),
            Op::Keep { seq, key, value } => self.put(key, value.len(), seq, at),
            Op::Delete { key } => self.delete(key),
        }
    }

    fn put(&mut self, key: &[u8], value_bytes: usize, seq: u64, at: RecordPlace) {
        let RecordPlace { segment, offset, bytes, .. } = at;
        // The format's lengths have 32 bits.
        let value_bytes = u32::try_from(value_bytes).unwrap_or(u32::MAX);
        let place = Place { seq, segment, offset, bytes, value_bytes };
        self.live_bytes += entry_bytes(key, &place);
        if let Some(known) = self.entries.get_mut(key) {
            self.live_bytes -= entry_bytes(key, known);
            *known = place;
        } else {
            self.key_bytes += key.len();
            self.entries.insert(key.into(), place);
        }
    }

    fn delete(&mut self, key: &[u8]) {
        if let Some(place) = self.entries.remove(key) {
            self.live_bytes -= entry_bytes(key, &place);
            self.key_bytes -= key.len();
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Place> {
        self.entries.get(key).copied()
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Place> {
        self.entries.get_mut(key)
    }

    pub(crate) fn places_mut(&mut self) -> impl Iterator<Item = &mut Place> {
        self.entries.values_mut()
    }

    /// The entries whose keys begin with `prefix`, in the order of their keys; from behind the key
    /// `after`, which is one of them, or from the first.
    pub(crate) fn range<'a>(
        &'a self,
        prefix: &'a [u8],
        after: Option<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a [u8], Place)> {
        let start = after.map_or(Bound::Included(prefix), Bound::Excluded);
        self.entries
            .range::<[u8], _>((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, place)| (&**key, *place))
    }

    /// The keys between two others, neither of them included, in order and in reverse.
    pub(crate) fn between<'a>(
        &'a self,
        after: &'a [u8],
        before: &'a [u8],
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        // A tree panics at a range that ends before it begins.
        let before = before.max(after);
        let start = if before == after { Bound::Included(after) } else { Bound::Excluded(after) };
        self.entries.range::<[u8], _>((start, Bound::Excluded(before))).map(|(key, _)| &**key)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that the live entries would take in a snapshot.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// About what it takes of memory: keys, places, and the tree's nodes two thirds full.
    pub(crate) fn memory_bytes(&self) -> usize {
        let slot = size_of::<Box<[u8]>>() + size_of::<Place>();
        self.key_bytes + self.entries.len() * slot * 3 / 2
    }
}

fn entry_bytes(key: &[u8], place: &Place) -> u64 {
    ENTRY_OVERHEAD_BYTES + key.len() as u64 + u64::from(place.value_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: RecordPlace = RecordPlace { seq: 1, segment: 1, offset: 128, bytes: 100 };

    #[test]
    fn live_bytes_follow_every_change() {
        let mut index = Index::default();
        index.apply(Op::Put { key: b"ab", value: b"123" }, AT);
        assert_eq!(index.live_bytes(), 20);
        index.apply(Op::Keep { seq: 0, key: b"ab", value: b"1" }, AT);
        assert_eq!(index.live_bytes(), 18);
        index.apply(Op::Delete { key: b"nothing" }, AT);
        index.apply(Op::Delete { key: b"ab" }, AT);
        assert_eq!((index.live_bytes(), index.len(), index.memory_bytes()), (0, 0, 0));
    }

    #[test]
    fn a_range_ends_where_the_prefix_does() {
        let mut index = Index::default();
        for key in [&b"a"[..], b"b", b"b\0", b"b\xff", b"c"] {
            index.apply(Op::Put { key, value: b"" }, AT);
        }
        let keys: Vec<_> = index.range(b"b", None).map(|(key, _)| key).collect();
        assert_eq!(keys, [&b"b"[..], b"b\0", b"b\xff"]);
        let rest: Vec<_> = index.range(b"b", Some(b"b\0")).map(|(key, _)| key).collect();
        assert_eq!(rest, [b"b\xff"]);
        assert_eq!(index.range(b"", None).count(), 5);
    }

    #[test]
    fn what_lies_between_two_keys_includes_neither() {
        let mut index = Index::default();
        for key in [&b"a"[..], b"b", b"c", b"d"] {
            index.apply(Op::Put { key, value: b"" }, AT);
        }
        let between = |after, before| index.between(after, before).collect::<Vec<_>>();
        assert_eq!(between(b"a", b"d"), [b"b", b"c"]);
        assert_eq!(between(b"aa", b"z"), [b"b", b"c", b"d"]);
        assert_eq!(between(b"b", b"b"), [] as [&[u8]; 0]);
        assert_eq!(between(b"d", b"a"), [] as [&[u8]; 0]);
        assert_eq!(index.between(b"", b"c").next_back(), Some(&b"b"[..]));
    }
}
