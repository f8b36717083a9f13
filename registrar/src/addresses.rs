//! How clients reach identities: at ports of one host, or each at a host of her own.

use std::num::NonZeroU16;

use protocol::{Address, AtSign, HostName, HostPattern, Hosts};

/// What an operator decides about all addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressing {
    /// One host; each identity has a port of her own there.
    ByPort(HostName),
    /// Each identity has a host of her own, all at one port.
    ByName(HostPattern, NonZeroU16),
}

/// What `--hostname` and `--name-port` say does not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressingError {
    /// A pattern, and no port.
    #[error("a pattern of host names needs the one port at which they are reached")]
    NoNamePort,
    /// A port of names, and no pattern.
    #[error(
        "identities are reached by name only where the host name is a pattern such as *.example.org"
    )]
    NoPattern,
}

impl Addressing {
    /// As the operator says.
    ///
    /// # Errors
    /// [`AddressingError`] where that does not go together.
    pub fn new(hosts: Hosts, name_port: Option<NonZeroU16>) -> Result<Self, AddressingError> {
        match (hosts, name_port) {
            (Hosts::One(host), None) => Ok(Self::ByPort(host)),
            (Hosts::Each(pattern), Some(port)) => Ok(Self::ByName(pattern, port)),
            (Hosts::Each(_), None) => Err(AddressingError::NoNamePort),
            (Hosts::One(_), Some(_)) => Err(AddressingError::NoPattern),
        }
    }

    /// Where an identity is reached that has this port of her own; none if she has none and needs one.
    #[must_use]
    pub fn address(&self, name: &AtSign, port: Option<NonZeroU16>) -> Option<Address> {
        match self {
            Self::ByPort(host) => Some(Address { host: host.clone(), port: port? }),
            Self::ByName(pattern, name_port) => Some(pattern.address(name, *name_port)),
        }
    }

    /// Whether a new identity needs a port of her own.
    #[must_use]
    pub fn needs_ports(&self) -> bool {
        matches!(self, Self::ByPort(_))
    }

    pub(crate) fn hosts(&self) -> Hosts {
        match self {
            Self::ByPort(host) => Hosts::One(host.clone()),
            Self::ByName(pattern, _) => Hosts::Each(pattern.clone()),
        }
    }

    pub(crate) fn name_port(&self) -> Option<NonZeroU16> {
        match self {
            Self::ByPort(_) => None,
            Self::ByName(_, port) => Some(*port),
        }
    }
}
