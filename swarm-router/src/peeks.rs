//! Connections that have not yet said whom they want: who they are, and who has to make room.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use mio::net::TcpStream;
use net::block::Blocks;

/// How many there may be at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeekLimits {
    pub(crate) all: usize,
    pub(crate) per_network: usize,
    pub(crate) per_address: usize,
}

/// A connection that is waited for.
#[derive(Debug)]
pub(crate) struct Peek {
    pub(crate) stream: TcpStream,
    pub(crate) client: SocketAddr,
    pub(crate) until: Instant,
}

/// All of them, by the numbers in whose order they came. Generic so that it is tested without
/// sockets.
#[derive(Debug)]
pub(crate) struct Peeks<T> {
    limits: PeekLimits,
    newest: usize,
    all: BTreeMap<usize, (Blocks, T)>,
    addresses: HashMap<IpAddr, BTreeSet<usize>>,
    networks: HashMap<IpAddr, BTreeSet<usize>>,
}

impl<T> Peeks<T> {
    pub(crate) fn new(limits: PeekLimits) -> Self {
        let (all, addresses, networks) = (BTreeMap::new(), HashMap::new(), HashMap::new());
        Self { limits, newest: 0, all, addresses, networks }
    }

    /// The number that the next one gets.
    pub(crate) fn next_number(&self) -> usize {
        self.newest + 1
    }

    /// Adds one, and gives back who has to leave for it: of its own block, if that is full, the one
    /// that came first. Who says whom he wants is gone again within a round trip, so whoever came
    /// first in a full block will hardly say it any more.
    pub(crate) fn add(&mut self, client: IpAddr, one: T) -> Option<T> {
        let blocks = Blocks::of(client);
        let displaced = self.in_the_way(&blocks).and_then(|number| self.remove(number));
        self.newest += 1;
        self.all.insert(self.newest, (blocks, one));
        self.addresses.entry(blocks.address).or_default().insert(self.newest);
        self.networks.entry(blocks.network).or_default().insert(self.newest);
        displaced
    }

    fn in_the_way(&self, blocks: &Blocks) -> Option<usize> {
        let full = |block: Option<&BTreeSet<usize>>, max: usize| {
            block.filter(|block| block.len() >= max).and_then(|block| block.first().copied())
        };
        full(self.addresses.get(&blocks.address), self.limits.per_address)
            .or_else(|| full(self.networks.get(&blocks.network), self.limits.per_network))
            .or_else(|| (self.all.len() >= self.limits.all).then(|| self.first())?)
    }

    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        self.all.get(&number).map(|(_, one)| one)
    }

    pub(crate) fn remove(&mut self, number: usize) -> Option<T> {
        let (blocks, one) = self.all.remove(&number)?;
        forget(&mut self.addresses, blocks.address, number);
        forget(&mut self.networks, blocks.network, number);
        Some(one)
    }

    /// The one that came first.
    pub(crate) fn first(&self) -> Option<usize> {
        self.all.keys().next().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

fn forget(blocks: &mut HashMap<IpAddr, BTreeSet<usize>>, block: IpAddr, number: usize) {
    if let Some(numbers) = blocks.get_mut(&block) {
        numbers.remove(&number);
        if numbers.is_empty() {
            blocks.remove(&block);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn who_floods_displaces_himself_then_his_network_then_who_waits_longest() {
        let limits = PeekLimits { all: 6, per_network: 4, per_address: 2 };
        let mut peeks = Peeks::new(limits);
        let mut add = |address: &str, one: u32| peeks.add(address.parse().unwrap(), one);
        assert_eq!(add("198.51.100.1", 0), None);
        assert_eq!((add("192.0.2.1", 1), add("192.0.2.1", 2)), (None, None));
        assert_eq!(add("192.0.2.1", 3), Some(1), "the address is full");
        assert_eq!((add("192.0.2.2", 4), add("192.0.2.3", 5)), (None, None));
        assert_eq!(add("192.0.2.4", 6), Some(2), "the network is full");
        assert_eq!(add("203.0.113.1", 7), None);
        assert_eq!(add("203.0.113.2", 8), Some(0), "all is full");
        assert_eq!(peeks.len(), 6);
        let mut left = Vec::new();
        while let Some(number) = peeks.first() {
            left.extend(peeks.remove(number));
        }
        assert_eq!(left, [3, 4, 5, 6, 7, 8]);
        assert!(peeks.addresses.is_empty() && peeks.networks.is_empty());
    }
}
