//! Whom an address is counted with.
//!
//! A single IPv4 address is a home, a machine, or a carrier's gateway with thousands of people behind
//! it; its neighbours in the last eight bits mostly belong to the same network. Of IPv6 a home or a
//! machine gets 64 bits to choose addresses from, and a site often 48: who may choose costs nothing to
//! change, so counting smaller parts would count nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The two blocks that an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Blocks {
    /// The IPv4 address, or the first 64 bits of the IPv6 address.
    pub address: IpAddr,
    /// The first 24 bits of the IPv4 address, or the first 48 of the IPv6 address.
    pub network: IpAddr,
}

impl Blocks {
    /// Those of this address; an IPv4 address is the same however it is written.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let network = Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << 8));
                Self { address: IpAddr::V4(v4), network: IpAddr::V4(network) }
            }
            IpAddr::V6(v6) => {
                let first = |bits: u32| {
                    IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - bits))))
                };
                Self { address: first(64), network: first(48) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_address_belongs_to_a_small_block_and_a_large_one() {
        for (text, address, network) in [
            ("192.0.2.77", "192.0.2.77", "192.0.2.0"),
            ("::ffff:192.0.2.77", "192.0.2.77", "192.0.2.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::", "2001:db8:1::"),
        ] {
            let blocks = Blocks::of(text.parse().unwrap());
            assert_eq!(blocks.address, address.parse::<IpAddr>().unwrap(), "{text}");
            assert_eq!(blocks.network, network.parse::<IpAddr>().unwrap(), "{text}");
        }
    }
}
