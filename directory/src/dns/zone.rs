//! The zone that a directory answers for: what the operator says of it.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::str::FromStr;

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};
use protocol::address::AddressError;
use protocol::{AtSign, HostName};

use super::name::{self, Decoded};
use crate::limits::DNS_ZONE_BYTES_MAX;

/// In front of an identity's labels, where her service is.
const SERVICE: [&[u8]; 2] = [b"_atproto", b"_tcp"];

/// A zone: its name, its name servers and the addresses of hosts.
#[derive(Debug)]
pub struct Zone {
    pub(super) origin: Name,
    /// In small letters.
    labels: Vec<Box<[u8]>>,
    pub(super) servers: Vec<Name>,
    pub(super) mailbox: Name,
    hosts: HashMap<HostName, Vec<IpAddr>>,
    /// The hosts within the zone. DNS's own order has all that is below a name right behind it.
    inside: BTreeMap<Name, HostName>,
}

/// Why there can be no such zone.
#[derive(Debug, thiserror::Error)]
pub enum ZoneError {
    /// No place for the longest names in front of it.
    #[error("the zone '{0}' has {1} bytes: {DNS_ZONE_BYTES_MAX} at most leave room for every name")]
    TooLong(HostName, usize),
    /// Not the name of a host.
    #[error("the zone has a name that is none")]
    Host(#[source] AddressError),
    /// Not a name of DNS.
    #[error("'{0}' cannot be a name in DNS")]
    Name(HostName, #[source] DecodeError),
}

/// What a question's name stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node<'a> {
    /// Not in the zone.
    Outside,
    /// The zone itself.
    Apex,
    /// A host that the operator named; somebody may be called the same.
    Host(&'a HostName, Option<AtSign>),
    /// This identity, or what is below it.
    Identity(AtSign, Part),
    /// There is nothing here, but there may be below.
    Between,
    /// No identity can be called so.
    Nobody,
}

/// Which name of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Her own.
    Herself,
    /// `_tcp`, below which her service is.
    Between,
    /// `_atproto._tcp`.
    Service,
    /// What there is not.
    Nothing,
}

impl Zone {
    /// A zone with these name servers (`ns` in the zone if there are none) and the addresses of
    /// these hosts, whether they are in the zone or not.
    ///
    /// # Errors
    /// [`ZoneError`] if a name is too long for DNS.
    pub fn new(
        origin: &HostName,
        servers: &[HostName],
        addresses: &[(HostName, IpAddr)],
    ) -> Result<Self, ZoneError> {
        let apex = dns_name(origin)?;
        let bytes = apex.len();
        if bytes > DNS_ZONE_BYTES_MAX {
            return Err(ZoneError::TooLong(origin.clone(), bytes));
        }
        let below = |label: &str| {
            let name = format!("{label}.{origin}");
            HostName::parse(&name).map_err(ZoneError::Host).and_then(|name| dns_name(&name))
        };
        let servers = match servers {
            [] => vec![below("ns")?],
            named => named.iter().map(dns_name).collect::<Result<_, _>>()?,
        };
        let mut zone = Self {
            labels: apex.iter().map(small).collect(),
            servers,
            mailbox: below("hostmaster")?,
            hosts: HashMap::new(),
            inside: BTreeMap::new(),
            origin: apex,
        };
        for (host, address) in addresses {
            let name = dns_name(host)?;
            if zone.in_front(&name).is_some() {
                zone.inside.insert(name, host.clone());
            }
            zone.hosts.entry(host.clone()).or_default().push(*address);
        }
        Ok(zone)
    }

    /// The addresses of a host: those that the operator gave, or the one that its name is.
    pub(super) fn addresses(&self, host: &HostName) -> Vec<IpAddr> {
        match self.hosts.get(host) {
            Some(addresses) => addresses.clone(),
            None => IpAddr::from_str(host.as_str()).into_iter().collect(),
        }
    }

    /// What a name stands for.
    pub(super) fn find(&self, name: &Name) -> Node<'_> {
        let Some(in_front) = self.in_front(name) else { return Node::Outside };
        if in_front == 0 {
            return Node::Apex;
        }
        let small = name.to_lowercase();
        let labels: Vec<&[u8]> = small.iter().take(in_front).collect();
        match (self.inside.get(name), identity(&labels)) {
            (None, node) => node,
            (Some(host), Node::Identity(identity, Part::Herself)) => {
                Node::Host(host, Some(identity))
            }
            (Some(host), _) => Node::Host(host, None),
        }
    }

    /// Whether there is a host's name below this one.
    pub(super) fn is_between(&self, name: &Name) -> bool {
        let next = self.inside.range(name..).next();
        next.is_some_and(|(found, _)| name.zone_of(found))
    }

    /// How many labels stand in front of the zone; none for a name that is not in it.
    fn in_front(&self, name: &Name) -> Option<usize> {
        let in_front = name.iter().len().checked_sub(self.labels.len())?;
        let mut pairs = name.iter().skip(in_front).zip(&self.labels);
        pairs.all(|(label, ours)| label.eq_ignore_ascii_case(ours)).then_some(in_front)
    }
}

fn identity(labels: &[&[u8]]) -> Node<'static> {
    match name::decode(labels) {
        Decoded::Part => Node::Between,
        Decoded::Nothing => Node::Nobody,
        Decoded::Name(identity, count) => {
            let below = labels.get(..labels.len() - count).unwrap_or_default();
            let part = match below {
                [] => Part::Herself,
                [one] if *one == SERVICE[1] => Part::Between,
                two if *two == SERVICE => Part::Service,
                _ => Part::Nothing,
            };
            Node::Identity(identity, part)
        }
    }
}

/// A host's name as DNS has it. By way of its bytes, since the library's other ways look at Unicode
/// or make a list of lists, and this happens for every answer.
pub(super) fn dns_name(host: &HostName) -> Result<Name, ZoneError> {
    let mut bytes = Vec::with_capacity(host.as_str().len() + 2);
    for label in host.as_str().split('.') {
        bytes.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    Name::read(&mut BinDecoder::new(&bytes)).map_err(|e| ZoneError::Name(host.clone(), e))
}

fn small(label: &[u8]) -> Box<[u8]> {
    label.to_ascii_lowercase().into_boxed_slice()
}
