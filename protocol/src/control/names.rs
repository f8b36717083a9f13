//! What the parts of a fleet are called.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name of a swarm or a node. An engine's node ids have 25 characters.
pub const FLEET_NAME_BYTES_MAX: usize = 63;

/// A text that is not the name of a swarm or a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to {FLEET_NAME_BYTES_MAX} lower-case letters, digits, dots and hyphens, and begins \
     with a letter or a digit"
)]
pub struct FleetNameError;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Reads a name.
            ///
            /// # Errors
            /// [`FleetNameError`].
            pub fn parse(text: &str) -> Result<Self, FleetNameError> {
                if is_name(text) { Ok(Self(text.into())) } else { Err(FleetNameError) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = FleetNameError;
            fn from_str(text: &str) -> Result<Self, FleetNameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = FleetNameError;
            fn try_from(text: String) -> Result<Self, FleetNameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }
    };
}

name! {
    /// One Docker Swarm, as its operator calls it.
    SwarmName
}
name! {
    /// One machine of a swarm: its engine's node id.
    NodeName
}

fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= FLEET_NAME_BYTES_MAX
        && text.bytes().next().is_some_and(is_inner)
        && text.bytes().all(|byte| is_inner(byte) || byte == b'-' || byte == b'.')
}

/// One cell, by its number; it is never given to another one. As text `cell-7`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CellId(NonZeroU16);

/// A text that is not the name of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cell is called cell-1 to cell-65535")]
pub struct CellIdError;

impl CellId {
    /// The first cell.
    pub const FIRST: Self = Self(NonZeroU16::MIN);

    /// Reads a number; `None` for 0.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0.get()
    }

    /// The cell after this one; `None` at the end of numbers.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cell-{}", self.0)
    }
}

impl fmt::Debug for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CellId {
    type Err = CellIdError;
    fn from_str(text: &str) -> Result<Self, CellIdError> {
        let digits = text.strip_prefix("cell-").filter(|digits| !digits.starts_with(['0', '+']));
        digits.and_then(|digits| digits.parse().ok()).map(Self).ok_or(CellIdError)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_name_is_one_label_of_plain_characters() {
        for good in ["a", "eu-1", "q3fy2ym8bzcgtn9mdfqqulkx5", "n1.example.org"] {
            assert_eq!(NodeName::parse(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(FLEET_NAME_BYTES_MAX + 1);
        for bad in ["", "-a", ".a", "A", "a b", "a/b", "ä", "a\n", long.as_str()] {
            assert_eq!(SwarmName::parse(bad), Err(FleetNameError), "{bad:?}");
        }
        assert!(serde_json::from_str::<SwarmName>("\"../x\"").is_err());
    }

    #[test]
    fn a_cell_survives_its_text() {
        for number in [1, 7, u16::MAX] {
            let cell = CellId::from_number(number).unwrap();
            assert_eq!(cell.to_string().parse(), Ok(cell));
        }
        for bad in ["cell-0", "cell-", "cell-01", "cell-+1", "cell-65536", "7", "Cell-7"] {
            assert_eq!(bad.parse::<CellId>(), Err(CellIdError), "{bad:?}");
        }
    }
}
