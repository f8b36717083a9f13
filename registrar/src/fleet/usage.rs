//! What each identity used, rolled up: rows of an hour, and after a few days rows of a day.
//!
//! The rows of an hour lie in a few records, each for a part of all names, so that a hundred thousand
//! who used something are a few dozen writes now and then. What cells tell is added up in memory and
//! written every few minutes: a crash loses what came since then, and no more; nothing is billed from
//! it without looking.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::control::names::CellId;
use protocol::control::usage::{UsageBatch, Used};
use protocol::{AtSign, Term, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::limits::{
    USAGE_DAYS_KEPT, USAGE_HOURS_KEPT, USAGE_PARTS, USAGE_PARTS_A_WRITE, USAGE_UNSAVED_MAX,
};
use crate::records::{UsageKey, UsageSpan, usage_key};

const HOUR_MS: i64 = 3_600_000;
const HOURS_A_DAY: i64 = 24;

/// The rows of one part of all names.
type Rows = BTreeMap<AtSign, Used>;

/// Some time, and what one identity used in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UsageView {
    /// When it began.
    pub at: Timestamp,
    /// How many hours it has: 1 or 24.
    pub hours: i64,
    /// What she used.
    #[serde(flatten)]
    pub used: Used,
}

/// The accounts.
pub(crate) struct Usage {
    ledger: Arc<Ledger>,
    unsaved: Mutex<Unsaved>,
    /// Rows are written by one at a time.
    turn: tokio::sync::Mutex<Option<i64>>,
}

#[derive(Default)]
struct Unsaved {
    rows: BTreeMap<UsageKey, Rows>,
    count: usize,
    /// The last batch of each cell that was taken.
    taken: HashMap<CellId, (Term, u64)>,
}

impl Usage {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, unsaved: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// Takes a batch in, unless it was taken before.
    pub(crate) fn take(&self, cell: CellId, term: Term, batch: UsageBatch, now: Timestamp) {
        let number = now.0.div_euclid(HOUR_MS);
        let mut unsaved = self.unsaved();
        let this = (term, batch.number);
        if unsaved.taken.get(&cell).is_some_and(|last| *last >= this) {
            return;
        }
        unsaved.taken.insert(cell, this);
        for row in batch.rows {
            let key = UsageKey { span: UsageSpan::Hour, number, part: part(&row.identity) };
            let is_full = unsaved.count >= USAGE_UNSAVED_MAX;
            let rows = unsaved.rows.entry(key).or_default();
            match rows.get_mut(&row.identity) {
                Some(used) => *used = used.and_then(row.used),
                None if is_full => {}
                None => {
                    rows.insert(row.identity, row.used);
                    unsaved.count += 1;
                }
            }
        }
    }

    /// What one identity used, in rows of an hour or a day, oldest first.
    pub(crate) async fn of(
        &self,
        identity: &AtSign,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<UsageView>, LedgerError> {
        // Nothing is rolled up or written meanwhile.
        let _turn = self.turn.lock().await;
        let (part, hour) = (part(identity), now.0.div_euclid(HOUR_MS));
        let day = hour.div_euclid(HOURS_A_DAY);
        let first = from.0.div_euclid(HOUR_MS);
        let first_day = first.div_euclid(HOURS_A_DAY).max(day - USAGE_DAYS_KEPT);
        let days = (first_day..=day).map(|day| (UsageSpan::Day, day, HOURS_A_DAY));
        let first = first.max(hour - USAGE_HOURS_KEPT - 2 * HOURS_A_DAY);
        let hours = (first..=hour).map(|hour| (UsageSpan::Hour, hour, 1));
        let mut views = Vec::new();
        for (span, number, hours) in days.chain(hours) {
            let key = UsageKey { span, number, part };
            let stored = self.stored(key).await?.remove(identity);
            let unsaved =
                self.unsaved().rows.get(&key).and_then(|rows| rows.get(identity).copied());
            if stored.is_some() || unsaved.is_some() {
                let used = stored.unwrap_or_default().and_then(unsaved.unwrap_or_default());
                views.push(UsageView { at: Timestamp(number * hours * HOUR_MS), hours, used });
            }
        }
        Ok(views)
    }

    /// Writes what is not written yet, and rolls up what is old enough.
    pub(crate) async fn save(&self, now: Timestamp) -> Result<(), LedgerError> {
        let mut rolled = self.turn.lock().await;
        let keys: Vec<UsageKey> = self.unsaved().rows.keys().copied().collect();
        for keys in keys.chunks(USAGE_PARTS_A_WRITE) {
            self.save_some(keys).await?;
        }
        let oldest = now.0.div_euclid(HOUR_MS) - USAGE_HOURS_KEPT;
        let day = oldest.div_euclid(HOURS_A_DAY) - 1;
        if *rolled != Some(day) {
            // Also those of a time in which nobody was here.
            let first = rolled.map_or(day - USAGE_DAYS_KEPT.min(7), |rolled| rolled + 1);
            for day in first..=day {
                self.roll_up(day).await?;
            }
            *rolled = Some(day);
        }
        Ok(())
    }

    async fn save_some(&self, keys: &[UsageKey]) -> Result<(), LedgerError> {
        let (mut records, mut taken) = (Vec::new(), Vec::new());
        for key in keys {
            let mut rows = self.stored(*key).await?;
            let Some(added) = self.unsaved().rows.get(key).cloned() else { continue };
            for (identity, used) in &added {
                let row = rows.entry(identity.clone()).or_default();
                *row = row.and_then(*used);
            }
            records.push((usage_key(*key), Some(rows)));
            taken.push((*key, added));
        }
        let appended = self.ledger.put_all(&records)?;
        self.ledger.durable(appended).await?;
        let mut unsaved = self.unsaved();
        taken.into_iter().for_each(|(key, saved)| unsaved.saved(key, &saved));
        Ok(())
    }

    /// The hours of a day become a row of it; a day that is too old goes.
    async fn roll_up(&self, day: i64) -> Result<(), LedgerError> {
        for part in 0..USAGE_PARTS {
            let (mut rows, mut records) = (Rows::new(), Vec::new());
            for number in day * HOURS_A_DAY..(day + 1) * HOURS_A_DAY {
                let key = UsageKey { span: UsageSpan::Hour, number, part };
                let hour = self.stored(key).await?;
                if hour.is_empty() {
                    continue;
                }
                for (identity, used) in hour {
                    let row = rows.entry(identity).or_default();
                    *row = row.and_then(used);
                }
                records.push((usage_key(key), None));
            }
            if !records.is_empty() {
                let key = UsageKey { span: UsageSpan::Day, number: day, part };
                records.push((usage_key(key), Some(rows)));
            }
            let number = day - USAGE_DAYS_KEPT;
            let old = UsageKey { span: UsageSpan::Day, number, part };
            if !self.stored(old).await?.is_empty() {
                records.push((usage_key(old), None));
            }
            if !records.is_empty() {
                let appended = self.ledger.put_all(&records)?;
                self.ledger.durable(appended).await?;
            }
        }
        Ok(())
    }

    async fn stored(&self, key: UsageKey) -> Result<Rows, LedgerError> {
        Ok(self.ledger.get(&usage_key(key)).await?.unwrap_or_default())
    }

    fn unsaved(&self) -> MutexGuard<'_, Unsaved> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unsaved {
    /// These are written; what came meanwhile is not.
    fn saved(&mut self, key: UsageKey, saved: &Rows) {
        let Some(rows) = self.rows.get_mut(&key) else { return };
        for (identity, before) in saved {
            let Some(now) = rows.get_mut(identity) else { continue };
            let rest = Used {
                commands: now.commands.saturating_sub(before.commands),
                bytes_in: now.bytes_in.saturating_sub(before.bytes_in),
                bytes_out: now.bytes_out.saturating_sub(before.bytes_out),
                wakes: now.wakes.saturating_sub(before.wakes),
                awake_ms: now.awake_ms.saturating_sub(before.awake_ms),
                stored_bytes: now.stored_bytes,
            };
            if now == before {
                rows.remove(identity);
                self.count = self.count.saturating_sub(1);
            } else {
                *now = rest;
            }
        }
        if rows.is_empty() {
            self.rows.remove(&key);
        }
    }
}

/// In which part of all names one is: the same for ever.
fn part(identity: &AtSign) -> u16 {
    let hash = Sha256::digest(identity.bare().as_bytes());
    u16::from(hash.first().copied().unwrap_or_default()) % USAGE_PARTS
}

impl super::Fleet {
    /// What one identity used since then.
    pub(crate) async fn usage_of(
        &self,
        identity: &AtSign,
        from: Timestamp,
    ) -> Result<Vec<UsageView>, LedgerError> {
        self.usage.of(identity, from, self.clock.now()).await
    }

    /// Writes what was used. If that fails, it is tried again later.
    pub(crate) async fn save_usage(&self) {
        if let Err(error) = self.usage.save(self.clock.now()).await {
            tracing::warn!(%error, "what was used cannot be written now");
        }
    }
}
