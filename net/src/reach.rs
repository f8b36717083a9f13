//! Which addresses may be dialled on behalf of others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use protocol::Address;

pub use crate::dial_target::{DialTarget, DialTargetError};

/// Whom a [`Dialer`](crate::dial::Dialer) may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialPolicy {
    /// Any address: all parties are on one machine or one private network.
    Any,
    /// Only addresses that the whole internet can reach: nobody can make us call a neighbour, a
    /// control network or ourselves.
    PublicOnly,
    /// These as well, because the operator says so.
    PublicAnd(Arc<[DialTarget]>),
}

impl DialPolicy {
    /// Whether a call of `address` may go to `target`, which is one of those it was resolved to.
    #[must_use]
    pub fn allows(&self, address: &Address, target: SocketAddr) -> bool {
        match self {
            Self::Any => true,
            Self::PublicOnly => is_public(target.ip()),
            Self::PublicAnd(listed) => {
                is_public(target.ip()) || listed.iter().any(|one| one.covers(address, target))
            }
        }
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

/// The special-purpose registry of IPv4 (RFC 6890 and its updates).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240)
}

/// Only what is handed out as global unicast, less the special ranges inside it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global_unicast = a & 0xe000 == 0x2000;
    let is_special = (a == 0x2001 && (b < 0x0200 || b == 0x0db8)) || (a == 0x3fff && b < 0x1000);
    is_global_unicast && !is_special
}

/// IPv4 in IPv6: mapped, compatible, translated (NAT64) and 6to4 addresses all end at an IPv4 host.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let tail = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0, 0, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => tail(high, low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn allows(policy: &DialPolicy, address: IpAddr) -> bool {
        let called = Address::parse("somebody.example:443").unwrap();
        policy.allows(&called, SocketAddr::new(address, 443))
    }

    #[test]
    fn nothing_private_passes_for_public() {
        let private = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:0a00:0001::",
            "2002:7f00:0001::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2001:10::1",
            "100::1",
            "3fff::1",
            "64:ff9b:1::1",
        ];
        for text in private {
            let address: IpAddr = text.parse().unwrap_or(IpAddr::from([8, 8, 8, 8]));
            assert!(!allows(&DialPolicy::PublicOnly, address), "{text}");
            assert!(allows(&DialPolicy::Any, address), "{text}");
        }
    }

    #[test]
    fn public_addresses_pass() {
        for text in ["8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            let address: IpAddr = text.parse().unwrap_or(IpAddr::from([127, 0, 0, 1]));
            assert!(allows(&DialPolicy::PublicOnly, address), "{text}");
        }
    }

    #[test]
    fn what_the_operator_lists_passes_as_well_and_no_neighbour_of_it() {
        let listed: DialTarget = "10.1.0.0/16".parse().unwrap();
        let policy = DialPolicy::PublicAnd(Arc::new([listed]));
        for (text, expected) in
            [("8.8.8.8", true), ("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.0.1", false)]
        {
            assert_eq!(allows(&policy, text.parse().unwrap()), expected, "{text}");
        }
    }
}
