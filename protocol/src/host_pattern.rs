//! `*.swarm.example`: below which domain each identity of a swarm has a host of its own.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::address::{AddressError, HOST_BYTES_MAX, HostName};
use crate::host_label::LABEL_CHARS;
use crate::{Address, AtSign, Host};

/// Longest domain below which there is room for a label.
const DOMAIN_BYTES_MAX: usize = HOST_BYTES_MAX - LABEL_CHARS - 1;

/// A pattern of hosts. It is no [`HostName`], so nobody can dial it or hand it to a client.
#[derive(Clone, PartialEq, Eq)]
pub struct HostPattern(HostName);

/// What a registrar puts into addresses: one host for all, or a pattern.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Hosts {
    /// All are at one host, each at a port of her own.
    One(HostName),
    /// Each is at a host of her own.
    Each(HostPattern),
}

/// Why a text is neither a host nor a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostsError {
    /// No host name.
    #[error(transparent)]
    Host(#[from] AddressError),
    /// The domain is a number, a word, or too long.
    #[error(
        "'{0}' is no pattern of hosts: after '*.' a domain of two labels or more, since no client \
         trusts a certificate for less, and at most {DOMAIN_BYTES_MAX} characters"
    )]
    Domain(String),
}

impl HostPattern {
    /// Parses `*.` and a domain.
    ///
    /// # Errors
    /// [`HostsError`].
    pub fn parse(text: &str) -> Result<Self, HostsError> {
        let refused = || HostsError::Domain(text.chars().take(80).collect());
        let domain = HostName::parse(text.strip_prefix("*.").ok_or_else(refused)?)?;
        let bare = domain.as_str();
        let is_number = bare.split('.').all(|label| label.bytes().all(|b| b.is_ascii_digit()));
        if is_number || !bare.contains('.') || bare.len() > DOMAIN_BYTES_MAX {
            return Err(refused());
        }
        Ok(Self(domain))
    }

    /// The domain, where the swarm itself is reached.
    #[must_use]
    pub fn domain(&self) -> &HostName {
        &self.0
    }

    /// Whether a host is one label below the domain, as certificates have it.
    #[must_use]
    pub fn covers(&self, host: &HostName) -> bool {
        host.as_str().split_once('.').is_some_and(|(_, domain)| domain == self.0.as_str())
    }

    /// Where this identity is reached.
    #[must_use]
    pub fn address(&self, name: &AtSign, port: NonZeroU16) -> Address {
        Address { host: Host::labelled(name.bare(), self.0.as_str()).to_name(), port }
    }
}

impl Hosts {
    /// The host of what is there once: the directory, the registrar.
    #[must_use]
    pub fn own(&self) -> &HostName {
        match self {
            Self::One(host) => host,
            Self::Each(pattern) => pattern.domain(),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "*.{}", self.0)
    }
}

impl fmt::Debug for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(host) => fmt::Display::fmt(host, f),
            Self::Each(pattern) => fmt::Display::fmt(pattern, f),
        }
    }
}

impl fmt::Debug for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hosts {
    type Err = HostsError;
    fn from_str(text: &str) -> Result<Self, HostsError> {
        match text.starts_with('*') {
            true => HostPattern::parse(text).map(Self::Each),
            false => Ok(Self::One(HostName::parse(text)?)),
        }
    }
}

impl TryFrom<String> for Hosts {
    type Error = HostsError;
    fn try_from(text: String) -> Result<Self, HostsError> {
        text.parse()
    }
}

impl From<Hosts> for String {
    fn from(hosts: Hosts) -> Self {
        hosts.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::HostLabel;

    #[test]
    fn a_pattern_has_one_star_and_a_domain() {
        let pattern = HostPattern::parse("*.Swarm.Example").unwrap();
        assert_eq!(pattern.to_string(), "*.swarm.example");
        let alice = AtSign::parse("@alice").unwrap();
        let address = pattern.address(&alice, NonZeroU16::new(443).unwrap());
        let label = HostLabel::of(&alice);
        assert_eq!(address.to_string(), format!("{label}.swarm.example:443"));
        assert!(pattern.covers(&address.host) && !pattern.covers(pattern.domain()));
        assert!(!pattern.covers(&HostName::parse("a.b.swarm.example").unwrap()));
        let long = format!("*.{0}.{0}.{0}.{0}", "a".repeat(56));
        for bad in ["*", "*.", "*.localhost", "*.10.0.0.1", "*.*.a.b", "**.a.b", "*a.b.c", &long] {
            assert!(bad.parse::<Hosts>().is_err(), "{bad}");
        }
        assert_eq!("a.*.b".parse::<Hosts>(), Err(AddressError::Host("a.*.b".into()).into()));
    }

    #[test]
    fn what_was_one_host_before_is_so_still() {
        for text in ["localhost", "10.0.0.1", "*.swarm.example"] {
            let hosts: Hosts = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            assert_eq!(serde_json::to_string(&hosts).unwrap(), format!("\"{text}\""));
            assert_eq!(matches!(hosts, Hosts::Each(_)), text.starts_with('*'));
        }
    }
}
