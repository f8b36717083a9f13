//! How a server's data are laid out in its store.
//!
//! A store's key is one letter for the table, then what the table is ordered by:
//!
//! | table | ordered by | value |
//! | --- | --- | --- |
//! | `k` | key name | [`Record`]: value, metadata, commit id |
//! | `t` | key name | commit id of its deletion |
//! | `l` | commit id, operation, key name | nothing (see [`commit_log`](crate::commit_log)) |
//! | `x` | key of another table | [`Span`]: only where it is not for ever |
//! | `a` | – | who came and what was looked up |
//! | `c` | – | the next commit id |
//! | `d` | – | the day when copies of others' keys were refreshed last |
//! | `n` | – | the date of the latest notification |
//! | `s` | notification id | a notification that the owner sent |
//! | `r` | notification id, NUL, sender | a notification that came |
//! | `q` | serial number, big-endian | a notification that waits to be delivered |
//!
//! Every value begins with the version of its layout. Table `l` has the latest change of each key,
//! written and removed in the same batch as the record itself or the mark of its deletion.

use protocol::{Metadata, Timestamp};

/// The first byte of every value.
const LAYOUT: u8 = 1;
/// Stands for "not committed".
const NO_COMMIT: u64 = u64::MAX;
/// The value of an entry whose key says all.
pub(crate) const NOTHING: &[u8] = &[LAYOUT];
/// The key of the only entry of table `c`.
pub(crate) const NEXT_COMMIT: &[u8] = b"c";
/// The key of the only entry of table `d`.
pub(crate) const REFRESHED_DAY: &[u8] = b"d";
/// The key of the only entry of table `a`.
pub(crate) const ACCESS_LOG: &[u8] = b"a";
/// The key of the only entry of table `n`.
pub(crate) const LAST_NOTIFIED: &[u8] = b"n";

/// The tables, named after what is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Live,
    Deleted,
    Log,
    Spans,
    Sent,
    Received,
    Queue,
}

/// What a commit changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// `+`: a value of the server's own.
    Value,
    /// `*`: value and metadata.
    All,
    /// `#`: metadata.
    Metadata,
}

/// A stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The id of the commit that wrote it; none if keys of this kind are not committed.
    pub(crate) commit: Option<u64>,
    /// What that commit changed.
    pub(crate) change: Change,
    pub(crate) metadata: Metadata,
    /// None where only metadata were written.
    pub(crate) value: Option<String>,
}

/// From when to when an entry is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) available_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A stored value that no version of this program wrote. The store has proved that nobody else
/// changed it, so this is a mistake of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored value cannot be read")]
pub(crate) struct Unreadable;

impl Table {
    fn letter(self) -> u8 {
        match self {
            Self::Live => b'k',
            Self::Deleted => b't',
            Self::Log => b'l',
            Self::Spans => b'x',
            Self::Sent => b's',
            Self::Received => b'r',
            Self::Queue => b'q',
        }
    }

    /// Whether its entries are notifications. Each of those has a span.
    pub(crate) fn holds_notifications(self) -> bool {
        matches!(self, Self::Sent | Self::Received)
    }

    /// The table and the name of an entry, by the store's key.
    pub(crate) fn of(key: &[u8]) -> Option<(Self, &[u8])> {
        let (letter, name) = key.split_first()?;
        let tables = [
            Self::Live,
            Self::Deleted,
            Self::Log,
            Self::Spans,
            Self::Sent,
            Self::Received,
            Self::Queue,
        ];
        tables.into_iter().find(|table| table.letter() == *letter).map(|table| (table, name))
    }

    /// The store's key of an entry, or the prefix of several.
    pub(crate) fn key(self, name: &[u8]) -> Vec<u8> {
        let mut key = Vec::with_capacity(1 + name.len());
        key.push(self.letter());
        key.extend_from_slice(name);
        key
    }
}

impl Change {
    pub(crate) fn symbol(self) -> u8 {
        match self {
            Self::Value => b'+',
            Self::All => b'*',
            Self::Metadata => b'#',
        }
    }

    pub(crate) fn from_symbol(symbol: u8) -> Result<Self, Unreadable> {
        [Self::Value, Self::All, Self::Metadata]
            .into_iter()
            .find(|change| change.symbol() == symbol)
            .ok_or(Unreadable)
    }
}

impl Record {
    /// Layout, change, whether there is a value, commit id, length of the metadata, metadata as
    /// JSON, value.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let metadata = self.metadata.to_json();
        let value = self.value.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(15 + metadata.len() + value.len());
        bytes.extend_from_slice(&[LAYOUT, self.change.symbol(), u8::from(self.value.is_some())]);
        bytes.extend_from_slice(&self.commit.unwrap_or(NO_COMMIT).to_be_bytes());
        // Metadata are bounded far below 4 GiB by the longest command.
        bytes.extend_from_slice(&u32::try_from(metadata.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(metadata.as_bytes());
        bytes.extend_from_slice(value.as_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (&[layout, change, has_value], rest) = bytes.split_first_chunk().ok_or(Unreadable)?;
        let (commit, rest) = rest.split_first_chunk().ok_or(Unreadable)?;
        let (length, rest) = rest.split_first_chunk().ok_or(Unreadable)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Unreadable)?;
        let (metadata, value) = rest.split_at_checked(length).ok_or(Unreadable)?;
        if layout != LAYOUT {
            return Err(Unreadable);
        }
        let commit = u64::from_be_bytes(*commit);
        let value = String::from_utf8(value.to_vec()).map_err(|_| Unreadable)?;
        Ok(Self {
            commit: (commit != NO_COMMIT).then_some(commit),
            change: Change::from_symbol(change)?,
            metadata: serde_json::from_slice(metadata).map_err(|_| Unreadable)?,
            value: (has_value == 1).then_some(value),
        })
    }

    /// Its span, if it has one.
    pub(crate) fn span(&self) -> Option<Span> {
        let Metadata { available_at, expires_at, .. } = self.metadata;
        let span = Span { available_at, expires_at };
        (available_at.is_some() || expires_at.is_some()).then_some(span)
    }
}

impl Span {
    /// Ends at this time.
    pub(crate) fn until(expires_at: Timestamp) -> Self {
        Self { available_at: None, expires_at: Some(expires_at) }
    }

    pub(crate) fn is_active(self, now: Timestamp) -> bool {
        self.available_at.is_none_or(|birth| birth <= now)
            && self.expires_at.is_none_or(|end| end >= now)
    }

    pub(crate) fn is_expired(self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end < now)
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let mut bytes = vec![LAYOUT];
        for time in [self.available_at, self.expires_at] {
            bytes.extend_from_slice(&time.map_or(i64::MIN, |time| time.0).to_be_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let time = |at: usize| {
            let digits = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(Unreadable)?;
            let millis = i64::from_be_bytes(*digits);
            Ok((millis != i64::MIN).then_some(Timestamp(millis)))
        };
        match bytes.first() {
            Some(&LAYOUT) => Ok(Self { available_at: time(1)?, expires_at: time(9)? }),
            _ => Err(Unreadable),
        }
    }
}

/// A number that is a value of its own.
pub(crate) fn encode_number(number: u64) -> Vec<u8> {
    let mut bytes = vec![LAYOUT];
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes
}

pub(crate) fn decode_number(bytes: &[u8]) -> Result<u64, Unreadable> {
    match bytes.split_first() {
        Some((&LAYOUT, digits)) => {
            digits.try_into().map(u64::from_be_bytes).map_err(|_| Unreadable)
        }
        _ => Err(Unreadable),
    }
}

/// A value that is JSON behind the version of its layout.
pub(crate) fn encode_json(value: &impl serde::Serialize) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = vec![LAYOUT];
    serde_json::to_writer(&mut bytes, value).map_err(|_| Unreadable)?;
    Ok(bytes)
}

pub(crate) fn decode_json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    match bytes.split_first() {
        Some((&LAYOUT, json)) => serde_json::from_slice(json).map_err(|_| Unreadable),
        _ => Err(Unreadable),
    }
}

/// A value that is JSON and a text beside it, which JSON would make longer.
pub(crate) fn encode_with_value(
    head: &impl serde::Serialize,
    value: Option<&str>,
) -> Result<Vec<u8>, Unreadable> {
    let head = serde_json::to_vec(head).map_err(|_| Unreadable)?;
    let text = value.unwrap_or_default();
    let mut bytes = Vec::with_capacity(6 + head.len() + text.len());
    bytes.extend_from_slice(&[LAYOUT, u8::from(value.is_some())]);
    bytes.extend_from_slice(&u32::try_from(head.len()).map_err(|_| Unreadable)?.to_be_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(text.as_bytes());
    Ok(bytes)
}

pub(crate) fn decode_with_value<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
) -> Result<(T, Option<String>), Unreadable> {
    let (&[LAYOUT, has_value], rest) = bytes.split_first_chunk().ok_or(Unreadable)? else {
        return Err(Unreadable);
    };
    let (length, rest) = rest.split_first_chunk().ok_or(Unreadable)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Unreadable)?;
    let (head, text) = rest.split_at_checked(length).ok_or(Unreadable)?;
    let head = serde_json::from_slice(head).map_err(|_| Unreadable)?;
    let text = String::from_utf8(text.to_vec()).map_err(|_| Unreadable)?;
    Ok((head, (has_value == 1).then_some(text)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use protocol::{AtSign, MetadataPatch, Patch};

    use super::*;

    fn record() -> Record {
        let patch = MetadataPatch {
            ttl: Some(60_000),
            ttb: Some(10),
            ttr: Some(-1),
            ccd: Some(true),
            iv_nonce: Some(Patch::Set("AAAA".to_owned())),
            ..MetadataPatch::default()
        };
        let alice = AtSign::parse("@alice").unwrap();
        Record {
            commit: Some(7),
            change: Change::All,
            metadata: Metadata::created(&alice, Timestamp(1_727_786_096_789), &patch),
            value: Some("日本 🦄 \"x\"".to_owned()),
        }
    }

    #[test]
    fn a_record_survives_its_bytes() {
        let whole = record();
        assert_eq!(Record::decode(&whole.encode()), Ok(whole.clone()));
        let bare = Record { commit: None, change: Change::Metadata, value: None, ..whole.clone() };
        assert_eq!(Record::decode(&bare.encode()), Ok(bare));
        let empty = Record { value: Some(String::new()), ..whole };
        assert_eq!(Record::decode(&empty.encode()), Ok(empty));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let bytes = record().encode();
        for cut in 0..15 {
            assert_eq!(Record::decode(&bytes[..cut]), Err(Unreadable), "{cut} bytes");
        }
        let mut other_layout = bytes.clone();
        other_layout[0] = 2;
        assert_eq!(Record::decode(&other_layout), Err(Unreadable));
        let mut other_change = bytes;
        other_change[1] = b'-';
        assert_eq!(Record::decode(&other_change), Err(Unreadable));
    }

    #[test]
    fn a_span_and_a_number_survive_their_bytes() {
        for span in [
            Span { available_at: None, expires_at: Some(Timestamp(-5)) },
            Span { available_at: Some(Timestamp(3)), expires_at: None },
        ] {
            assert_eq!(Span::decode(&span.encode()), Ok(span));
        }
        assert_eq!(Span::decode(&[1, 2]), Err(Unreadable));
        assert_eq!(decode_number(&encode_number(u64::MAX)), Ok(u64::MAX));
        assert_eq!(decode_number(&[]), Err(Unreadable));
        assert_eq!(decode_number(&[2, 0, 0, 0, 0, 0, 0, 0, 0]), Err(Unreadable));
    }

    #[test]
    fn a_span_ends_after_its_last_millisecond() {
        let span = Span { available_at: Some(Timestamp(10)), expires_at: Some(Timestamp(20)) };
        let active: Vec<_> = (8..23).filter(|now| span.is_active(Timestamp(*now))).collect();
        assert_eq!(active, (10..=20).collect::<Vec<_>>());
        assert!(!span.is_expired(Timestamp(20)) && span.is_expired(Timestamp(21)));
    }
}
