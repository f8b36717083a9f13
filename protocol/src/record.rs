//! Key, value and metadata together: what `lookup:all` answers (protocol notes 5.5, 5.6).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{AtSign, Metadata, Timestamp};

/// What another server told about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key as the other has it.
    pub key: String,
    /// The value; a record without one is possible.
    pub data: Option<String>,
    /// The metadata; who and when are filled in where the other left them out.
    pub metadata: Metadata,
}

/// An answer that is not such a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other server's record cannot be read")]
pub struct RecordError;

/// The answer to `all`, compact, in the order that clients know.
#[must_use]
pub fn to_json(key: &str, data: Option<&str>, metadata: &Metadata) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire<'a> {
        key: &'a str,
        // Present even if null: clients read it unconditionally.
        data: Option<&'a str>,
        meta_data: &'a Metadata,
    }
    // A struct of texts and metadata always serialises.
    serde_json::to_string(&Wire { key, data, meta_data: metadata }).unwrap_or_default()
}

impl Record {
    /// Reads the answer of `owner`'s server to `lookup:all`. Members that we do not know are
    /// ignored, so that a newer server can be read.
    ///
    /// # Errors
    /// [`RecordError`] where it is not JSON, or not such an object.
    pub fn parse(json: &str, owner: &AtSign, now: Timestamp) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            key: String,
            data: Option<String>,
            meta_data: Option<Map<String, Value>>,
        }
        let wire: Wire = serde_json::from_str(json).map_err(|_| RecordError)?;
        let metadata = metadata(wire.meta_data.unwrap_or_default(), owner, now)?;
        Ok(Self { key: wire.key, data: wire.data, metadata })
    }
}

fn metadata(
    mut members: Map<String, Value>,
    owner: &AtSign,
    now: Timestamp,
) -> Result<Metadata, RecordError> {
    let owner = Value::String(owner.to_string());
    let now = Value::String(now.to_string());
    for (name, default) in
        [("createdBy", &owner), ("updatedBy", &owner), ("createdAt", &now), ("updatedAt", &now)]
    {
        if members.get(name).is_none_or(Value::is_null) {
            members.insert(name.to_owned(), default.clone());
        }
    }
    members.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(members)).map_err(|_| RecordError)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::MetadataPatch;

    const NOW: Timestamp = Timestamp(1_727_786_096_789);

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let bob = AtSign::parse("bob").unwrap();
        let patch = MetadataPatch { ttr: Some(60), ..MetadataPatch::default() };
        let metadata = Metadata::created(&bob, NOW, &patch);
        for data in [Some("a \"b\" 🛠 data:x"), None] {
            let json = to_json("@alice:phone.wavi@bob", data, &metadata);
            let record = Record::parse(&json, &bob, Timestamp(0)).unwrap();
            assert_eq!(record.key, "@alice:phone.wavi@bob");
            assert_eq!((record.data.as_deref(), &record.metadata), (data, &metadata));
        }
    }

    #[test]
    fn clients_get_the_members_in_the_order_that_they_know() {
        let metadata = Metadata::internal(&AtSign::parse("alice").unwrap(), NOW);
        let json = to_json("phone.wavi@alice", Some("+1/é"), &metadata);
        let start = "{\"key\":\"phone.wavi@alice\",\"data\":\"+1/é\",\"metaData\":{\"createdBy\":";
        assert!(json.starts_with(start), "{json}");
    }

    #[test]
    fn what_another_server_leaves_out_is_filled_in_and_what_it_adds_is_ignored() {
        let bob = AtSign::parse("bob").unwrap();
        let json = "{\"key\":\"public:x@bob\",\"data\":\"v\",\"new\":1,\"metaData\":{\
                    \"createdBy\":null,\"createdAt\":\"2024-10-01 12:34:56.789123Z\",\
                    \"availableAt\":\"null\",\"status\":\"odd\",\"version\":3,\"ttl\":5,\
                    \"immutable\":true,\"isBinary\":null}}";
        let metadata = Record::parse(json, &bob, Timestamp(7)).unwrap().metadata;
        assert_eq!((&metadata.created_by, metadata.created_at), (&bob, NOW));
        assert_eq!((&metadata.updated_by, metadata.updated_at), (&bob, Timestamp(7)));
        assert_eq!((metadata.version, metadata.ttl, metadata.available_at), (3, Some(5), None));
        let bare = "{\"key\":\"x@bob\",\"data\":null,\"metaData\":{\"version\":null,\"ttl\":null}}";
        let bare = Record::parse(bare, &bob, NOW).unwrap();
        assert_eq!(bare.metadata, Metadata::internal(&bob, NOW));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let bob = AtSign::parse("bob").unwrap();
        for json in
            ["", "null", "[]", "{}", "{\"key\":1}", "{\"key\":\"x\",\"metaData\":{\"ttl\":\"x\"}}"]
        {
            assert_eq!(Record::parse(json, &bob, NOW), Err(RecordError), "{json}");
        }
    }
}
