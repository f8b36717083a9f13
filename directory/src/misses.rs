//! What unknown names cost: each address block may ask for so many, then its misses are answered
//! later and later. Known names are never slowed, so whoever shares an address with somebody who
//! guesses notices nothing while she asks for people that there are.
//!
//! A connection takes its block's accounts once, when it begins. From then on a question reads them
//! before its name is looked up, known or not, without a lock or an allocation; a miss adds to them.

use std::array;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use net::block::Blocks;
use tokio::time::Instant;

use crate::limits::{MISS_ACCOUNTS_MAX, MISS_DELAY};

/// Accounts that one place of the table has to choose from.
const WAYS: usize = 8;

/// Unknown names that may be asked for, at once and lastingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissRate {
    /// At once, without any wait. After as many again a miss takes [`MISS_DELAY`]; in between its
    /// wait grows in a straight line.
    pub burst: u32,
    /// And for ever: so many are forgotten in a second.
    pub per_second: u32,
}

/// What unknown names cost those who ask for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissLimits {
    /// For one IPv4 address or one IPv6 network of 64 bits.
    pub address: MissRate,
    /// For one IPv4 network of 24 bits or IPv6 network of 48 bits.
    pub network: MissRate,
    /// Whether those on this machine are let off, as personal servers do.
    pub spares_loopback: bool,
}

/// The accounts of those who asked lately.
#[derive(Debug)]
pub(crate) struct Misses {
    limits: MissLimits,
    began: Instant,
    addresses: Table,
    networks: Table,
}

/// The two accounts that a connection draws on.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    limits: MissLimits,
    began: Instant,
    address: Arc<Account>,
    network: Arc<Account>,
}

/// What a block has used up, as the time, in microseconds, at which it will have grown back.
#[derive(Debug, Default)]
struct Account {
    whole_at: AtomicU64,
}

impl Misses {
    pub(crate) fn new(limits: MissLimits) -> Self {
        let (addresses, networks) = (Table::new(), Table::new());
        Self { limits, began: Instant::now(), addresses, networks }
    }

    /// The accounts of whoever calls from here; none for this machine itself where it is spared.
    pub(crate) fn accounts(&self, peer: IpAddr, now: Instant) -> Option<Accounts> {
        if self.limits.spares_loopback && peer.to_canonical().is_loopback() {
            return None;
        }
        let (blocks, micros) = (Blocks::of(peer), micros_since(self.began, now));
        Some(Accounts {
            limits: self.limits,
            began: self.began,
            address: self.addresses.account(blocks.address, micros),
            network: self.networks.account(blocks.network, micros),
        })
    }
}

impl Accounts {
    /// How long a miss has to wait now.
    pub(crate) fn delay(&self, now: Instant) -> Duration {
        let now = micros_since(self.began, now);
        let of_address = self.address.delay(self.limits.address, now);
        of_address.max(self.network.delay(self.limits.network, now))
    }

    /// One more.
    pub(crate) fn miss(&self, now: Instant) {
        let now = micros_since(self.began, now);
        self.address.miss(self.limits.address, now);
        self.network.miss(self.limits.network, now);
    }

    /// One more, and how long it has to wait.
    pub(crate) fn charge(&self, now: Instant) -> Duration {
        let delay = self.delay(now);
        self.miss(now);
        delay
    }
}

impl Account {
    /// Nothing up to the burst; from there on it grows in a straight line, and is at its most when
    /// as many again have been missed.
    fn delay(&self, rate: MissRate, now: u64) -> Duration {
        let burst = rate.burst_micros();
        let over = self.missing(now).saturating_sub(burst).min(burst);
        MISS_DELAY.mul_f64(over as f64 / burst as f64)
    }

    /// Twice the burst is the most that can be missing, so that all is forgotten after a while.
    fn miss(&self, rate: MissRate, now: u64) {
        let most = now + 2 * rate.burst_micros();
        let more = |whole_at: u64| Some((whole_at.max(now) + rate.one_micros()).min(most));
        // It never refuses.
        let _ = self.whole_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn missing(&self, now: u64) -> u64 {
        self.whole_at.load(Ordering::Relaxed).saturating_sub(now)
    }
}

impl MissRate {
    fn one_micros(self) -> u64 {
        1_000_000 / u64::from(self.per_second.max(1))
    }

    fn burst_micros(self) -> u64 {
        self.one_micros() * u64::from(self.burst.max(1))
    }
}

/// A fixed number of accounts, in places of a few; a block has its place by a hash that nobody can
/// foresee. Where a place is full, the account goes that lacks least: its owner gains least from a
/// new one.
#[derive(Debug)]
struct Table {
    hasher: RandomState,
    places: Box<[Mutex<Place>]>,
}

type Place = [Option<(IpAddr, Arc<Account>)>; WAYS];

impl Table {
    fn new() -> Self {
        let place = || Mutex::new(array::from_fn(|_| None));
        let places = (0..MISS_ACCOUNTS_MAX / WAYS).map(|_| place()).collect();
        Self { hasher: RandomState::new(), places }
    }

    fn account(&self, block: IpAddr, now: u64) -> Arc<Account> {
        let hash = usize::try_from(self.hasher.hash_one(block) >> 32).unwrap_or(0);
        let Some(place) = self.places.get(hash % self.places.len().max(1)) else {
            return Arc::default();
        };
        // An account that a panic left is as good as any.
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, account)) = place.iter().flatten().find(|(known, _)| *known == block) {
            return Arc::clone(account);
        }
        let lacks = |way: &Option<(IpAddr, Arc<Account>)>| {
            way.as_ref().map(|(_, account)| account.missing(now))
        };
        let account = Arc::<Account>::default();
        if let Some(way) = place.iter_mut().min_by_key(|way| lacks(way)) {
            *way = Some((block, Arc::clone(&account)));
        }
        account
    }
}

fn micros_since(began: Instant, now: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(began).as_micros()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::limits::MISSES;

    const LIMITS: MissLimits = MissLimits {
        address: MissRate { burst: 10, per_second: 10 },
        network: MissRate { burst: 30, per_second: 30 },
        spares_loopback: true,
    };

    fn delay_after(misses: &Misses, from: &str, count: u32, now: Instant) -> Duration {
        let accounts = misses.accounts(from.parse().unwrap(), now).unwrap();
        (0..count).for_each(|_| accounts.miss(now));
        accounts.delay(now)
    }

    #[test]
    fn a_burst_is_free_and_then_the_wait_grows_gently_to_its_most() {
        let (misses, now) = (Misses::new(LIMITS), Instant::now());
        assert_eq!(delay_after(&misses, "192.0.2.1", 10, now), Duration::ZERO);
        assert_eq!(delay_after(&misses, "192.0.2.1", 1, now), MISS_DELAY / 10);
        assert_eq!(delay_after(&misses, "192.0.2.1", 4, now), MISS_DELAY / 2);
        assert_eq!(delay_after(&misses, "192.0.2.1", 1000, now), MISS_DELAY);
        assert_eq!(delay_after(&misses, "192.0.2.2", 0, now), MISS_DELAY, "the whole network's");
        assert_eq!(delay_after(&misses, "192.0.3.1", 0, now), Duration::ZERO, "others do not wait");
    }

    #[test]
    fn what_was_missed_is_forgotten_whoever_asks_from_new_connections_is_not() {
        let (misses, now) = (Misses::new(LIMITS), Instant::now());
        for _ in 0..15 {
            delay_after(&misses, "2001:db8::1", 1, now);
        }
        assert_eq!(delay_after(&misses, "2001:db8::2", 0, now), MISS_DELAY / 2);
        let later = now + Duration::from_millis(500);
        assert_eq!(delay_after(&misses, "2001:db8::2", 0, later), Duration::ZERO);
        let much_later = now + Duration::from_secs(3600);
        assert_eq!(delay_after(&misses, "2001:db8::3", 10, much_later), Duration::ZERO);
    }

    #[test]
    fn changing_the_address_inside_a_network_does_not_help() {
        let (misses, now) = (Misses::new(LIMITS), Instant::now());
        for part in 0..60 {
            delay_after(&misses, &format!("2001:db8:0:{part:x}::1"), 1, now);
        }
        assert_eq!(delay_after(&misses, "2001:db8:0:ffff::1", 0, now), MISS_DELAY);
        assert_eq!(delay_after(&misses, "2001:db8:1::1", 0, now), Duration::ZERO);
    }

    #[test]
    fn the_table_is_bounded_and_who_has_used_up_most_stays_in_it() {
        let (table, now) = (Table::new(), 0);
        let guesser = table.account(IpAddr::from([192, 0, 2, 1]), now);
        (0..100).for_each(|_| guesser.miss(LIMITS.address, now));
        let passing = |number: u32| IpAddr::from((10 << 24 | number).to_be_bytes());
        let asked = u32::try_from(4 * MISS_ACCOUNTS_MAX).unwrap();
        (0..asked).for_each(|number| drop(table.account(passing(number), now)));
        let kept = |place: &Mutex<Place>| place.lock().unwrap().iter().flatten().count();
        assert!(table.places.iter().map(kept).sum::<usize>() <= MISS_ACCOUNTS_MAX);
        let again = table.account(IpAddr::from([192, 0, 2, 1]), now);
        assert!(Arc::ptr_eq(&guesser, &again));
    }

    #[test]
    fn this_machine_is_spared_where_the_limits_say_so() {
        let (from, now) = ("::ffff:127.0.0.1".parse().unwrap(), Instant::now());
        assert!(Misses::new(MISSES).accounts(from, now).is_none());
        let strict = MissLimits { spares_loopback: false, ..MISSES };
        assert!(Misses::new(strict).accounts(from, now).is_some());
    }
}
