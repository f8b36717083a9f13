//! Where a server is reached: `host:port`.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest host name, in bytes (RFC 1035, section 2.3.4).
pub const HOST_BYTES_MAX: usize = 253;

/// A DNS name or IPv4 address. IPv6 literals cannot be served: every client splits the directory's
/// answer at its one colon (protocol notes 1.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(Box<str>);

/// `host:port` of a personal server, a directory or a registrar.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// Name that the server's certificate must carry.
    pub host: HostName,
    /// TCP port, never 0.
    pub port: NonZeroU16,
}

/// Why a text is not an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not of the form `host:port`.
    #[error("an address has the form host:port with exactly one colon")]
    Form,
    /// Not a DNS name or IPv4 address.
    #[error(
        "'{0}' is not a host name: letters, digits, '-' and '.', at most {HOST_BYTES_MAX} characters"
    )]
    Host(String),
    /// Not a port.
    #[error("'{0}' is not a port: a number from 1 to 65535")]
    Port(String),
}

impl HostName {
    /// Parses and lower-cases.
    ///
    /// # Errors
    /// [`AddressError::Host`] where it is no DNS name or IPv4 address.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let is_label = |l: &str| {
            (1..=63).contains(&l.len())
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !l.starts_with('-')
                && !l.ends_with('-')
        };
        if text.len() > HOST_BYTES_MAX || !text.split('.').all(is_label) {
            return Err(AddressError::Host(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// Text that was put together of what [`parse`](Self::parse) takes.
    pub(crate) fn of(text: String) -> Self {
        debug_assert!(Self::parse(&text).is_ok_and(|host| *host.0 == text), "{text}");
        Self(text.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Address {
    /// Parses `host:port`.
    ///
    /// # Errors
    /// [`AddressError`] says which half is wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text.split_once(':').ok_or(AddressError::Form)?;
        if port.contains(':') {
            return Err(AddressError::Form);
        }
        let number =
            port.parse().map_err(|_| AddressError::Port(port.chars().take(20).collect()))?;
        Ok(Self { host: HostName::parse(host)?, port: number })
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for HostName {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl FromStr for Address {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for HostName {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<HostName> for String {
    fn from(host: HostName) -> Self {
        host.0.into()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_host_and_one_port() {
        let address = Address::parse("LocalHost:25000").map(|a| a.to_string());
        assert_eq!(address, Ok("localhost:25000".to_owned()));
        assert_eq!(Address::parse("localhost"), Err(AddressError::Form));
        assert_eq!(Address::parse("::1:64"), Err(AddressError::Form));
        assert_eq!(Address::parse("h:0"), Err(AddressError::Port("0".into())));
        assert_eq!(Address::parse("h:65536"), Err(AddressError::Port("65536".into())));
        assert_eq!(Address::parse("a b:1"), Err(AddressError::Host("a b".into())));
        assert_eq!(Address::parse("-a.b:1"), Err(AddressError::Host("-a.b".into())));
    }
}
