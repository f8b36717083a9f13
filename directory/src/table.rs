//! The map from names to addresses: an [`Atlas`] with what came since in front of it.
//!
//! A lookup asks the few recent changes first, then the atlas. While an atlas takes changes over,
//! part by part, they stand in front of it; only when it has them all do they go, so at no moment
//! does a lookup see less than before.

use std::collections::HashSet;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use atlas::{Atlas, HostForm, Place};
use dashmap::DashMap;
use protocol::control::feed::Change;
use protocol::directory::put_found;
use protocol::{Address, AtSign, Epoch, HostName};

use crate::limits::RECENT_SHARDS;

/// Where everybody is. Writing is the feed's alone.
#[derive(Debug)]
pub(crate) struct Table {
    atlas: ArcSwap<Atlas>,
    /// What changed since.
    recent: DashMap<AtSign, Recent>,
    /// How many of `recent` there are, at least: without any, a lookup does not look there.
    recent_len: AtomicUsize,
    len: AtomicUsize,
    hosts: Mutex<HashSet<Arc<HostForm>>>,
}

/// What became of one name.
#[derive(Debug, Clone)]
struct Recent {
    /// The change's number.
    number: u64,
    place: Option<Held>,
}

/// A place that shares its host, or the domain of it, with all others there.
#[derive(Debug, Clone)]
struct Held {
    host: Arc<HostForm>,
    port: NonZeroU16,
    epoch: Epoch,
}

impl Table {
    /// Starts with what an atlas says.
    pub(crate) fn new(atlas: Arc<Atlas>) -> Self {
        Self {
            len: AtomicUsize::new(atlas.len()),
            atlas: ArcSwap::new(atlas),
            recent: DashMap::with_shard_amount(RECENT_SHARDS),
            recent_len: AtomicUsize::new(0),
            hosts: Mutex::default(),
        }
    }

    /// Where this identity is.
    pub(crate) fn lookup(&self, name: &AtSign) -> Option<Address> {
        self.find(name, |place| place.address())
    }

    /// Where this identity is, and under which epoch.
    pub(crate) fn record(&self, name: &AtSign) -> Option<(Address, Epoch)> {
        self.find(name, |place| (place.address(), place.epoch))
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

    /// The last change of this name, unless the atlas has it.
    pub(crate) fn changed(&self, name: &AtSign) -> Option<u64> {
        self.recent.get(name).map(|recent| recent.number)
    }

    fn find<T>(&self, name: &AtSign, look: impl FnOnce(Place<'_>) -> T) -> Option<T> {
        // What is not among the recent any more is in the atlas by then.
        if self.recent_len.load(Ordering::Acquire) > 0
            && let Some(recent) = self.recent.get(name)
        {
            return recent.place.as_ref().and_then(|held| held.place(name)).map(look);
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
            host: self.share(&change.identity, host),
            port: *port,
            epoch: change.epoch,
        });
        // Before it is there, so that whoever sees it counted looks for it.
        self.recent_len.fetch_add(1, Ordering::Release);
        let old = self
            .recent
            .insert(change.identity.clone(), Recent { number: change.number, place: held });
        if let Some(old) = old {
            self.recent_len.fetch_sub(1, Ordering::Release);
            self.release(&old);
        }
    }

    /// Puts an atlas in place that has taken over some of the changes, or all. Lookups go on
    /// meanwhile.
    pub(crate) fn show(&self, atlas: Arc<Atlas>) {
        self.atlas.store(atlas);
    }

    /// Forgets the changes up to `number`, all of which the atlas has by now. Few of them are behind
    /// one lock, so that a lookup is not held up.
    pub(crate) fn retire(&self, number: u64) {
        self.recent.retain(|_, recent| {
            let stays = recent.number > number;
            if !stays {
                self.recent_len.fetch_sub(1, Ordering::Release);
                self.release(recent);
            }
            stays
        });
        self.recent.shrink_to_fit();
    }

    /// The one copy of this host, or of the form that others have too.
    fn share(&self, name: &AtSign, host: &HostName) -> Arc<HostForm> {
        let form = HostForm::of(name.bare().as_bytes(), host.into());
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = hosts.get(&form) {
            return Arc::clone(shared);
        }
        let shared = Arc::new(form);
        hosts.insert(Arc::clone(&shared));
        shared
    }

    /// Forgets the name of a host that no recent change names any more.
    fn release(&self, recent: &Recent) {
        let Some(held) = &recent.place else { return };
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        // The set's own and the one in hand.
        if Arc::strong_count(&held.host) == 2 {
            hosts.remove(&held.host);
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl Held {
    /// It is there for the name that it was made for.
    fn place<'a>(&'a self, name: &'a AtSign) -> Option<Place<'a>> {
        let host = self.host.host(name.bare().as_bytes())?;
        Some(Place { host, port: self.port, epoch: self.epoch })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use protocol::HostLabel;
    use protocol::control::feed::Entry;

    fn name(text: &str) -> AtSign {
        AtSign::parse(text).unwrap()
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn change(number: u64, identity: &str, at: Option<&str>) -> Change {
        let identity = name(identity);
        Change { number, identity, address: at.map(address), epoch: Epoch::FIRST }
    }

    fn entry(identity: &str, at: &str) -> Entry {
        Entry { identity: name(identity), address: address(at), epoch: Epoch::FIRST }
    }

    fn atlas(entries: &[Entry]) -> Arc<Atlas> {
        Arc::new(feed::pack(entries).unwrap())
    }

    #[test]
    fn hosts_are_shared_and_forgotten_with_their_last_change() {
        let table = Table::default();
        let hosts = || table.hosts.lock().unwrap().len();
        table.change(&change(1, "alice", Some("one:1")));
        table.change(&change(2, "bob", Some("one:2")));
        assert_eq!(hosts(), 1);
        table.change(&change(3, "alice", Some("two:1")));
        assert_eq!(hosts(), 2);
        table.change(&change(4, "bob", None));
        assert_eq!(hosts(), 1);
        assert_eq!(table.lookup(&name("alice")), Some(address("two:1")));
        assert_eq!(table.lookup(&name("bob")), None);
        table.show(atlas(&[entry("alice", "two:1")]));
        table.retire(4);
        assert_eq!((hosts(), table.recent_len()), (0, 0));
        assert_eq!(table.lookup(&name("alice")), Some(address("two:1")));
    }

    #[test]
    fn hosts_with_labels_are_kept_as_their_one_domain() {
        let table = Table::default();
        let at = |who: &str| format!("{}.swarm.example:443", HostLabel::of(&name(who)));
        for (number, who) in (1..).zip(["alice", "bob", "carol"]) {
            table.change(&change(number, who, Some(&at(who))));
        }
        assert_eq!(table.hosts.lock().unwrap().len(), 1);
        assert_eq!(table.lookup(&name("bob")), Some(address(&at("bob"))));
    }

    #[test]
    fn changes_stand_in_front_of_the_atlas_and_then_in_it() {
        let table = Table::new(atlas(&[entry("bob", "one:2"), entry("alice", "one:1")]));
        assert_eq!((table.len(), table.recent_len()), (2, 0));
        table.change(&change(1, "alice", None));
        table.change(&change(2, "bob", Some("two:2")));
        table.change(&change(3, "carol", Some("two:3")));
        table.change(&change(4, "nobody", None));
        for _ in 0..2 {
            assert_eq!(table.len(), 2);
            assert_eq!(table.lookup(&name("alice")), None);
            assert_eq!(table.lookup(&name("bob")), Some(address("two:2")));
            assert_eq!(table.lookup(&name("carol")), Some(address("two:3")));
            table.show(atlas(&[entry("bob", "two:2"), entry("carol", "two:3")]));
            table.retire(4);
            assert_eq!(table.recent_len(), 0);
        }
    }

    #[test]
    fn what_changed_after_the_new_atlas_stays_in_front_of_it() {
        let table = Table::new(atlas(&[entry("alice", "one:1")]));
        table.change(&change(1, "alice", Some("two:1")));
        table.change(&change(2, "alice", Some("three:1")));
        table.change(&change(3, "bob", Some("three:2")));
        table.show(atlas(&[entry("alice", "two:1")]));
        table.retire(1);
        assert_eq!(table.recent_len(), 2);
        assert_eq!(table.lookup(&name("alice")), Some(address("three:1")));
        assert_eq!(table.lookup(&name("bob")), Some(address("three:2")));
    }

    #[test]
    fn lookups_see_every_name_at_every_moment() {
        let entries = |host: &str| {
            let all: Vec<_> = (0..2_000).map(|n| entry(&format!("name{n}"), host)).collect();
            atlas(&all)
        };
        let table = Table::new(entries("one:1"));
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
            for round in 1..30_u64 {
                let at = format!("host{round}:{round}");
                for n in (0..2_000).step_by(13) {
                    table.change(&change(round, &format!("name{n}"), Some(&at)));
                }
                table.show(entries(&at));
                table.retire(round);
            }
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
        assert_eq!(table.lookup(&name("name13")), Some(address("host29:29")));
    }
}
