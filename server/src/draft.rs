//! Writing a server's store: one commit, decided under the server's lock.

use protocol::notification::Notification;
use protocol::{AtKey, AtSign, Metadata, MetadataPatch, Timestamp};
use storage::{Batch, Store};

use crate::commit::Counters;
use crate::commit_log::{self, Entry};
use crate::keys;
use crate::notify::outbox::{Queues, Waiting};
use crate::records::{
    self, ACCESS_LOG, Change, LAST_NOTIFIED, NEXT_COMMIT, NOTHING, REFRESHED_DAY, Record, Span,
    Table,
};
use crate::refusal::Refusal;
use crate::view::View;

/// Reads, and collects what shall be written in one commit. What it writes it does not read back.
pub(crate) struct Draft<'a> {
    pub(crate) view: View<'a>,
    pub(crate) identity: &'a AtSign,
    pub(crate) now: Timestamp,
    /// The waiting notifications as they are without this commit.
    pub(crate) queues: &'a Queues,
    counters: Counters,
    /// The latest change of the key that was looked at last: most look before they write.
    latest: Option<Entry>,
    batch: Batch,
    is_empty: bool,
    queued: Vec<Waiting>,
    settled: Vec<Waiting>,
    arrived: Vec<Notification>,
}

/// What a draft has come to.
pub(crate) struct Outcome {
    pub(crate) counters: Counters,
    pub(crate) batch: Batch,
    pub(crate) queued: Vec<Waiting>,
    pub(crate) settled: Vec<Waiting>,
    pub(crate) arrived: Vec<Notification>,
}

/// The id of a commit as clients see it; -1 for keys that are not committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommitId(Option<u64>);

impl<'a> Draft<'a> {
    pub(crate) fn new(
        store: &'a Store,
        identity: &'a AtSign,
        now: Timestamp,
        queues: &'a Queues,
        counters: Counters,
    ) -> Self {
        Self {
            view: View::new(store),
            identity,
            now,
            queues,
            counters,
            latest: None,
            batch: Batch::new(),
            is_empty: true,
            queued: Vec::new(),
            settled: Vec::new(),
            arrived: Vec::new(),
        }
    }

    /// What shall be written, if anything.
    pub(crate) fn finish(self) -> Option<Outcome> {
        let Self { counters, batch, queued, settled, arrived, is_empty, .. } = self;
        (!is_empty).then_some(Outcome { counters, batch, queued, settled, arrived })
    }

    /// The stored key, unless its time is over: then it is as good as gone.
    pub(crate) fn existing(&mut self, key: &AtKey) -> Result<Option<Record>, Refusal> {
        let (now, name) = (self.now, key.as_str());
        let record = self.view.record(name)?;
        self.latest = record.as_ref().and_then(|record| Entry::of(name, record));
        Ok(record.filter(|record| !record.metadata.is_expired(now)))
    }

    /// The metadata after a client's update of what was there before.
    pub(crate) fn next_metadata(&self, old: Option<&Record>, patch: &MetadataPatch) -> Metadata {
        match old {
            Some(old) => old.metadata.updated(self.now, patch),
            None => Metadata::created(self.identity, self.now, patch),
        }
    }

    /// A key that the server makes for itself.
    pub(crate) fn put_own(&mut self, key: &AtKey, value: String) -> Result<CommitId, Refusal> {
        self.put(key, Change::Value, Metadata::internal(self.identity, self.now), Some(value))
    }

    /// Stores a key as given.
    pub(crate) fn put(
        &mut self,
        key: &AtKey,
        change: Change,
        metadata: Metadata,
        value: Option<String>,
    ) -> Result<CommitId, Refusal> {
        let commit = self.commit(key, Some(change))?;
        let record = Record { commit: commit.0, change, metadata, value };
        let name = key.as_str().as_bytes();
        self.put_entry(Table::Live, name, &record.encode(), record.span())?;
        Ok(commit)
    }

    /// Deletes a key; the deletion is committed even if there was none.
    pub(crate) fn delete(&mut self, key: &AtKey) -> Result<CommitId, Refusal> {
        let name = key.as_str().as_bytes();
        self.remove_entry(Table::Live, name)?;
        let commit = self.commit(key, None)?;
        if let Some(id) = commit.0 {
            self.change().put(&Table::Deleted.key(name), &records::encode_number(id));
        }
        Ok(commit)
    }

    /// Keeps who came and what was looked up.
    pub(crate) fn put_access_log(&mut self, bytes: &[u8]) {
        self.change().put(ACCESS_LOG, bytes);
    }

    /// Keeps on which day copies of others' keys were refreshed.
    pub(crate) fn put_refreshed_day(&mut self, day: u64) {
        self.change().put(REFRESHED_DAY, &records::encode_number(day));
    }

    /// Puts a notification at the end of its receiver's queue.
    pub(crate) fn enqueue(&mut self, make: impl FnOnce(u64) -> Waiting) -> Result<(), Refusal> {
        let serial = self.counters.next_serial;
        self.counters.next_serial += 1;
        let waiting = make(serial);
        let bytes = records::encode_json(&waiting)?;
        self.put_entry(Table::Queue, &serial.to_be_bytes(), &bytes, None)?;
        self.queued.push(waiting);
        Ok(())
    }

    /// Has the monitors told of a notification, once it is durable.
    pub(crate) fn arrive(&mut self, notification: Notification) {
        self.arrived.push(notification);
    }

    /// Takes a notification out of its queue.
    pub(crate) fn dequeue(&mut self, waiting: &Waiting) -> Result<(), Refusal> {
        self.remove_entry(Table::Queue, &waiting.serial.to_be_bytes())?;
        self.settled.push(waiting.clone());
        Ok(())
    }

    /// How many notifications are kept, sent and received.
    pub(crate) fn notifications(&self) -> usize {
        self.counters.notifications
    }

    /// The time of a notification that comes now: later than that of all before it, so that a
    /// monitor that asks for what came since the last one misses none.
    pub(crate) fn notification_time(&mut self) -> Timestamp {
        let time = self.now.max(self.counters.last_notified.plus_millis(1));
        self.counters.last_notified = time;
        time
    }

    /// Writes an entry, and its span if it has one.
    pub(crate) fn put_entry(
        &mut self,
        table: Table,
        name: &[u8],
        bytes: &[u8],
        span: Option<Span>,
    ) -> Result<(), Refusal> {
        let key = table.key(name);
        self.change().put(&key, bytes);
        let had_span = self.view.span(&key)?.is_some();
        if let Some(span) = span {
            self.change().put(&Table::Spans.key(&key), &span.encode());
        } else if had_span {
            self.change().delete(&Table::Spans.key(&key));
        }
        if table.holds_notifications() && !had_span {
            self.counters.notifications += 1;
            // So that the next is later, even if the clock goes back and the server starts anew.
            let last = records::encode_number(self.counters.last_notified.0.cast_unsigned());
            self.change().put(LAST_NOTIFIED, &last);
        }
        Ok(())
    }

    /// Removes an entry, whether it is there or not, and its span if it has one.
    pub(crate) fn remove_entry(&mut self, table: Table, name: &[u8]) -> Result<(), Refusal> {
        let key = table.key(name);
        self.change().delete(&key);
        if self.view.span(&key)?.is_some() {
            self.change().delete(&Table::Spans.key(&key));
            let fewer = self.counters.notifications.saturating_sub(1);
            self.counters.notifications =
                if table.holds_notifications() { fewer } else { self.counters.notifications };
        }
        Ok(())
    }

    fn change(&mut self) -> &mut Batch {
        self.is_empty = false;
        &mut self.batch
    }

    /// Gives a change of the key its place in the commit log, and takes out the one before it.
    fn commit(&mut self, key: &AtKey, change: Option<Change>) -> Result<CommitId, Refusal> {
        let name = key.as_str();
        if !is_committed(key) {
            return Ok(CommitId(None));
        }
        let latest = match self.latest.take().filter(|latest| latest.name == name) {
            Some(latest) => Some(latest),
            None => commit_log::latest(&mut self.view, name)?,
        };
        if let Some(old) = latest {
            self.change().delete(&old.key());
            if old.change.is_none() {
                self.change().delete(&Table::Deleted.key(name.as_bytes()));
            }
        }
        let id = self.counters.next_commit;
        self.counters.next_commit += 1;
        let next = records::encode_number(self.counters.next_commit);
        self.change().put(NEXT_COMMIT, &next);
        self.change().put(&Entry::new(id, change, name).key(), NOTHING);
        Ok(CommitId(Some(id)))
    }
}

/// Whether changes of the key are in the commit log (the protocol's section 6.6).
fn is_committed(key: &AtKey) -> bool {
    let name = key.as_str();
    let is_inner = ["private:", "privatekey:", "local:"].iter().any(|p| name.starts_with(p));
    let is_hidden = name.starts_with("public:_") && !name.starts_with("public:__");
    !is_inner && !is_hidden && !keys::is_managed(key.entity())
}

impl std::fmt::Display for CommitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(id) => write!(f, "{id}"),
            None => f.write_str("-1"),
        }
    }
}
