//! Reading a server's store.

use std::collections::HashSet;

use protocol::{AtKey, Timestamp};
use storage::{Seq, Store};

use crate::notify::outbox::Waiting;
use crate::records::{self, Record, Span, Table};
use crate::refusal::Refusal;

/// Reads, and remembers what must be durable before the results are given out: entries that were
/// appended a moment ago are seen, and so is their absence.
pub(crate) struct View<'a> {
    store: &'a Store,
    seen: Option<Seq>,
}

impl<'a> View<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, seen: None }
    }

    /// Up to where the store must be durable before anything that was read is given out.
    pub(crate) fn seen(&self) -> Option<Seq> {
        self.seen
    }

    /// One entry, whatever it is.
    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        match self.store.get(key).map_err(unreadable)? {
            Some(value) => {
                self.see(value.seq);
                Ok(Some(value.bytes))
            }
            None => {
                self.see(self.store.latest());
                Ok(None)
            }
        }
    }

    /// A stored key, even if its time has not come or is over.
    pub(crate) fn record(&mut self, name: &str) -> Result<Option<Record>, Refusal> {
        match self.get(&Table::Live.key(name.as_bytes()))? {
            Some(bytes) => Ok(Some(Record::decode(&bytes)?)),
            None => Ok(None),
        }
    }

    /// A stored key whose time is now, with its value.
    pub(crate) fn value(&mut self, name: &str, now: Timestamp) -> Result<Option<String>, Refusal> {
        let record = self.record(name)?.filter(|record| record.metadata.is_active(now));
        Ok(record.and_then(|record| record.value))
    }

    /// Whether a key is stored.
    pub(crate) fn has(&mut self, key: &AtKey) -> Result<bool, Refusal> {
        Ok(self.record(key.as_str())?.is_some())
    }

    /// The names of all stored keys that begin with `prefix` and whose time is now, in order.
    pub(crate) fn names(&mut self, prefix: &str, now: Timestamp) -> Result<Vec<String>, Refusal> {
        let table = Table::Live.key(prefix.as_bytes());
        let inactive: HashSet<Vec<u8>> = self
            .spans(&table)?
            .into_iter()
            .filter(|(_, span)| !span.is_active(now))
            .map(|(key, _)| key)
            .collect();
        let keys = self.keys(&table);
        let names = keys.iter().filter(|key| !inactive.contains(&***key)).filter_map(|key| {
            let name = key.get(1..).unwrap_or_default();
            std::str::from_utf8(name).ok().map(str::to_owned)
        });
        Ok(names.collect())
    }

    /// The keys of all entries that begin with `prefix`.
    pub(crate) fn keys(&mut self, prefix: &[u8]) -> Vec<Box<[u8]>> {
        let keys = self.store.keys(prefix);
        self.see(self.store.latest());
        keys
    }

    /// At most `max` of the keys between two others: the first of them, in order.
    pub(crate) fn first_keys(&mut self, after: &[u8], before: &[u8], max: usize) -> Vec<Box<[u8]>> {
        let keys = self.store.first_keys(after, before, max);
        self.see(self.store.latest());
        keys
    }

    /// The same for the last of them, the last one first.
    pub(crate) fn last_keys(&mut self, after: &[u8], before: &[u8], max: usize) -> Vec<Box<[u8]>> {
        let keys = self.store.last_keys(after, before, max);
        self.see(self.store.latest());
        keys
    }

    /// The spans of all entries whose keys begin with `prefix`.
    pub(crate) fn spans(&mut self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Span)>, Refusal> {
        self.each(&Table::Spans.key(prefix), |key, bytes| Ok((key.to_vec(), Span::decode(bytes)?)))
    }

    /// The span of the entry with this key, if it has one.
    pub(crate) fn span(&mut self, key: &[u8]) -> Result<Option<Span>, Refusal> {
        match self.get(&Table::Spans.key(key))? {
            Some(bytes) => Ok(Some(Span::decode(&bytes)?)),
            None => Ok(None),
        }
    }

    /// Bytes of the store on the disk.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.store.log_bytes()
    }

    /// The notifications that wait to be delivered, in order.
    pub(crate) fn queued(&mut self) -> Result<Vec<Waiting>, Refusal> {
        let mut queued: Vec<Waiting> =
            self.each(&Table::Queue.key(b""), |_, bytes| Ok(records::decode_json(bytes)?))?;
        queued.sort_unstable_by_key(|waiting| waiting.serial);
        Ok(queued)
    }

    /// Reads every entry of a table whose key begins with `prefix`. `read` gets the key without the
    /// table's letter.
    pub(crate) fn each<T>(
        &mut self,
        prefix: &[u8],
        mut read: impl FnMut(&[u8], &[u8]) -> Result<T, Refusal>,
    ) -> Result<Vec<T>, Refusal> {
        let mut found = Vec::new();
        let mut refusal = None;
        let visit =
            &mut |key: &[u8], bytes: &[u8]| match read(key.get(1..).unwrap_or_default(), bytes) {
                Ok(item) => found.push(item),
                Err(error) => refusal = Some(error),
            };
        self.store.for_each(prefix, visit).map_err(unreadable)?;
        self.see(self.store.latest());
        refusal.map_or(Ok(found), Err)
    }

    fn see(&mut self, seq: Seq) {
        self.seen = self.seen.max(Some(seq));
    }
}

fn unreadable(error: impl std::error::Error) -> Refusal {
    tracing::error!(%error, "the store cannot be read");
    Refusal::store()
}
