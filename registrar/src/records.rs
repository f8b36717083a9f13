//! How the registrar's store is laid out.
//!
//! | key | value |
//! | --- | --- |
//! | `meta` | [`Meta`]: which feed this is, and for which host name |
//! | `name/` + the name without `@` | [`NameRecord`], also of retired names |
//! | `change/` + number, big-endian | [`ChangeRecord`], only the newest ones |
//! | `swarm/` + its name | [`SwarmRecord`](crate::fleet::SwarmRecord) |
//! | `cell/` + its number, big-endian | [`CellRecord`](crate::fleet::CellRecord), also of retired cells |
//! | `node/` + its name | [`NodeRecord`](crate::fleet::NodeRecord): what an operator wants of it |
//! | `usage/` + `h` or `d`, number of the hour or day, big-endian, part | what identities used then |
//!
//! A value is one byte with the version of its format, then JSON.

use std::num::NonZeroU16;
use std::str::FromStr;

use protocol::control::names::{CellId, NodeName, SwarmName};
use protocol::{AtSign, Epoch, FeedId, Hosts};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The version that this program writes.
pub const VERSION: u8 = 1;

/// Key of [`Meta`].
pub const META_KEY: &[u8] = b"meta";
/// Start of the keys of names.
pub const NAME_PREFIX: &[u8] = b"name/";
/// Start of the keys of changes.
pub const CHANGE_PREFIX: &[u8] = b"change/";
/// Start of the keys of swarms.
pub const SWARM_PREFIX: &[u8] = b"swarm/";
/// Start of the keys of cells.
pub const CELL_PREFIX: &[u8] = b"cell/";
/// Start of the keys of nodes.
pub const NODE_PREFIX: &[u8] = b"node/";

/// What the whole store belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Made when the store was; made anew when the host name changes.
    pub feed: FeedId,
    /// In all addresses.
    pub hostname: Hosts,
    /// The one port, where all have names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_port: Option<NonZeroU16>,
}

/// One change of the feed; its number is in the key, its host name in [`Meta`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// Whose address changed.
    pub identity: AtSign,
    /// The new port, or that the identity is gone.
    #[serde(rename = "port")]
    pub left: Left,
    /// The placement's epoch.
    pub epoch: Epoch,
}

/// How a change leaves an identity. In the store it is a port, 0 where she has none of her own, or
/// nothing once she is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<u16>", into = "Option<u16>")]
pub enum Left {
    /// She has no address.
    Gone,
    /// She has one, with this port of her own if she needs one.
    There(Option<NonZeroU16>),
}

impl From<Option<u16>> for Left {
    fn from(port: Option<u16>) -> Self {
        port.map_or(Self::Gone, |port| Self::There(NonZeroU16::new(port)))
    }
}

impl From<Left> for Option<u16> {
    fn from(left: Left) -> Self {
        match left {
            Left::Gone => None,
            Left::There(port) => Some(port.map_or(0, NonZeroU16::get)),
        }
    }
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer program.
    #[error("record '{key}' has format {found}, this program reads up to {VERSION}")]
    Version {
        /// Its key.
        key: String,
        /// Its format.
        found: u8,
    },
    /// Not what this program writes.
    #[error("record '{key}' is not a record of the registrar")]
    Form {
        /// Its key.
        key: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A key or an empty value that this program never writes.
    #[error("record '{key}' has no place in the registrar's store")]
    Key {
        /// The key.
        key: String,
    },
}

/// The key of `name`.
#[must_use]
pub fn name_key(name: &AtSign) -> Vec<u8> {
    [NAME_PREFIX, name.bare().as_bytes()].concat()
}

/// The key of change `number`.
#[must_use]
pub fn change_key(number: u64) -> Vec<u8> {
    [CHANGE_PREFIX, number.to_be_bytes().as_slice()].concat()
}

/// How long a row of use is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UsageSpan {
    /// One hour.
    Hour,
    /// One day.
    Day,
}

/// Which rows of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageKey {
    /// Of how long.
    pub span: UsageSpan,
    /// Which hour or day since 1970.
    pub number: i64,
    /// Of which part of all names.
    pub part: u16,
}

/// The key of rows of use.
#[must_use]
pub fn usage_key(key: UsageKey) -> Vec<u8> {
    let span: &[u8] = match key.span {
        UsageSpan::Hour => b"usage/h",
        UsageSpan::Day => b"usage/d",
    };
    [span, &key.number.to_be_bytes(), &key.part.to_be_bytes()].concat()
}

/// The name whose key this is.
///
/// # Errors
/// [`RecordError::Key`].
pub fn name_of(key: &[u8]) -> Result<AtSign, RecordError> {
    let bare = key.strip_prefix(NAME_PREFIX).and_then(|bare| std::str::from_utf8(bare).ok());
    let name = bare.and_then(|bare| AtSign::parse(bare).ok());
    name.filter(|name| Some(name.bare()) == bare)
        .ok_or_else(|| RecordError::Key { key: print(key) })
}

/// The number of the change whose key this is.
///
/// # Errors
/// [`RecordError::Key`].
pub fn number_of(key: &[u8]) -> Result<u64, RecordError> {
    let digits = key.strip_prefix(CHANGE_PREFIX).and_then(|digits| digits.try_into().ok());
    digits.map(u64::from_be_bytes).ok_or_else(|| RecordError::Key { key: print(key) })
}

/// The key of `swarm`.
#[must_use]
pub fn swarm_key(swarm: &SwarmName) -> Vec<u8> {
    [SWARM_PREFIX, swarm.as_str().as_bytes()].concat()
}

/// The key of `cell`.
#[must_use]
pub fn cell_key(cell: CellId) -> Vec<u8> {
    [CELL_PREFIX, cell.number().to_be_bytes().as_slice()].concat()
}

/// The key of `node`.
#[must_use]
pub fn node_key(node: &NodeName) -> Vec<u8> {
    [NODE_PREFIX, node.as_str().as_bytes()].concat()
}

/// The swarm whose key this is.
///
/// # Errors
/// [`RecordError::Key`].
pub fn swarm_of(key: &[u8]) -> Result<SwarmName, RecordError> {
    text_of(key, SWARM_PREFIX)
}

/// The node whose key this is.
///
/// # Errors
/// [`RecordError::Key`].
pub fn node_of(key: &[u8]) -> Result<NodeName, RecordError> {
    text_of(key, NODE_PREFIX)
}

/// The cell whose key this is.
///
/// # Errors
/// [`RecordError::Key`].
pub fn cell_of(key: &[u8]) -> Result<CellId, RecordError> {
    let digits = key.strip_prefix(CELL_PREFIX).and_then(|digits| digits.try_into().ok());
    let cell = digits.map(u16::from_be_bytes).and_then(CellId::from_number);
    cell.ok_or_else(|| RecordError::Key { key: print(key) })
}

fn text_of<T: FromStr>(key: &[u8], prefix: &[u8]) -> Result<T, RecordError> {
    let text = key.strip_prefix(prefix).and_then(|text| std::str::from_utf8(text).ok());
    text.and_then(|text| text.parse().ok()).ok_or_else(|| RecordError::Key { key: print(key) })
}

/// A value as it is stored under `key`.
///
/// # Errors
/// [`RecordError::Form`] if the value has no text.
pub fn encode(key: &[u8], value: &impl Serialize) -> Result<Vec<u8>, RecordError> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, value)
        .map_err(|source| RecordError::Form { key: print(key), source })?;
    Ok(bytes)
}

/// Reads what was stored under `key`.
///
/// # Errors
/// [`RecordError`] says why not.
pub fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, RecordError> {
    match bytes.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json)
            .map_err(|source| RecordError::Form { key: print(key), source }),
        Some((&found, _)) => Err(RecordError::Version { key: print(key), found }),
        None => Err(RecordError::Key { key: print(key) }),
    }
}

fn print(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn keys_survive_their_bytes() {
        let name = AtSign::parse("@alice🛠").unwrap();
        assert_eq!(name_of(&name_key(&name)).unwrap(), name);
        assert_eq!(number_of(&change_key(0x0102_0304_0506_0708)).unwrap(), 0x0102_0304_0506_0708);
        let (cell, swarm) = (CellId::from_number(258).unwrap(), SwarmName::parse("eu-1").unwrap());
        assert_eq!(cell_key(cell), b"cell/\x01\x02");
        assert_eq!(cell_of(&cell_key(cell)).unwrap(), cell);
        assert_eq!(swarm_of(&swarm_key(&swarm)).unwrap(), swarm);
        let node = NodeName::parse("n1").unwrap();
        assert_eq!(node_of(&node_key(&node)).unwrap(), node);
        assert!(matches!(cell_of(b"cell/\0\0"), Err(RecordError::Key { .. })));
        assert!(change_key(9) < change_key(10) && change_key(255) < change_key(256));
    }

    #[test]
    fn foreign_keys_and_newer_formats_are_refused_by_name() {
        for key in [&b"name/ALICE"[..], b"name/", b"name/\xff", b"nme/alice"] {
            assert!(matches!(name_of(key), Err(RecordError::Key { .. })), "{key:?}");
        }
        assert!(matches!(number_of(b"change/123"), Err(RecordError::Key { .. })));
        let newer = decode::<Meta>(b"meta", b"\x02{}").unwrap_err();
        assert_eq!(newer.to_string(), "record 'meta' has format 2, this program reads up to 1");
        assert!(matches!(decode::<Meta>(b"meta", b"\x01{}"), Err(RecordError::Form { .. })));
        assert!(matches!(decode::<Meta>(b"meta", b""), Err(RecordError::Key { .. })));
    }

    #[test]
    fn a_change_survives_its_record() {
        let change = ChangeRecord {
            identity: AtSign::parse("@bob").unwrap(),
            left: Left::Gone,
            epoch: Epoch::FIRST,
        };
        let bytes = encode(b"change/1", &change).unwrap();
        assert_eq!(decode::<ChangeRecord>(b"change/1", &bytes).unwrap(), change);
    }
}
