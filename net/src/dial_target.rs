//! What an operator lists as reachable although it is not public: `10.0.0.0/8`, `127.0.0.1:25000-25999`,
//! `[fd00::/8]:443`, `warren.internal:6464`, `*.swarm.internal:443`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use protocol::{Address, HostName, HostPattern, Hosts};

/// A place that may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialTarget {
    place: Place,
    /// The first and the last port; none for all.
    ports: Option<(NonZeroU16, NonZeroU16)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Whatever this name resolves to, if it is the name that is called.
    Name(HostName),
    /// The same for every name one label below a domain.
    Below(HostPattern),
    /// All addresses that begin with these bits.
    Network(IpAddr, u8),
}

/// Why a text is no [`DialTarget`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no place to call: write an address or a network (10.0.0.0/8, [fd00::/8]) or a host \
     name, and a port or a range of ports behind a colon if not all are meant (127.0.0.1:25000-25999)"
)]
pub struct DialTargetError(String);

impl DialTarget {
    /// A host name with a range of ports.
    #[must_use]
    pub fn host(name: HostName, first: NonZeroU16, last: NonZeroU16) -> Self {
        Self { place: Place::Name(name), ports: Some((first, last)) }
    }

    /// The same for all names of a pattern.
    #[must_use]
    pub fn hosts(hosts: Hosts, first: NonZeroU16, last: NonZeroU16) -> Self {
        match hosts {
            Hosts::One(name) => Self::host(name, first, last),
            Hosts::Each(pattern) => {
                Self { place: Place::Below(pattern), ports: Some((first, last)) }
            }
        }
    }

    /// Whether it covers a call of `address` that has been resolved to `target`.
    #[must_use]
    pub fn covers(&self, address: &Address, target: SocketAddr) -> bool {
        let is_port = self.ports.is_none_or(|(first, last)| {
            NonZeroU16::new(target.port()).is_some_and(|port| (first..=last).contains(&port))
        });
        is_port
            && match &self.place {
                Place::Name(name) => *name == address.host,
                Place::Below(pattern) => pattern.covers(&address.host),
                Place::Network(network, bits) => is_inside(target.ip(), *network, *bits),
            }
    }

    fn read(text: &str) -> Option<Self> {
        let (place, ports) = match text.strip_prefix('[') {
            Some(rest) => {
                let (place, ports) = rest.split_once(']')?;
                (
                    network(place)?,
                    if ports.is_empty() { None } else { Some(ports.strip_prefix(':')?) },
                )
            }
            None => {
                let (place, ports) = match text.split_once(':') {
                    Some((place, ports)) => (place, Some(ports)),
                    None => (text, None),
                };
                let name = || match place.parse().ok()? {
                    Hosts::One(name) => Some(Place::Name(name)),
                    Hosts::Each(pattern) => Some(Place::Below(pattern)),
                };
                (network(place).or_else(name)?, ports)
            }
        };
        let ports = match ports {
            Some(ports) => Some(range(ports)?),
            None => None,
        };
        Some(Self { place, ports })
    }
}

fn network(text: &str) -> Option<Place> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some(Place::Network(address, bits))
}

fn range(text: &str) -> Option<(NonZeroU16, NonZeroU16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

/// An IPv4 address is the same whichever way it is written.
fn is_inside(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let first_bits = |all: u128, of: u8| all.checked_shr(u32::from(of - bits)).unwrap_or(0);
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let bits_of = |v4: std::net::Ipv4Addr| first_bits(u128::from(v4.to_bits()), 32);
            bits_of(address) == bits_of(network)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            first_bits(address.to_bits(), 128) == first_bits(network.to_bits(), 128)
        }
        _ => false,
    }
}

impl FromStr for DialTarget {
    type Err = DialTargetError;
    fn from_str(text: &str) -> Result<Self, DialTargetError> {
        Self::read(text).ok_or_else(|| DialTargetError(text.chars().take(80).collect()))
    }
}

impl fmt::Display for DialTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Name(name) => write!(f, "{name}")?,
            Place::Below(pattern) => write!(f, "{pattern}")?,
            Place::Network(address @ IpAddr::V4(_), bits) => write!(f, "{address}/{bits}")?,
            Place::Network(address @ IpAddr::V6(_), bits) => write!(f, "[{address}/{bits}]")?,
        }
        match self.ports {
            Some((first, last)) if first == last => write!(f, ":{first}"),
            Some((first, last)) => write!(f, ":{first}-{last}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn covers(target: &str, called: &str, resolved: &str) -> bool {
        let target: DialTarget = target.parse().unwrap();
        target.covers(&Address::parse(called).unwrap(), resolved.parse().unwrap())
    }

    #[test]
    fn a_target_covers_what_it_says_and_nothing_else() {
        for (target, called, resolved, expected) in [
            ("10.0.0.0/8", "a.example:1", "10.200.3.4:1", true),
            ("10.0.0.0/8", "a.example:1", "11.0.0.1:1", false),
            ("10.0.0.0/8", "a.example:1", "[::ffff:10.0.0.1]:1", true),
            ("10.0.0.1", "a.example:1", "10.0.0.2:1", false),
            ("0.0.0.0/0", "a.example:1", "127.0.0.1:1", true),
            ("0.0.0.0/0", "a.example:1", "[::1]:1", false),
            ("127.0.0.1:80", "a.example:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "a.example:81", "127.0.0.1:81", false),
            ("127.0.0.0/8:80-90", "a.example:90", "127.0.0.9:90", true),
            ("127.0.0.0/8:80-90", "a.example:91", "127.0.0.9:91", false),
            ("[fd00::/8]", "a.example:1", "[fd12::1]:1", true),
            ("[fd00::/8]", "a.example:1", "[fe80::1]:1", false),
            ("[::/0]", "a.example:1", "[fe80::1]:1", true),
            ("[::1]:443", "a.example:443", "[::1]:443", true),
            ("[::1]:443", "a.example:444", "[::1]:444", false),
            ("Localhost:5", "localhost:5", "127.0.0.1:5", true),
            ("localhost:5", "127.0.0.1:5", "127.0.0.1:5", false),
            ("localhost:5", "localhost:6", "127.0.0.1:6", false),
        ] {
            assert_eq!(covers(target, called, resolved), expected, "{target} {called} {resolved}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused_and_the_others_are_written_as_they_are_read() {
        for bad in [
            "",
            ":80",
            "10.0.0.0/33",
            "10.0.0.0/x",
            "10.0.0.1:0",
            "10.0.0.1:9-8",
            "10.0.0.1:",
            "::1",
            "[::1",
            "[::1]443",
            "[a.example]:1",
            "a b",
            "a.example:http",
            "10.0.0.1:1-70000",
        ] {
            let refused = bad.parse::<DialTarget>().unwrap_err().to_string();
            assert!(refused.contains("127.0.0.1:25000-25999"), "{bad}: {refused}");
        }
        for (read, written) in [
            ("10.0.0.1", "10.0.0.1/32"),
            ("[fd00::/8]:1-2", "[fd00::/8]:1-2"),
            ("a.example:7-7", "a.example:7"),
        ] {
            assert_eq!(read.parse::<DialTarget>().unwrap().to_string(), written);
        }
    }
}
