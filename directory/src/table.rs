//! The map from names to addresses: an [`Atlas`] with what came since in front of it.
//!
//! A lookup asks the few recent changes first, then the atlas. Merging the changes into the atlas
//! puts each new segment in place as it is made, while the changes still stand in front; only then
//! do they go, so at no moment does a lookup see less than before.

use std::collections::HashSet;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use atlas::{Atlas, MergeError, Patch, Place};
use dashmap::DashMap;
use protocol::control::feed::Change;
use protocol::directory::put_found;
use protocol::{Address, AtSign, Epoch, HostName};

/// Where everybody is. Writing is the feed's alone.
#[derive(Debug, Default)]
pub(crate) struct Table {
    atlas: ArcSwap<Atlas>,
    /// What changed since, with a stamp that tells a change from a later one.
    recent: DashMap<AtSign, Recent>,
    /// Changes that were ever entered; the latest one's stamp.
    stamps: AtomicUsize,
    /// How many of `recent` there are, at least: without any, a lookup does not look there.
    recent_len: AtomicUsize,
    len: AtomicUsize,
    hosts: Mutex<HashSet<Arc<HostName>>>,
    /// Held by whoever merges.
    merging: Mutex<()>,
}

/// What became of one name.
#[derive(Debug, Clone)]
pub(crate) struct Recent {
    stamp: usize,
    place: Option<Held>,
}

/// A place that shares its host's name with all others there.
#[derive(Debug, Clone)]
struct Held {
    host: Arc<HostName>,
    port: NonZeroU16,
    epoch: Epoch,
}

impl Table {
    /// Starts with what an atlas says.
    pub(crate) fn new(atlas: Atlas) -> Self {
        let len = AtomicUsize::new(atlas.len());
        Self { atlas: ArcSwap::from_pointee(atlas), len, ..Self::default() }
    }

    /// Where this identity is.
    pub(crate) fn lookup(&self, name: &AtSign) -> Option<Address> {
        self.find(name, |place| place.address())
    }

    /// Appends the answer to a lookup; false, and nothing, for a name that nobody has.
    pub(crate) fn answer(&self, name: &AtSign, out: &mut Vec<u8>) -> bool {
        self.find(name, |place| put_found(out, place.host, place.port)).is_some()
    }

    /// Under which epoch it is there.
    pub(crate) fn epoch_of(&self, name: &AtSign) -> Option<Epoch> {
        self.find(name, |place| place.epoch)
    }

    /// The same for a name's bytes.
    pub(crate) fn epoch_of_bytes(&self, name: &[u8]) -> Option<Epoch> {
        let text = std::str::from_utf8(name).ok()?;
        self.epoch_of(&AtSign::parse(text).ok()?)
    }

    fn find<T>(&self, name: &AtSign, look: impl FnOnce(Place<'_>) -> T) -> Option<T> {
        // What is not among the recent any more is in the atlas by then.
        if self.recent_len.load(Ordering::Acquire) > 0
            && let Some(recent) = self.recent.get(name)
        {
            return recent.place.as_ref().map(|held| look(held.place()));
        }
        self.atlas.load().find(name.bare().as_bytes()).map(look)
    }

    /// How many identities have an address.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// How many changes wait to be merged.
    #[cfg(test)]
    pub(crate) fn recent_len(&self) -> usize {
        self.recent_len.load(Ordering::Relaxed)
    }

    /// Takes over one change.
    pub(crate) fn change(&self, change: &Change) {
        let was_there = self.epoch_of(&change.identity).is_some();
        match (was_there, change.address.is_some()) {
            (false, true) => drop(self.len.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.len.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
        let held = change.address.as_ref().map(|Address { host, port }| Held {
            host: self.share(host),
            port: *port,
            epoch: change.epoch,
        });
        let stamp = self.stamps.fetch_add(1, Ordering::Relaxed);
        // Before it is there, so that whoever sees it counted looks for it.
        self.recent_len.fetch_add(1, Ordering::Release);
        let old = self.recent.insert(change.identity.clone(), Recent { stamp, place: held });
        if let Some(old) = old {
            self.recent_len.fetch_sub(1, Ordering::Release);
            self.release(old);
        }
    }

    /// A copy of the recent changes, in the order of the names. Nobody may be writing.
    pub(crate) fn recent(&self) -> Vec<(AtSign, Recent)> {
        let mut recent: Vec<_> =
            self.recent.iter().map(|one| (one.key().clone(), one.value().clone())).collect();
        recent.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        recent
    }

    /// The atlas as it is, without the recent changes.
    #[cfg(test)]
    pub(crate) fn atlas(&self) -> Arc<Atlas> {
        self.atlas.load_full()
    }

    /// Merges what [`recent`](Self::recent) gave into the atlas, and gives that. Lookups and writers
    /// go on meanwhile.
    pub(crate) fn merge(&self, recent: Vec<(AtSign, Recent)>) -> Result<Arc<Atlas>, MergeError> {
        let _merging = self.merging.lock().unwrap_or_else(PoisonError::into_inner);
        let patches: Vec<_> = recent
            .iter()
            .map(|(name, recent)| Patch {
                name: name.bare().as_bytes(),
                place: recent.place.as_ref().map(Held::place),
            })
            .collect();
        let show = |atlas: &Atlas| self.atlas.store(Arc::new(atlas.clone()));
        let merged = Arc::new(self.atlas.load_full().merge(&patches, show)?);
        drop(patches);
        for (name, merged) in recent {
            let is_same = |_: &AtSign, now: &Recent| now.stamp == merged.stamp;
            if let Some((_, old)) = self.recent.remove_if(&name, is_same) {
                self.recent_len.fetch_sub(1, Ordering::Release);
                drop(merged);
                self.release(old);
            }
        }
        self.recent.shrink_to_fit();
        Ok(merged)
    }

    /// The one copy of this host's name.
    fn share(&self, host: &HostName) -> Arc<HostName> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = hosts.get(host) {
            return Arc::clone(shared);
        }
        let shared = Arc::new(host.clone());
        hosts.insert(Arc::clone(&shared));
        shared
    }

    /// Forgets the name of a host that no recent change names any more.
    fn release(&self, recent: Recent) {
        let Some(held) = recent.place else { return };
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        // The set's own and the one in hand.
        if Arc::strong_count(&held.host) == 2 {
            hosts.remove(&held.host);
        }
    }
}

impl Held {
    fn place(&self) -> Place<'_> {
        Place { host: &self.host, port: self.port, epoch: self.epoch }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use protocol::control::feed::Entry;

    fn name(text: &str) -> AtSign {
        AtSign::parse(text).unwrap()
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn change(identity: &str, at: Option<&str>) -> Change {
        let identity = name(identity);
        Change { number: 1, identity, address: at.map(address), epoch: Epoch::FIRST }
    }

    fn entry(identity: &str, at: &str) -> Entry {
        Entry { identity: name(identity), address: address(at), epoch: Epoch::FIRST }
    }

    fn packed(entries: &[Entry]) -> Table {
        Table::new(feed::pack(entries).unwrap())
    }

    #[test]
    fn hosts_are_shared_and_forgotten_with_their_last_change() {
        let table = Table::default();
        let hosts = || table.hosts.lock().unwrap().len();
        table.change(&change("alice", Some("one:1")));
        table.change(&change("bob", Some("one:2")));
        assert_eq!(hosts(), 1);
        table.change(&change("alice", Some("two:1")));
        assert_eq!(hosts(), 2);
        table.change(&change("bob", None));
        assert_eq!(hosts(), 1);
        assert_eq!(table.lookup(&name("alice")), Some(address("two:1")));
        assert_eq!(table.lookup(&name("bob")), None);
        table.merge(table.recent()).unwrap();
        assert_eq!((hosts(), table.recent_len()), (0, 0));
        assert_eq!(table.lookup(&name("alice")), Some(address("two:1")));
    }

    #[test]
    fn changes_stand_in_front_of_the_atlas_and_then_in_it() {
        let table = packed(&[entry("bob", "one:2"), entry("alice", "one:1")]);
        assert_eq!((table.len(), table.recent_len()), (2, 0));
        table.change(&change("alice", None));
        table.change(&change("bob", Some("two:2")));
        table.change(&change("carol", Some("two:3")));
        table.change(&change("nobody", None));
        for _ in 0..2 {
            assert_eq!(table.len(), 2);
            assert_eq!(table.lookup(&name("alice")), None);
            assert_eq!(table.lookup(&name("bob")), Some(address("two:2")));
            assert_eq!(table.lookup(&name("carol")), Some(address("two:3")));
            let merged = table.merge(table.recent()).unwrap();
            assert_eq!((table.recent_len(), merged.len()), (0, 2));
        }
    }

    #[test]
    fn what_changes_during_a_merge_is_not_lost() {
        let table = packed(&[entry("alice", "one:1")]);
        table.change(&change("alice", Some("two:1")));
        let recent = table.recent();
        table.change(&change("alice", Some("three:1")));
        table.change(&change("bob", Some("three:2")));
        table.merge(recent).unwrap();
        assert_eq!(table.recent_len(), 2);
        assert_eq!(table.lookup(&name("alice")), Some(address("three:1")));
        assert_eq!(table.lookup(&name("bob")), Some(address("three:2")));
    }

    #[test]
    fn lookups_see_every_name_at_every_moment_of_merges() {
        let entries: Vec<_> = (0..2_000).map(|n| entry(&format!("name{n}"), "one:1")).collect();
        let table = packed(&entries);
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (table, done) = (&table, &done);
            let reader = scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    for n in (0..2_000).step_by(7) {
                        let found = table.lookup(&name(&format!("name{n}")));
                        assert!(found.is_some(), "name{n}");
                    }
                }
            });
            for round in 1..30_u16 {
                for n in (0..2_000).step_by(13) {
                    let at = format!("host{round}:{round}");
                    table.change(&change(&format!("name{n}"), Some(&at)));
                }
                table.merge(table.recent()).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
        assert_eq!(table.lookup(&name("name13")), Some(address("host29:29")));
    }
}
