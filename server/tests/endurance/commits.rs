//! The latest change of each key, as `sync:from` and `stats` have to tell it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::stat::Stat;
use protocol::verb::{Stats, SyncFrom};
use serde_json::Value;

use crate::model::{Model, Session};

const PAGE_MAX: u64 = 25;

/// Commit id and operation, by name.
pub type Log = BTreeMap<String, (u64, char)>;

/// One entry of a page.
struct Told {
    name: String,
    commit: u64,
    operation: char,
    value: Value,
    has_metadata: bool,
}

impl Told {
    fn of(entry: &Value) -> Option<Self> {
        Some(Self {
            name: entry["atKey"].as_str()?.to_owned(),
            commit: entry["commitId"].as_u64()?,
            operation: entry["operation"].as_str()?.chars().next()?,
            value: entry["value"].clone(),
            has_metadata: entry["metadata"].is_object(),
        })
    }
}

/// A page as it came: names, commits and operations.
pub fn entries(json: &str) -> Log {
    let page: Vec<Value> = serde_json::from_str(json).expect("a page");
    let told = page.iter().map(|entry| Told::of(entry).expect("an entry"));
    told.map(|told| (told.name, (told.commit, told.operation))).collect()
}

impl Model {
    fn is_shown(&self, session: &Session, name: &str) -> bool {
        self.grant(session).is_none_or(|grant| grant.sees(name))
    }

    /// Whether the sweep may have deleted it meanwhile, or the server writes it by itself.
    fn is_uncertain(&self, name: &str, now: i64) -> bool {
        self.is_wild(name) || self.keys.get(name).is_some_and(|kept| kept.is_expired(now))
    }

    /// Whether these are the changes after one, in their order: all that the page holds.
    pub fn is_page(&self, session: &Session, sync: &SyncFrom, json: &str, now: i64) -> bool {
        let Ok(page) = serde_json::from_str::<Vec<Value>>(json) else { return false };
        let Some(page) = page.iter().map(Told::of).collect::<Option<Vec<_>>>() else {
            return false;
        };
        let limit = sync.limit.clamp(1, PAGE_MAX);
        let count = page.len() as u64;
        let first = sync.after.map_or(0, |after| after.saturating_add(1));
        let last = page.last().map(|told| told.commit).filter(|_| count >= limit);
        let is_missing = |(name, (commit, _)): (&String, &(u64, char))| {
            (first..=last.unwrap_or(u64::MAX)).contains(commit)
                && self.is_shown(session, name)
                && !self.is_uncertain(name, now)
                && !page.iter().any(|told| told.name == *name)
        };
        let names: BTreeSet<&str> = page.iter().map(|told| told.name.as_str()).collect();
        count <= limit
            && (sync.after != Some(u64::MAX) || page.is_empty())
            && names.len() == page.len()
            && page.windows(2).all(|two| two[0].commit < two[1].commit)
            && page.iter().all(|told| told.commit >= first && self.is_entry(session, told, now))
            && (sync.regex.is_some() || !self.log.iter().any(is_missing))
    }

    fn is_entry(&self, session: &Session, told: &Told, now: i64) -> bool {
        let is_deletion = told.operation == '-';
        let is_whole = is_deletion != told.has_metadata && (!is_deletion || told.value.is_null());
        let is_right = || {
            let kept = self.keys.get(&told.name).filter(|_| !is_deletion);
            self.log.get(&told.name) == Some(&(told.commit, told.operation))
                && kept.and_then(|kept| kept.value.as_deref()) == told.value.as_str()
        };
        self.is_shown(session, &told.name)
            && is_whole
            && (self.is_uncertain(&told.name, now) || is_right())
    }

    /// Whether these are the statistics that were asked for.
    pub fn are_stats(&self, session: &Session, stats: &Stats, data: &str, now: i64) -> bool {
        let Ok(told) = serde_json::from_str::<Vec<Value>>(data) else { return false };
        told.len() == stats.wanted.len()
            && stats.wanted.iter().zip(&told).all(|(stat, told)| {
                let is_all = stats.regex.is_none();
                told["id"].as_str() == Some(stat.id().to_string().as_str())
                    && match stat {
                        Stat::LastCommit => self.is_last(session, &told["value"], is_all, now),
                        Stat::LatestCommits => self.are_latest(session, &told["value"], now),
                        _ => !told["value"].is_null(),
                    }
            })
    }

    fn is_last(&self, session: &Session, told: &Value, is_all: bool, now: i64) -> bool {
        let Some(told) = told.as_str() else { return false };
        let Ok(told) = told.parse::<u64>() else { return told == "null" && !is_all };
        let foreign = self.log.iter().any(|(name, (commit, _))| {
            *commit == told && !self.is_uncertain(name, now) && !self.is_shown(session, name)
        });
        let seen = self
            .log
            .iter()
            .filter(|(name, _)| self.is_shown(session, name) && !self.is_uncertain(name, now));
        let least = seen.map(|(_, (commit, _))| *commit).max().filter(|_| is_all);
        let next = self.next_commit().filter(|_| is_all && self.grant(session).is_none());
        !foreign
            && least.is_none_or(|least| least <= told)
            && next.is_none_or(|next| (next..=next + self.slack(now)).contains(&(told + 1)))
    }

    fn are_latest(&self, session: &Session, told: &Value, now: i64) -> bool {
        let Some(Ok(Value::Object(told))) = told.as_str().map(serde_json::from_str) else {
            return false;
        };
        told.iter().all(|(name, entry)| {
            let is_known = || {
                let known = self.log.get(name);
                known.is_some_and(|(commit, operation)| {
                    entry[0] == *commit && entry[1] == operation.to_string()
                })
            };
            self.is_shown(session, name) && (self.is_uncertain(name, now) || is_known())
        })
    }
}
