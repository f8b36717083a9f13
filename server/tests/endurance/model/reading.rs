//! What is read of the keys: one by its name, or all names.

use protocol::verb::Projection;

use super::{Model, Wanted};

impl Model {
    /// A key for somebody who asks by name; references are followed.
    pub(super) fn read(&self, key: &str, projection: Projection, now: i64) -> Wanted {
        let kept = self.keys.get(key);
        if kept.and_then(|kept| kept.value.as_ref()).is_some_and(|v| v.starts_with("atsign://")) {
            return Wanted::Any;
        }
        self.exactly(key, projection, now)
    }

    pub(super) fn exactly(&self, key: &str, projection: Projection, now: i64) -> Wanted {
        if self.is_wild(key) {
            return Wanted::Any;
        }
        let Some(kept) = self.keys.get(key) else { return Wanted::Error("AT0015") };
        if kept.is_expired(now) {
            return Wanted::Nothing;
        }
        let key = key.to_owned();
        match (projection, &kept.value) {
            _ if !kept.is_active(now) => Wanted::Null,
            _ if kept.is_opaque => Wanted::Some,
            (Projection::Value, Some(value)) => Wanted::Data(value.clone()),
            (Projection::Value, None) => Wanted::Null,
            (Projection::Meta, _) => Wanted::Record { key, kept: kept.clone(), is_whole: false },
            (Projection::All, _) => Wanted::Record { key, kept: kept.clone(), is_whole: true },
        }
    }

    pub(super) fn names(
        &self,
        prefix: &str,
        is_filtered: bool,
        now: i64,
        is_seen: impl Fn(&str) -> bool,
    ) -> Wanted {
        let seen = self.keys.iter().filter(|(name, kept)| {
            name.starts_with(prefix) && kept.is_active(now) && is_seen(name) && !self.is_wild(name)
        });
        let names = seen.map(|(name, _)| name[prefix.len()..].to_owned()).collect();
        Wanted::Names { prefix: prefix.to_owned(), names, is_filtered }
    }

    /// Whether the server may write it by itself: copies, and what it signs with once that was lost.
    pub fn is_wild(&self, name: &str) -> bool {
        name.starts_with("cached:") || self.wild.contains(name)
    }
}
