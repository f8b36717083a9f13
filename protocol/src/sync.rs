//! One entry of the commit log as `sync:from` tells it (protocol notes 5.11).

use serde::Serialize;
use serde_json::{Map, Value};

use crate::Metadata;

/// The latest change of one key.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncEntry<'a> {
    /// Which.
    pub at_key: &'a str,
    /// Its value; none if it was deleted, or never had one.
    pub value: Option<&'a str>,
    /// What is known about it; none if it was deleted. All numbers are texts here.
    #[serde(serialize_with = "as_texts")]
    pub metadata: Option<&'a Metadata>,
    /// The id of the change.
    pub commit_id: u64,
    /// `+`, `*`, `#` or `-`.
    pub operation: char,
}

impl SyncEntry<'_> {
    /// Its JSON, compact.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A struct of texts, numbers and metadata always serialises.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn as_texts<S: serde::Serializer>(
    metadata: &Option<&Metadata>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let texts =
        metadata.map(serde_json::to_value).transpose().map_err(serde::ser::Error::custom)?;
    texts.map(texts_of).serialize(serializer)
}

fn texts_of(metadata: Value) -> Map<String, Value> {
    let Value::Object(members) = metadata else { return Map::new() };
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    members.into_iter().map(|(name, value)| (name, Value::String(text(value)))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{AtSign, MetadataPatch, Timestamp};

    #[test]
    fn s154_s155_metadata_are_texts_and_a_deletion_has_none() {
        let alice = AtSign::parse("@alice").unwrap();
        let patch = MetadataPatch { ttr: Some(-1), ccd: Some(true), ..MetadataPatch::default() };
        let metadata = Metadata::created(&alice, Timestamp(1_727_786_096_789), &patch);
        let entry = SyncEntry {
            at_key: "phone.wavi@alice",
            value: Some("a \"b\" 🦄"),
            metadata: Some(&metadata),
            commit_id: 7,
            operation: '*',
        };
        assert_eq!(
            entry.to_json(),
            concat!(
                r#"{"atKey":"phone.wavi@alice","value":"a \"b\" 🦄","metadata":{"#,
                r#""createdBy":"@alice","updatedBy":"@alice","#,
                r#""createdAt":"2024-10-01 12:34:56.789Z","updatedAt":"2024-10-01 12:34:56.789Z","#,
                r#""status":"active","version":"0","ttr":"-1","ccd":"true","#,
                r#""isBinary":"false","isEncrypted":"false"},"commitId":7,"operation":"*"}"#,
            )
        );
        let gone = SyncEntry { value: None, metadata: None, operation: '-', ..entry };
        assert_eq!(
            gone.to_json(),
            r#"{"atKey":"phone.wavi@alice","value":null,"metadata":null,"commitId":7,"operation":"-"}"#
        );
    }
}
