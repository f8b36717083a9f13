//! How many answers over UDP go to one block of addresses: senders of UDP can lie about who they
//! are, and nobody shall be flooded by us in another's name.
//!
//! A block's bucket is one number, the time at which it is empty again. Blocks that share a bucket
//! share its rate; which ones do is drawn anew at each start, so nobody can choose whom to starve.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;

use crate::limits::{DNS_ANSWERS_BURST, DNS_BLOCKS, DNS_SLIP};

/// What may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The answer.
    Send,
    /// That the question is to be asked over TCP: who asked can, and who did not gets little.
    Slip,
    /// Nothing.
    Drop,
}

/// The buckets of all blocks.
#[derive(Debug)]
pub(super) struct Limiter {
    began: Instant,
    /// Nanoseconds that an answer fills; none for no limit.
    each: Option<u64>,
    buckets: Vec<AtomicU64>,
    slipped: AtomicU64,
    hasher: RandomState,
}

impl Limiter {
    /// With so many answers a second for a block; 0 is no limit.
    pub(super) fn new(per_second: u32) -> Self {
        let each = 1_000_000_000_u64.checked_div(u64::from(per_second));
        let count = if each.is_some() { DNS_BLOCKS } else { 0 };
        Self {
            began: Instant::now(),
            each,
            buckets: std::iter::repeat_with(AtomicU64::default).take(count).collect(),
            slipped: AtomicU64::default(),
            hasher: RandomState::new(),
        }
    }

    /// Whether one more answer may go to this address.
    pub(super) fn ask(&self, peer: IpAddr) -> Verdict {
        let Some(each) = self.each else { return Verdict::Send };
        let Some(bucket) = self.bucket(peer) else { return Verdict::Send };
        let now = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let full = now.saturating_add(each.saturating_mul(u64::from(DNS_ANSWERS_BURST)));
        let fill = |empty: u64| {
            let empty = empty.max(now).saturating_add(each);
            (empty <= full).then_some(empty)
        };
        if bucket.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fill).is_ok() {
            Verdict::Send
        } else if self.slipped.fetch_add(1, Ordering::Relaxed).is_multiple_of(DNS_SLIP) {
            Verdict::Slip
        } else {
            Verdict::Drop
        }
    }

    fn bucket(&self, peer: IpAddr) -> Option<&AtomicU64> {
        let hash = self.hasher.hash_one(block(peer));
        let at = hash % u64::try_from(self.buckets.len()).ok()?;
        self.buckets.get(usize::try_from(at).ok()?)
    }
}

/// 24 bits of an IPv4 address, 56 of an IPv6 address.
fn block(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & !0xff)),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !(u128::MAX >> 56))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::time::Duration;
    use tokio::time::advance;

    fn ask(limiter: &Limiter, peer: &str, times: u32) -> [u32; 3] {
        let mut verdicts = [0; 3];
        for _ in 0..times {
            verdicts[limiter.ask(peer.parse().unwrap()) as usize] += 1;
        }
        verdicts
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_gets_its_rate_and_every_other_answer_beyond_it_is_cut() {
        let limiter = Limiter::new(100);
        assert_eq!(ask(&limiter, "192.0.2.1", DNS_ANSWERS_BURST), [DNS_ANSWERS_BURST, 0, 0]);
        assert_eq!(ask(&limiter, "192.0.2.200", 100), [0, 50, 50], "the same block");
        advance(Duration::from_secs(1)).await;
        assert_eq!(ask(&limiter, "192.0.2.1", 200), [100, 50, 50]);
        advance(Duration::from_secs(3600)).await;
        assert_eq!(ask(&limiter, "192.0.2.1", DNS_ANSWERS_BURST), [DNS_ANSWERS_BURST, 0, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn blocks_do_not_take_from_one_another() {
        let limiter = Limiter::new(100);
        ask(&limiter, "2001:db8:0:100::1", DNS_ANSWERS_BURST + 10);
        assert_eq!(ask(&limiter, "2001:db8:0:1ff::1", 2), [0, 1, 1], "the same block");
        // Two blocks in one bucket are a matter of chance; four are not.
        let others = ["2001:db8:0:200::1", "192.0.2.1", "198.51.100.1", "203.0.113.1"];
        let sent: u32 = others.iter().map(|peer| ask(&limiter, peer, 10)[0]).sum();
        assert!(sent >= 30);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_all_is_sent() {
        assert_eq!(ask(&Limiter::new(0), "192.0.2.1", 100_000), [100_000, 0, 0]);
    }
}
