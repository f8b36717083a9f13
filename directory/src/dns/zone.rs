//! The zone that a directory answers for: what the operator says of it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use protocol::address::AddressError;
use protocol::{AtSign, HostName};

use super::name::{self, Decoded, PIECES_MAX};
use super::wire::{NAME_BYTES_MAX, put_host, split_label};
use crate::limits::DNS_ZONE_BYTES_MAX;

/// In front of an identity's labels, where her service is…
const SERVICE: [&[u8]; 2] = [b"_atproto", b"_tcp"];
/// …and what proves where she is.
const PROOF: &[u8] = b"_proof";
/// Labels in front of a zone that can matter, next to it: those of a name, and more than there can
/// be below one.
const LABELS_MAX: usize = PIECES_MAX + SERVICE.len() + 1;

/// A name as messages have it, in small letters.
pub(super) type WireName = Box<[u8]>;

/// A zone: its name, its name servers and the addresses of hosts.
#[derive(Debug)]
pub struct Zone {
    pub(super) origin: WireName,
    pub(super) servers: Vec<WireName>,
    pub(super) mailbox: WireName,
    hosts: HashMap<HostName, Vec<IpAddr>>,
    /// The hosts within the zone…
    inside: HashMap<WireName, HostName>,
    /// …and the names between them and the zone.
    between: HashSet<WireName>,
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
    /// `_proof`.
    Proof,
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
        let apex = wire_name(origin);
        let bytes = apex.len();
        if bytes > DNS_ZONE_BYTES_MAX {
            return Err(ZoneError::TooLong(origin.clone(), bytes));
        }
        let below = |label: &str| {
            let name = HostName::parse(&format!("{label}.{origin}"));
            name.map(|name| wire_name(&name)).map_err(ZoneError::Host)
        };
        let servers = match servers {
            [] => vec![below("ns")?],
            named => named.iter().map(wire_name).collect(),
        };
        let mut zone = Self {
            servers,
            mailbox: below("hostmaster")?,
            hosts: HashMap::new(),
            inside: HashMap::new(),
            between: HashSet::new(),
            origin: apex,
        };
        for (host, address) in addresses {
            zone.hosts.entry(host.clone()).or_default().push(*address);
            zone.admit(host);
        }
        Ok(zone)
    }

    /// Takes in a host, if it is in the zone.
    fn admit(&mut self, host: &HostName) {
        let name = wire_name(host);
        if self.in_front(&name).is_none_or(<[u8]>::is_empty) {
            return;
        }
        let mut rest = &*name;
        while let Some((_, above)) = split_label(rest)
            && above != &*self.origin
        {
            self.between.insert(above.into());
            rest = above;
        }
        self.inside.insert(name, host.clone());
    }

    /// The addresses of a host: those that the operator gave, or the one that its name is.
    pub(super) fn addresses(&self, host: &HostName) -> impl Iterator<Item = IpAddr> {
        let named = self.hosts.get(host);
        let itself = match named {
            Some(_) => None,
            None => host.as_str().parse().ok(),
        };
        named.into_iter().flatten().copied().chain(itself)
    }

    /// What a name stands for, however its letters are written.
    pub(super) fn find(&self, name: &[u8]) -> Node<'_> {
        let mut small = [0; NAME_BYTES_MAX];
        let Some(small) = small.get_mut(..name.len()) else { return Node::Outside };
        small.copy_from_slice(name);
        // Lengths are below the letters.
        small.make_ascii_lowercase();
        let Some(in_front) = self.in_front(small) else { return Node::Outside };
        if in_front.is_empty() {
            return Node::Apex;
        }
        let mut labels: [&[u8]; LABELS_MAX] = [&[]; LABELS_MAX];
        let (mut count, mut rest) = (0, in_front);
        while let Some((label, behind)) = split_label(rest) {
            labels.rotate_left(1);
            if let Some(last) = labels.last_mut() {
                *last = label;
            }
            (count, rest) = ((count + 1).min(LABELS_MAX), behind);
        }
        let node = identity(labels.get(LABELS_MAX - count..).unwrap_or_default());
        match (self.inside.get(small), node) {
            (None, node) => node,
            (Some(host), Node::Identity(identity, Part::Herself)) => {
                Node::Host(host, Some(identity))
            }
            (Some(host), _) => Node::Host(host, None),
        }
    }

    /// Whether there is a host's name below this one.
    pub(super) fn is_between(&self, name: &[u8]) -> bool {
        !self.between.is_empty() && self.between.contains(&*name.to_ascii_lowercase())
    }

    /// The labels that stand in front of the zone; none for a name that is not in it.
    fn in_front<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        let in_front = name.strip_suffix(&*self.origin)?;
        let mut rest = in_front;
        while !rest.is_empty() {
            (_, rest) = split_label(rest)?;
        }
        Some(in_front)
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
                [one] if *one == PROOF => Part::Proof,
                two if *two == SERVICE => Part::Service,
                _ => Part::Nothing,
            };
            Node::Identity(identity, part)
        }
    }
}

fn wire_name(host: &HostName) -> WireName {
    let mut bytes = Vec::with_capacity(NAME_BYTES_MAX);
    put_host(&mut bytes, host);
    bytes.into()
}
