//! Where the next server goes: a pure choice among the ports of this host.

use std::collections::VecDeque;
use std::num::NonZeroU16;

use protocol::Timestamp;

use crate::limits::{PORT_AVOIDED_MS, PORTS_AVOIDED_MAX};
use crate::ports::{PortRanges, PortSet};

/// Every configured port is in use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no port is left: all {configured} ports of {ranges} are in use")]
pub struct NoPortLeft {
    /// The configured list.
    pub ranges: String,
    /// How many ports it has.
    pub configured: usize,
}

/// The ports of this host. The next one given out is the one after the last: a port that became
/// free rests as long as possible, since clients remember addresses.
pub struct Ports {
    ranges: PortRanges,
    used: PortSet,
    /// Ports that the host said somebody else holds.
    avoided: PortSet,
    /// The same ports, oldest first, with the time until which they rest.
    resting: VecDeque<(NonZeroU16, Timestamp)>,
    next_index: usize,
}

impl Ports {
    /// All of `ranges`, none in use.
    #[must_use]
    pub fn new(ranges: PortRanges) -> Self {
        let (used, avoided) = (PortSet::default(), PortSet::default());
        Self { ranges, used, avoided, resting: VecDeque::new(), next_index: 0 }
    }

    /// Notes that a server has `port`, which may lie outside the ranges after they were changed;
    /// false if another has it.
    pub fn occupy(&mut self, port: NonZeroU16) -> bool {
        if let Some(index) = self.ranges.position(port) {
            self.next_index = self.next_index.max(index + 1);
        }
        self.used.insert(port)
    }

    /// Notes that no server has `port` any more.
    pub fn release(&mut self, port: NonZeroU16) {
        self.used.remove(port);
    }

    /// Leaves `port` alone for a while: the host says that somebody else holds it.
    pub fn avoid(&mut self, port: NonZeroU16, now: Timestamp) {
        if !self.avoided.insert(port) {
            return;
        }
        if self.resting.len() == PORTS_AVOIDED_MAX
            && let Some((oldest, _)) = self.resting.pop_front()
        {
            self.avoided.remove(oldest);
        }
        self.resting.push_back((port, now.plus_millis(PORT_AVOIDED_MS)));
    }

    /// Chooses a port that is neither in use nor avoided. It stays free until it is occupied.
    ///
    /// # Errors
    /// [`NoPortLeft`].
    pub fn choose(&mut self, now: Timestamp) -> Result<NonZeroU16, NoPortLeft> {
        self.end_rests(now);
        let count = self.ranges.count();
        for index in (self.next_index..self.next_index + count).map(|index| index % count) {
            let Some(port) = self.ranges.nth(index) else { continue };
            if !self.used.contains(port) && !self.avoided.contains(port) {
                self.next_index = index;
                return Ok(port);
            }
        }
        Err(NoPortLeft { ranges: self.ranges.to_string(), configured: count })
    }

    fn end_rests(&mut self, now: Timestamp) {
        while let Some((port, until)) = self.resting.front().copied()
            && until <= now
        {
            self.avoided.remove(port);
            self.resting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn ports(ranges: &str) -> Ports {
        Ports::new(PortRanges::parse(ranges).unwrap())
    }

    fn take(ports: &mut Ports, now: Timestamp) -> Option<u16> {
        let port = ports.choose(now).ok()?;
        assert!(ports.occupy(port));
        Some(port.get())
    }

    #[test]
    fn each_port_is_given_out_once_and_then_the_error_names_the_ranges() {
        let mut ports = ports("10-11,5");
        let taken: Vec<_> = (0..4).map(|_| take(&mut ports, NOW)).collect();
        assert_eq!(taken, [Some(10), Some(11), Some(5), None]);
        let none = NoPortLeft { ranges: "10-11,5".into(), configured: 3 };
        assert_eq!(ports.choose(NOW), Err(none));
    }

    #[test]
    fn a_freed_port_rests_until_the_others_were_given_out() {
        let mut ports = ports("10-12");
        assert_eq!(take(&mut ports, NOW), Some(10));
        ports.release(NonZeroU16::new(10).unwrap());
        let taken: Vec<_> = (0..3).map(|_| take(&mut ports, NOW)).collect();
        assert_eq!(taken, [Some(11), Some(12), Some(10)]);
        ports.release(NonZeroU16::new(10).unwrap());
        ports.release(NonZeroU16::new(12).unwrap());
        let taken: Vec<_> = (0..2).map(|_| take(&mut ports, NOW)).collect();
        assert_eq!(taken, [Some(12), Some(10)], "also the second time round");
    }

    #[test]
    fn a_port_that_somebody_else_holds_is_left_alone_for_a_while() {
        let mut ports = ports("10-11");
        ports.avoid(NonZeroU16::new(10).unwrap(), NOW);
        assert_eq!(take(&mut ports, NOW), Some(11));
        assert_eq!(take(&mut ports, NOW), None);
        let later = NOW.plus_millis(PORT_AVOIDED_MS);
        assert_eq!(take(&mut ports, later), Some(10));
    }

    #[test]
    fn ports_outside_the_ranges_may_be_in_use_after_the_ranges_were_changed() {
        let mut ports = ports("10");
        assert!(ports.occupy(NonZeroU16::new(99).unwrap()));
        assert!(!ports.occupy(NonZeroU16::new(99).unwrap()));
        assert_eq!(take(&mut ports, NOW), Some(10));
    }

    #[test]
    fn the_memory_of_avoided_ports_is_bounded() {
        let mut ports = ports("1-65535");
        for number in 1..=u16::MAX {
            ports.avoid(NonZeroU16::new(number).unwrap(), NOW);
        }
        assert_eq!(ports.resting.len(), PORTS_AVOIDED_MAX);
        assert_eq!(take(&mut ports, NOW), Some(1), "the oldest were forgotten first");
    }
}
