//! The map from names to addresses, small for each identity.

use std::collections::HashSet;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use protocol::control::feed::{Change, Entry};
use protocol::{Address, AtSign, Epoch, HostName};

/// Where everybody is. Reading takes a lock for one entry's copy; writing is the feed's alone.
#[derive(Debug, Default)]
pub(crate) struct Table {
    places: DashMap<AtSign, Place>,
    hosts: Mutex<HashSet<Arc<HostName>>>,
}

/// An address that shares its host's name with all others there.
#[derive(Debug, Clone)]
struct Place {
    host: Arc<HostName>,
    epoch: Epoch,
    port: NonZeroU16,
}

impl Table {
    /// Where this identity is.
    pub(crate) fn lookup(&self, name: &AtSign) -> Option<Address> {
        self.places.get(name).map(|place| place.address())
    }

    /// Under which epoch it is there.
    pub(crate) fn epoch_of(&self, name: &AtSign) -> Option<Epoch> {
        self.places.get(name).map(|place| place.epoch)
    }

    /// How many identities have an address.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Takes over one change.
    pub(crate) fn change(&self, change: &Change) {
        match &change.address {
            Some(address) => self.insert(change.identity.clone(), address, change.epoch),
            None => {
                if let Some((_, old)) = self.places.remove(&change.identity) {
                    self.release(old);
                }
            }
        }
    }

    /// Enters one identity.
    pub(crate) fn insert(&self, name: AtSign, address: &Address, epoch: Epoch) {
        let place = Place { host: self.share(&address.host), epoch, port: address.port };
        if let Some(old) = self.places.insert(name, place) {
            self.release(old);
        }
    }

    /// A copy of everything, in the order of the names.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<_> = self
            .places
            .iter()
            .map(|at| Entry {
                identity: at.key().clone(),
                address: at.value().address(),
                epoch: at.value().epoch,
            })
            .collect();
        entries.sort_unstable_by(|a, b| a.identity.cmp(&b.identity));
        entries
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

    /// Forgets the name of a host at which nobody is any more.
    fn release(&self, place: Place) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        // The set's own and the one in hand.
        if Arc::strong_count(&place.host) == 2 {
            hosts.remove(&place.host);
        }
    }

    /// About how much memory it holds, in bytes: slots with their control bytes, names and hosts
    /// with the allocator's share.
    #[cfg(test)]
    fn memory_bytes(&self) -> usize {
        const ALLOCATION: usize = 16;
        let slot = size_of::<(AtSign, Place)>() + 1;
        let names: usize = self
            .places
            .iter()
            .map(|at| at.key().bare().len().next_multiple_of(16) + ALLOCATION)
            .sum();
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let host = |h: &Arc<HostName>| h.as_str().len() + 3 * ALLOCATION + size_of::<HostName>();
        // A hash table has a slot in eight free at least.
        self.places.capacity() * 8 / 7 * slot + names + hosts.iter().map(host).sum::<usize>()
    }
}

impl Place {
    fn address(&self) -> Address {
        Address { host: HostName::clone(&self.host), port: self.port }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn name(text: &str) -> AtSign {
        AtSign::parse(text).unwrap()
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn hosts_are_shared_and_forgotten_with_their_last_identity() {
        let table = Table::default();
        table.insert(name("alice"), &address("one:1"), Epoch::FIRST);
        table.insert(name("bob"), &address("one:2"), Epoch::FIRST);
        assert_eq!(table.hosts.lock().unwrap().len(), 1);
        table.insert(name("alice"), &address("two:1"), Epoch::FIRST);
        assert_eq!(table.hosts.lock().unwrap().len(), 2);
        let gone = Change { number: 1, identity: name("bob"), address: None, epoch: Epoch::FIRST };
        table.change(&gone);
        assert_eq!(table.hosts.lock().unwrap().len(), 1);
        assert_eq!(table.lookup(&name("alice")), Some(address("two:1")));
        assert_eq!(table.lookup(&name("bob")), None);
    }

    #[test]
    fn ten_thousand_identities_take_at_most_120_bytes_each() {
        let table = Table::default();
        for i in 0..10_000_u16 {
            let port = NonZeroU16::new(25_000 + i).unwrap();
            let at = Address { host: HostName::parse("swarm.example").unwrap(), port };
            table.insert(name(&format!("identity{i:05}")), &at, Epoch::FIRST);
        }
        let each = table.memory_bytes() / table.len();
        assert!(each <= 120, "{each} bytes an identity");
    }
}
