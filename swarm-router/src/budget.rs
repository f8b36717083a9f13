//! Who may connect how often: by part of the network, by identity, and in total.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use net::block::Blocks;
use net::gate::{AcceptLimits, BlockLimits, Gate, Permit};
use net::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use protocol::VolumeId;

use crate::limits::{CONNECTIONS_MAX, RATE_BURST, RATE_SWEEP_INTERVAL, RATED_MAX};

/// What a router admits. A part of the network is 24 bits of IPv4 or 48 bits of IPv6. A rate is of
/// new connections per second; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Connections at the same time.
    pub connections_max: usize,
    /// Of them from one part of the network.
    pub per_network_max: usize,
    /// New ones from one part of the network in a second, on average.
    pub network_rate: u32,
    /// Connections at the same time to one identity.
    pub per_identity_max: usize,
    /// New ones to one identity in a second, on average.
    pub identity_rate: u32,
}

impl Default for Budget {
    /// No limit but the total.
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            per_network_max: usize::MAX,
            network_rate: 0,
            per_identity_max: usize::MAX,
            identity_rate: 0,
        }
    }
}

/// What became of a connection that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was handed over.
    HandedOver,
    /// Nothing leads from where it arrived.
    NoRoute,
    /// [`Budget::connections_max`] is reached.
    Full,
    /// [`Budget::per_network_max`] is reached.
    NetworkFull,
    /// [`Budget::network_rate`] is reached.
    NetworkRate,
    /// [`Budget::per_identity_max`] is reached.
    IdentityFull,
    /// [`Budget::identity_rate`] is reached.
    IdentityRate,
}

impl Outcome {
    /// As it stands in the metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::HandedOver => "handed_over",
            Self::NoRoute => "no_route",
            Self::Full => "full",
            Self::NetworkFull => "network_full",
            Self::NetworkRate => "network_rate",
            Self::IdentityFull => "identity_full",
            Self::IdentityRate => "identity_rate",
        }
    }
}

/// A place within the [`Budget`], until it is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    purse: Arc<Purse>,
    volume: VolumeId,
    _place: Permit,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut spent = self.purse.spent();
        match spent.identities.get_mut(&self.volume) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(spent.identities.remove(&self.volume)),
        }
    }
}

/// What is left of a [`Budget`], and what became of those who came.
#[derive(Debug)]
pub(crate) struct Purse {
    budget: Budget,
    gate: Gate,
    spent: Mutex<Spent>,
    outcomes: Family<[(&'static str, &'static str); 1], Counter>,
}

#[derive(Debug)]
struct Spent {
    networks: Rates<IpAddr>,
    volumes: Rates<VolumeId>,
    identities: HashMap<VolumeId, usize>,
}

impl Purse {
    pub(crate) fn new(budget: Budget) -> Arc<Self> {
        let limits = AcceptLimits {
            connections_max: budget.connections_max,
            handshakes_max: 0,
            per_address_max: usize::MAX,
            handshake_deadline: Duration::ZERO,
        };
        let blocks = BlockLimits { per_network_max: budget.per_network_max, ..BlockLimits::NONE };
        let spent = Spent {
            networks: Rates::new(budget.network_rate),
            volumes: Rates::new(budget.identity_rate),
            identities: HashMap::new(),
        };
        Arc::new(Self {
            budget,
            gate: Gate::with_blocks(limits, blocks),
            spent: Mutex::new(spent),
            outcomes: Family::default(),
        })
    }

    /// A place for a connection, or why there is none. Whoever is refused for where he comes from
    /// takes nothing from the identity that he wanted.
    pub(crate) fn take(
        self: &Arc<Self>,
        client: IpAddr,
        volume: VolumeId,
        now: Instant,
    ) -> Result<ConnectionPermit, Outcome> {
        use net::gate::Refusal;
        if !self.spent().networks.take(Blocks::of(client).network, now) {
            return Err(Outcome::NetworkRate);
        }
        let place = self.gate.admit(client).map_err(|refusal| match refusal {
            Refusal::NetworkFull => Outcome::NetworkFull,
            _ => Outcome::Full,
        })?;
        let mut spent = self.spent();
        let connections = spent.identities.get(&volume).copied().unwrap_or(0);
        if connections >= self.budget.per_identity_max {
            return Err(Outcome::IdentityFull);
        }
        if !spent.volumes.take(volume, now) {
            return Err(Outcome::IdentityRate);
        }
        spent.identities.insert(volume, connections + 1);
        Ok(ConnectionPermit { purse: Arc::clone(self), volume, _place: place })
    }

    /// The same, counted.
    pub(crate) fn admit(
        self: &Arc<Self>,
        client: IpAddr,
        volume: VolumeId,
    ) -> Option<ConnectionPermit> {
        let taken = self.take(client, volume, Instant::now());
        self.count(taken.as_ref().err().copied().unwrap_or(Outcome::HandedOver));
        taken.ok()
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        self.outcomes.get_or_create(&[("outcome", outcome.label())]).inc();
    }

    pub(crate) fn counted(&self, outcome: Outcome) -> u64 {
        self.outcomes.get_or_create(&[("outcome", outcome.label())]).get()
    }

    pub(crate) fn connections(&self) -> usize {
        self.gate.connections()
    }

    pub(crate) fn register(&self, metrics: &mut Metrics) {
        let help = "Connections that arrived, by what became of them";
        metrics.register("arrivals", help, self.outcomes.clone());
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often each of many may do something, in bounded memory.
#[derive(Debug)]
struct Rates<K> {
    /// Between two, on average; none where there is no limit.
    interval: Option<Duration>,
    /// Until when each has spent what it may.
    spent: HashMap<K, Instant>,
    /// The same for all who find no place in it, together.
    others: Option<Instant>,
    swept: Option<Instant>,
}

impl<K: std::hash::Hash + Eq> Rates<K> {
    fn new(per_second: u32) -> Self {
        let interval = Duration::from_secs(1).checked_div(per_second);
        Self { interval, spent: HashMap::new(), others: None, swept: None }
    }

    fn take(&mut self, key: K, now: Instant) -> bool {
        let Some(interval) = self.interval else { return true };
        self.make_room(now);
        let has_place = self.spent.len() < RATED_MAX || self.spent.contains_key(&key);
        let known = if has_place { self.spent.get(&key).copied() } else { self.others };
        let until = known.map_or(now, |until| until.max(now)) + interval;
        if until.duration_since(now) > RATE_BURST {
            return false;
        }
        if has_place {
            self.spent.insert(key, until);
        } else {
            self.others = Some(until);
        }
        true
    }

    /// Forgets those who have rested, but not for each who comes.
    fn make_room(&mut self, now: Instant) {
        let is_due = self.swept.is_none_or(|at| now.duration_since(at) >= RATE_SWEEP_INTERVAL);
        if self.spent.len() >= RATED_MAX && is_due {
            self.spent.retain(|_, until| *until > now);
            self.swept = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn address(third: u8, fourth: u8) -> IpAddr {
        IpAddr::from([192, 0, third, fourth])
    }

    fn volume(byte: u8) -> VolumeId {
        VolumeId::from_bytes([byte; 16])
    }

    #[test]
    fn a_part_of_the_network_that_has_spent_its_rate_harms_nobody_else() {
        let purse = Purse::new(Budget { network_rate: 10, ..Budget::default() });
        let mut now = Instant::now();
        let burst = 10 * usize::try_from(RATE_BURST.as_secs()).unwrap();
        let taken =
            (0..=u8::MAX).filter(|last| purse.take(address(1, *last), volume(1), now).is_ok());
        assert_eq!(taken.count(), burst);
        assert!(purse.take(address(2, 1), volume(1), now).is_ok());
        now += Duration::from_millis(100);
        assert!(purse.take(address(1, 1), volume(1), now).is_ok());
        let refused = purse.take(address(1, 1), volume(1), now).unwrap_err();
        assert_eq!(refused, Outcome::NetworkRate);
    }

    #[test]
    fn an_identity_has_its_own_budget_and_what_was_taken_comes_back() {
        let budget = Budget { per_identity_max: 2, per_network_max: 3, ..Budget::default() };
        let (purse, now) = (Purse::new(budget), Instant::now());
        let take = |third, byte| purse.take(address(third, 1), volume(byte), now);
        let first = take(1, 1).unwrap();
        let _second = take(2, 1).unwrap();
        assert_eq!(take(3, 1).unwrap_err(), Outcome::IdentityFull);
        drop(first);
        let _third = take(3, 1).unwrap();
        let _others = [take(1, 2).unwrap(), take(1, 3).unwrap(), take(1, 4).unwrap()];
        assert_eq!(take(1, 5).unwrap_err(), Outcome::NetworkFull);
        assert_eq!(purse.connections(), 5);
        assert_eq!(purse.spent().identities.len(), 4);
    }

    #[test]
    fn the_total_is_the_total() {
        let purse = Purse::new(Budget { connections_max: 1, ..Budget::default() });
        let held = purse.take(address(1, 1), volume(1), Instant::now()).unwrap();
        let refused = purse.take(address(2, 1), volume(2), Instant::now()).unwrap_err();
        assert_eq!(refused, Outcome::Full);
        drop(held);
        assert!(purse.take(address(2, 1), volume(2), Instant::now()).is_ok());
    }

    #[test]
    fn more_who_come_than_are_kept_apart_share_one_rate() {
        let mut rates = Rates::new(1);
        let now = Instant::now();
        for key in 0..RATED_MAX {
            assert!(rates.take(key, now));
        }
        let burst = usize::try_from(RATE_BURST.as_secs()).unwrap();
        let taken = (0..100).filter(|extra| rates.take(RATED_MAX + extra, now));
        assert_eq!(taken.count(), burst);
        assert_eq!(rates.spent.len(), RATED_MAX);
        // Those who have rested make room.
        assert!(rates.take(RATED_MAX + 1_000, now + Duration::from_secs(2)));
        assert_eq!(rates.spent.len(), 1);
    }
}
