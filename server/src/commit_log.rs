//! The commit log: the latest change of each key, by commit id (the protocol's section 6.6).
//!
//! A store's key in table `l` says all of an entry: commit id (big-endian), operation, key name. So a
//! page of the log costs what is on it, and to filter or to count it nothing is read from the disk.
//! The log has one entry for each key that is or was there; a later change of a key takes out the
//! earlier one in the same batch, so there is nothing to compact.

use std::ops::ControlFlow;

use crate::limits::LOG_CHUNK;
use crate::records::{self, Change, Record, Table, Unreadable};
use crate::refusal::Refusal;
use crate::view::View;

/// The operation of a deletion; those of other changes are [`Change`]'s.
const DELETION: u8 = b'-';

/// The latest change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) commit: u64,
    /// None: it was deleted.
    pub(crate) change: Option<Change>,
    pub(crate) name: String,
}

impl Entry {
    pub(crate) fn new(commit: u64, change: Option<Change>, name: &str) -> Self {
        Self { commit, change, name: name.to_owned() }
    }

    /// The change that wrote a record, unless keys of its kind are not committed.
    pub(crate) fn of(name: &str, record: &Record) -> Option<Self> {
        record.commit.map(|id| Self::new(id, Some(record.change), name))
    }

    /// The sign of the operation, as clients see it.
    pub(crate) fn operation(&self) -> char {
        char::from(self.symbol())
    }

    fn symbol(&self) -> u8 {
        self.change.map_or(DELETION, Change::symbol)
    }

    /// The store's key.
    pub(crate) fn key(&self) -> Vec<u8> {
        let name = self.name.as_bytes();
        let commit = self.commit.to_be_bytes();
        Table::Log.key(&[&commit[..], &[self.symbol()], name].concat())
    }

    fn parse(key: &[u8]) -> Result<Self, Unreadable> {
        let (commit, rest) = key.get(1..).and_then(<[u8]>::split_first_chunk).ok_or(Unreadable)?;
        let (&symbol, name) = rest.split_first().ok_or(Unreadable)?;
        let change = match symbol {
            DELETION => None,
            other => Some(Change::from_symbol(other)?),
        };
        let name = std::str::from_utf8(name).map_err(|_| Unreadable)?;
        Ok(Self::new(u64::from_be_bytes(*commit), change, name))
    }
}

/// The latest change of a key, if it was ever committed.
pub(crate) fn latest(view: &mut View<'_>, name: &str) -> Result<Option<Entry>, Refusal> {
    if let Some(record) = view.record(name)? {
        return Ok(Entry::of(name, &record));
    }
    match view.get(&Table::Deleted.key(name.as_bytes()))? {
        Some(bytes) => Ok(Some(Entry::new(records::decode_number(&bytes)?, None, name))),
        None => Ok(None),
    }
}

/// Goes through the changes after a commit, or through all, in order, until `visit` has enough.
pub(crate) fn after(
    view: &mut View<'_>,
    commit: Option<u64>,
    mut visit: impl FnMut(&mut View<'_>, Entry) -> Result<ControlFlow<()>, Refusal>,
) -> Result<(), Refusal> {
    let mut from = match commit.map(|id| id.checked_add(1)) {
        Some(None) => return Ok(()),
        Some(Some(next)) => Table::Log.key(&next.to_be_bytes()),
        None => Table::Log.key(b""),
    };
    loop {
        let chunk = view.first_keys(&from, &end(), LOG_CHUNK);
        let Some(last) = chunk.last() else { return Ok(()) };
        from = last.to_vec();
        for key in &chunk {
            if visit(view, Entry::parse(key)?)?.is_break() {
                return Ok(());
            }
        }
    }
}

/// The last change of a key that is wanted, looking back from the end.
pub(crate) fn last(
    view: &mut View<'_>,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Option<u64>, Refusal> {
    let mut until = end();
    loop {
        let chunk = view.last_keys(&Table::Log.key(b""), &until, LOG_CHUNK);
        let Some(first) = chunk.last() else { return Ok(None) };
        until = first.to_vec();
        for key in &chunk {
            let entry = Entry::parse(key)?;
            if is_wanted(&entry.name) {
                return Ok(Some(entry.commit));
            }
        }
    }
}

/// Behind every entry.
fn end() -> Vec<u8> {
    Table::Log.key(&[u8::MAX; 9])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_entry_survives_its_key_and_keys_are_in_the_order_of_commits() {
        let mut keys = Vec::new();
        for (commit, change) in
            [(0, Some(Change::Value)), (255, None), (256, Some(Change::All)), (1 << 40, None)]
        {
            let entry = Entry::new(commit, change, "public:🦄@alice");
            assert_eq!(Entry::parse(&entry.key()), Ok(entry.clone()));
            keys.push(entry.key());
        }
        assert!(keys.is_sorted() && keys.iter().all(|key| *key < end()));
        assert_eq!(Entry::parse(b"l"), Err(Unreadable));
        assert_eq!(Entry::parse(b"l12345678"), Err(Unreadable));
        assert_eq!(Entry::parse(b"l12345678x"), Err(Unreadable));
    }
}
