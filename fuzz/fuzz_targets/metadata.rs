//! Metadata: parts of a command (`name:value:name:value…`) and what is made of them, and records of
//! other servers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::record::Record;
use protocol::{AtSign, Metadata, MetadataPatch, Timestamp};

const NOW: Timestamp = Timestamp(1_727_786_096_789);

fuzz_target!(|text: &str| {
    let Ok(owner) = AtSign::parse("alice") else { return };
    let mut patch = MetadataPatch::default();
    let mut words = text.split(':');
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let _ = patch.take(name, value);
    }
    let created = Metadata::created(&owner, NOW, &patch);
    check(&created);
    check(&created.updated(NOW.plus_millis(1), &patch));
    if let Ok(record) = Record::parse(text, &owner, NOW) {
        check(&Metadata::created(&owner, NOW, &record.metadata.as_patch()));
    }
});

fn check(metadata: &Metadata) {
    let json = metadata.to_json();
    assert_eq!(serde_json::from_str::<Metadata>(&json).ok().as_ref(), Some(metadata));
    let _ = (metadata.is_active(NOW), metadata.is_expired(NOW), metadata.is_fresh(NOW));
}
