//! How fast something may be done: so much at once, and then so much a second.
//!
//! Who is too fast is not refused: the next command is read later. A client needs no knowledge of
//! that, it just finds the server slower, and nothing is lost; and a flood that is not read costs its
//! sender more than us.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use net::block::Blocks;
use protocol::AtSign;
use tokio::time::Instant;

use crate::limits::{Limits, RATES_KEPT_MAX};

/// How many commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At once.
    pub burst: u32,
    /// In the long run.
    pub per_second: u32,
}

/// What somebody has used up, as the time at which it will have grown back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    whole_at: Instant,
}

impl Bucket {
    pub(crate) fn new(now: Instant) -> Self {
        Self { whole_at: now }
    }

    /// Uses up what takes so long to grow back; gives back how long it is until no more than `burst`
    /// is missing.
    pub(crate) fn take(&mut self, grows_in: Duration, burst: Duration, now: Instant) -> Duration {
        self.whole_at = self.whole_at.max(now) + grows_in;
        self.missing(now).saturating_sub(burst)
    }

    /// How long it takes until it is whole again.
    pub(crate) fn missing(&self, now: Instant) -> Duration {
        self.whole_at.saturating_duration_since(now)
    }
}

/// A bucket for each of those who have done something lately.
#[derive(Debug)]
struct Table<K>(Mutex<HashMap<K, Bucket>>);

impl<K: Eq + Hash + Clone> Table<K> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// One more; how long to wait before it is done.
    fn take(&self, key: &K, rate: Rate, now: Instant) -> Duration {
        let one = Duration::from_secs(1) / rate.per_second.max(1);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = known.get_mut(key) {
            return bucket.take(one, one * rate.burst, now);
        }
        if known.len() >= RATES_KEPT_MAX {
            make_room(&mut known, now);
        }
        let bucket = known.entry(key.clone()).or_insert_with(|| Bucket::new(now));
        bucket.take(one, one * rate.burst, now)
    }
}

/// Whose bucket is whole need not be known. If all are in use, the fullest goes: its owner gains
/// least from a new one.
fn make_room<K: Eq + Hash + Clone>(known: &mut HashMap<K, Bucket>, now: Instant) {
    known.retain(|_, bucket| !bucket.missing(now).is_zero());
    if known.len() >= RATES_KEPT_MAX {
        let fullest = known.iter().min_by_key(|(_, bucket)| bucket.whole_at);
        let fullest = fullest.map(|(key, _)| key.clone());
        fullest.map(|key| known.remove(&key));
    }
}

/// The rates of a process: whoever floods many of its servers is one flooder.
#[derive(Debug)]
pub(crate) struct Rates {
    addresses: Table<IpAddr>,
    peers: Table<AtSign>,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self { addresses: Table::new(), peers: Table::new() }
    }

    /// A command of somebody who has proved nothing; how long it has to wait.
    pub(crate) fn of_address(&self, limits: &Limits, address: IpAddr, now: Instant) -> Duration {
        let address = address.to_canonical();
        if limits.spares_loopback && address.is_loopback() {
            return Duration::ZERO;
        }
        self.addresses.take(&Blocks::of(address).address, limits.address_rate, now)
    }

    /// A command of another identity's server; how long it has to wait.
    pub(crate) fn of_peer(&self, limits: &Limits, peer: &AtSign, now: Instant) -> Duration {
        self.peers.take(peer, limits.peer_rate, now)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const RATE: Rate = Rate { burst: 10, per_second: 100 };

    #[test]
    fn a_burst_is_free_and_then_each_waits_its_turn() {
        let (table, now) = (Table::new(), Instant::now());
        let waits = |count: usize, now| -> Vec<u64> {
            let one = |_| u64::try_from(table.take(&1, RATE, now).as_millis()).unwrap();
            (0..count).map(one).collect()
        };
        assert_eq!(waits(13, now), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 20, 30]);
        assert_eq!(waits(1, now + Duration::from_millis(30)), [10]);
        assert_eq!(waits(1, now + Duration::from_secs(60)), [0]);
        assert_eq!(table.take(&2, RATE, now), Duration::ZERO, "another has its own");
    }

    #[test]
    fn the_table_is_bounded_and_a_flooder_does_not_get_out_of_it() {
        let (table, now) = (Table::new(), Instant::now());
        for _ in 0..100 {
            table.take(&0, RATE, now);
        }
        for key in 1..=2 * RATES_KEPT_MAX {
            table.take(&key, RATE, now);
        }
        assert!(table.0.lock().unwrap().len() <= RATES_KEPT_MAX);
        assert!(table.take(&0, RATE, now) > Duration::from_millis(500));
        let later = now + Duration::from_secs(60);
        table.take(&1, RATE, later);
        table.take(&(3 * RATES_KEPT_MAX), RATE, later);
        assert!(table.0.lock().unwrap().len() <= 3, "the idle ones have gone");
    }

    #[test]
    fn an_address_counts_with_its_network_and_this_machine_may_be_spared() {
        let (rates, now) = (Rates::new(), Instant::now());
        let limits = Limits { address_rate: RATE, ..Limits::default() };
        let wait = |text: &str| rates.of_address(&limits, text.parse().unwrap(), now);
        (0..RATE.burst).for_each(|_| assert_eq!(wait("2001:db8::1"), Duration::ZERO));
        assert!(!wait("2001:db8::ffff").is_zero());
        assert!(wait("2001:db8:0:1::1").is_zero());
        (0..100).for_each(|_| assert!(wait("::ffff:127.0.0.1").is_zero()));
        let limits = Limits { spares_loopback: false, ..limits };
        let wait = |text: &str| rates.of_address(&limits, text.parse().unwrap(), now);
        (0..RATE.burst).for_each(|_| assert!(wait("127.0.0.1").is_zero()));
        assert!(!wait("::ffff:127.0.0.1").is_zero(), "however it is written");
    }
}
