//! Batches and snapshots of a registrar's feed: what is read is read again from its own JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::control::feed::{Batch, Snapshot};
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|data: &[u8]| {
    check::<Batch>(data);
    check::<Snapshot>(data);
});

fn check<T: Serialize + DeserializeOwned + PartialEq>(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(data) else { return };
    let again = serde_json::to_vec(&value).ok().and_then(|json| serde_json::from_slice(&json).ok());
    assert!(again.as_ref() == Some(&value));
}
