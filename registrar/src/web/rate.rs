//! How often the form may be used.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use protocol::Timestamp;

use crate::limits::{
    WEB_ADDRESS_BURST, WEB_ADDRESS_INTERVAL_MS, WEB_TOTAL_BURST, WEB_TOTAL_INTERVAL_MS,
};

/// A burst for each client address and one for all, each refilling with time.
///
/// An entry lives for as long as its burst takes to refill, and the total lets only so many
/// addresses in during that time: that bounds the table.
#[derive(Default)]
pub(crate) struct RateLimit(Mutex<Levels>);

#[derive(Default)]
struct Levels {
    /// For each address, when its burst will be whole again.
    addresses: HashMap<IpAddr, Timestamp>,
    total: Timestamp,
}

impl RateLimit {
    /// Whether a client may register now; counts it if so.
    pub(crate) fn admits(&self, client: IpAddr, now: Timestamp) -> bool {
        let mut levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        levels.addresses.retain(|_, whole_again| *whole_again > now);
        let client = network(client);
        let before = levels.addresses.get(&client).copied().unwrap_or(now);
        let address = pour(before, now, WEB_ADDRESS_BURST, WEB_ADDRESS_INTERVAL_MS);
        let total = pour(levels.total, now, WEB_TOTAL_BURST, WEB_TOTAL_INTERVAL_MS);
        let (Some(address), Some(total)) = (address, total) else { return false };
        levels.addresses.insert(client, address);
        levels.total = total;
        true
    }
}

/// When a burst is whole again after one more use, if it has room for that.
fn pour(whole_again: Timestamp, now: Timestamp, burst: i64, interval: i64) -> Option<Timestamp> {
    let latest = now.plus_millis(burst * interval);
    // Later than any use leads to: the clock was set back, which must not lock anybody out.
    let start = if whole_again > latest { now } else { whole_again.max(now) };
    let next = start.plus_millis(interval);
    (next <= latest).then_some(next)
}

/// Whoever has an IPv6 address has 2^64 of them.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(prefix))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn admitted(limit: &RateLimit, client: &str, now: Timestamp, tries: i64) -> i64 {
        let client = client.parse().unwrap();
        (0..tries).map(|_| i64::from(limit.admits(client, now))).sum()
    }

    #[test]
    fn an_address_has_a_burst_and_then_one_for_each_interval() {
        let limit = RateLimit::default();
        assert_eq!(admitted(&limit, "192.0.2.1", NOW, 50), WEB_ADDRESS_BURST);
        assert_eq!(admitted(&limit, "192.0.2.2", NOW, 50), WEB_ADDRESS_BURST);
        let later = NOW.plus_millis(2 * WEB_ADDRESS_INTERVAL_MS);
        assert_eq!(admitted(&limit, "192.0.2.1", later, 50), 2);
    }

    #[test]
    fn all_addresses_together_have_a_burst_too() {
        let limit = RateLimit::default();
        let clients = (0..1_000).map(|n| format!("10.0.{}.{}", n / 256, n % 256));
        let total: i64 = clients.map(|client| admitted(&limit, &client, NOW, 1)).sum();
        assert_eq!(total, WEB_TOTAL_BURST);
    }

    #[test]
    fn the_table_of_addresses_stays_small_under_a_flood_of_them() {
        let limit = RateLimit::default();
        let mut most = 0;
        for second in 0..3_600 {
            for n in 0..10 {
                let client = format!("10.{n}.{}.{}", second / 256, second % 256);
                admitted(&limit, &client, NOW.plus_millis(second * 1_000), 1);
            }
            most = most.max(limit.0.lock().unwrap().addresses.len());
        }
        let bound = WEB_TOTAL_BURST + WEB_ADDRESS_INTERVAL_MS / WEB_TOTAL_INTERVAL_MS + 1;
        assert!(i64::try_from(most).unwrap() <= bound, "{most} > {bound}");
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_and_mapped_ipv4_as_ipv4() {
        let limit = RateLimit::default();
        assert_eq!(admitted(&limit, "2001:db8::1", NOW, 50), WEB_ADDRESS_BURST);
        assert_eq!(admitted(&limit, "2001:db8::ffff:2", NOW, 1), 0);
        assert_eq!(admitted(&limit, "2001:db8:0:1::1", NOW, 1), 1);
        assert_eq!(admitted(&limit, "192.0.2.9", NOW, 50), WEB_ADDRESS_BURST);
        assert_eq!(admitted(&limit, "::ffff:192.0.2.9", NOW, 1), 0);
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let limit = RateLimit::default();
        let future = NOW.plus_millis(1 << 40);
        assert_eq!(admitted(&limit, "192.0.2.1", future, 50), WEB_ADDRESS_BURST);
        assert_eq!(admitted(&limit, "192.0.2.1", NOW, 50), WEB_ADDRESS_BURST);
    }
}
