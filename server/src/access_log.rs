//! Who came and what was looked up: what the statistics need of an access log (the protocol's
//! section 6.7).
//!
//! Counts instead of entries, in memory, in two tables that are bounded and forget first who has not
//! come for longest. Only what exists is counted, so a flood of invented names fills nothing. A
//! look-up writes nothing: the counts are one small entry of the store, written now and then if they
//! have changed, and when the server goes to sleep. A crash forgets the counts since.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::{AtSign, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::limits::{ACCESS_LIFE_MILLIS, ACCESS_TABLE_MAX, TOP_MAX};
use crate::records::{self, ACCESS_LOG};
use crate::refusal::Refusal;
use crate::view::View;

/// The counts of one server.
pub(crate) struct AccessLog(Mutex<State>);

struct State {
    book: Box<Book>,
    is_changed: bool,
    written: Instant,
}

/// What is stored.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Book {
    names: Table,
    keys: Table,
    last_login: Option<Timestamp>,
    last_pkam: Option<Timestamp>,
    compacted: Option<Compaction>,
    notifications_compacted: Option<Compaction>,
}

#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Table(BTreeMap<Box<str>, Visits>);

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Visits {
    count: u64,
    last: Timestamp,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compaction {
    pub(crate) at: Timestamp,
    pub(crate) millis: u64,
    pub(crate) before: usize,
    pub(crate) after: usize,
}

/// How the owner has proved herself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    Cram,
    Pkam,
}

/// What the statistics tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Summary {
    /// Name and count, the highest count first.
    pub(crate) top_names: Value,
    pub(crate) top_keys: Value,
    pub(crate) last_login: Option<Timestamp>,
    pub(crate) last_pkam: Option<Timestamp>,
    pub(crate) compacted: Option<Compaction>,
    pub(crate) notifications_compacted: Option<Compaction>,
}

impl AccessLog {
    /// What was counted before.
    pub(crate) fn read(view: &mut View<'_>) -> Result<Self, Refusal> {
        let book = match view.get(ACCESS_LOG)? {
            Some(bytes) => records::decode_json(&bytes)?,
            None => Box::default(),
        };
        Ok(Self(Mutex::new(State { book, is_changed: false, written: Instant::now() })))
    }

    /// Another identity's server came.
    pub(crate) fn came(&self, name: &AtSign, now: Timestamp) {
        self.change(now, |book| book.names.count(name.bare(), now));
    }

    /// The owner has proved herself.
    pub(crate) fn logged_in(&self, owner: &AtSign, how: Login, now: Timestamp) {
        self.change(now, |book| {
            book.last_login = Some(now);
            if how == Login::Pkam {
                book.last_pkam = Some(now);
            }
            book.names.count(owner.bare(), now)
        });
    }

    /// A key was looked up that is there. Inner keys are not counted.
    pub(crate) fn looked_up(&self, by: Option<&AtSign>, key: &str, now: Timestamp) {
        if key.starts_with('_') {
            return;
        }
        self.change(now, |book| {
            let dropped = by.map_or(0, |by| book.names.count(by.bare(), now));
            dropped + book.keys.count(key, now)
        });
    }

    /// Notifications that were over were removed.
    pub(crate) fn compacted_notifications(&self, compaction: Compaction) {
        self.change(compaction.at, |book| {
            book.notifications_compacted = Some(compaction);
            0
        });
    }

    pub(crate) fn summary(&self) -> Summary {
        let state = self.state();
        let book = &state.book;
        Summary {
            top_names: book.names.top("@"),
            top_keys: book.keys.top(""),
            last_login: book.last_login,
            last_pkam: book.last_pkam,
            compacted: book.compacted,
            notifications_compacted: book.notifications_compacted,
        }
    }

    /// What is to be written, if there is something new and it was not written a moment ago.
    pub(crate) fn due(&self, now: Timestamp, pause: Duration) -> Result<Option<Vec<u8>>, Refusal> {
        let mut state = self.state();
        if !state.is_changed || state.written.elapsed() < pause {
            return Ok(None);
        }
        state.book.forget_old(now);
        let bytes = records::encode_json(&state.book)?;
        state.is_changed = false;
        state.written = Instant::now();
        Ok(Some(bytes))
    }

    /// `change` gives back how many entries it has dropped.
    fn change(&self, now: Timestamp, change: impl FnOnce(&mut Book) -> usize) {
        let mut state = self.state();
        let dropped = change(&mut state.book);
        let before = state.book.entries() + dropped;
        state.book.note(now, before);
        state.is_changed = true;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts that a panic left half changed are counts.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn entries(&self) -> usize {
        self.names.0.len() + self.keys.0.len()
    }

    fn forget_old(&mut self, now: Timestamp) {
        let before = self.entries();
        let oldest = now.plus_millis(-ACCESS_LIFE_MILLIS);
        for table in [&mut self.names, &mut self.keys] {
            // A clock that was ahead has left times to come; they go as well.
            table.0.retain(|_, visits| visits.last >= oldest && visits.last <= now);
        }
        self.note(now, before);
    }

    /// If there were more entries before, that was a compaction.
    fn note(&mut self, at: Timestamp, before: usize) {
        let after = self.entries();
        if before > after {
            self.compacted = Some(Compaction { at, millis: 0, before, after });
        }
    }
}

impl Table {
    /// Counts one; gives back how many others had to go.
    fn count(&mut self, name: &str, now: Timestamp) -> usize {
        if let Some(visits) = self.0.get_mut(name) {
            *visits = Visits { count: visits.count.saturating_add(1), last: now };
            return 0;
        }
        let dropped = self.make_room();
        self.0.insert(name.into(), Visits { count: 1, last: now });
        dropped
    }

    /// A full table forgets the 30 % that have not come for longest.
    fn make_room(&mut self) -> usize {
        if self.0.len() < ACCESS_TABLE_MAX {
            return 0;
        }
        let mut by_age: Vec<_> =
            self.0.iter().map(|(name, visits)| (visits.last, visits.count, name.clone())).collect();
        by_age.sort_unstable();
        by_age.truncate(ACCESS_TABLE_MAX * 3 / 10);
        for (_, _, name) in &by_age {
            self.0.remove(name);
        }
        by_age.len()
    }

    fn top(&self, prefix: &str) -> Value {
        let mut all: Vec<_> = self.0.iter().collect();
        all.sort_unstable_by_key(|(name, visits)| (std::cmp::Reverse(visits.count), *name));
        let top = all.iter().take(TOP_MAX);
        top.map(|(name, visits)| (format!("{prefix}{name}"), json!(visits.count))).collect()
    }
}

impl Compaction {
    /// As clients know it: all values are texts.
    pub(crate) fn to_value(self, of: &str) -> Value {
        json!({
            "atCompactionType": of,
            "lastCompactionRun": self.at.to_string(),
            "compactionDurationInMills": self.millis.to_string(),
            "preCompactionEntriesCount": self.before.to_string(),
            "postCompactionEntriesCount": self.after.to_string(),
            "deletedKeysCount": (self.before - self.after.min(self.before)).to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn log() -> AccessLog {
        let (book, written) = (Box::default(), Instant::now());
        AccessLog(Mutex::new(State { book, is_changed: false, written }))
    }

    fn reread(log: &AccessLog, now: Timestamp) -> Book {
        let bytes = log.due(now, Duration::ZERO).unwrap().unwrap();
        records::decode_json(&bytes).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_look_ups_writes_once_in_a_while() {
        let (log, pause) = (log(), Duration::from_secs(180));
        let mut writes = 0;
        for second in 0..1_000 {
            log.looked_up(None, "public:x@alice", Timestamp(second));
            writes += usize::from(log.due(Timestamp(second), pause).unwrap().is_some());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(writes, 5);
        tokio::time::advance(pause).await;
        assert!(log.due(Timestamp(1_000), pause).unwrap().is_some(), "the rest");
        assert_eq!(log.due(Timestamp(1_000), Duration::ZERO).unwrap(), None, "nothing is new");
    }

    #[tokio::test]
    async fn the_tables_are_bounded_and_keep_who_comes_often() {
        let log = log();
        for n in 0..10_000 {
            log.looked_up(None, "often@alice", Timestamp(n));
            log.looked_up(None, &format!("once{n}@alice"), Timestamp(n));
        }
        let summary = log.summary();
        assert_eq!(summary.top_keys["often@alice"], 10_000);
        assert_eq!(summary.top_keys.as_object().unwrap().len(), TOP_MAX);
        let book = reread(&log, Timestamp(10_000));
        assert!(book.keys.0.len() <= ACCESS_TABLE_MAX);
        let compacted = summary.compacted.unwrap().to_value("AtAccessLog");
        assert_eq!(compacted["deletedKeysCount"], (ACCESS_TABLE_MAX * 3 / 10).to_string());
    }

    #[tokio::test]
    async fn who_has_not_come_for_long_is_forgotten() {
        let (log, alice) = (log(), AtSign::parse("@alice").unwrap());
        let bob = AtSign::parse("@bob").unwrap();
        log.came(&bob, Timestamp(0));
        log.logged_in(&alice, Login::Cram, Timestamp(5));
        log.looked_up(Some(&bob), "_inner@alice", Timestamp(7));
        let summary = log.summary();
        assert_eq!(summary.top_names, json!({"@alice": 1, "@bob": 1}));
        assert_eq!((summary.last_login, summary.last_pkam), (Some(Timestamp(5)), None));
        assert_eq!(summary.top_keys, json!({}));
        let book = reread(&log, Timestamp(ACCESS_LIFE_MILLIS + 1));
        assert_eq!(book.names.top("@"), json!({"@alice": 1}));
        assert_eq!(book.last_login, Some(Timestamp(5)));
    }
}
