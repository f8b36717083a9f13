//! What a router says to a cell before a client's own bytes: whatever comes in, at most one preface's
//! bytes are taken, and nothing counts that the key has not signed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use net::limits::PREFACE_BYTES_MAX;
use net::preface::{self, LinkKey, Preface, PrefaceError};
use protocol::Timestamp;
use ring::hmac;
use tokio::runtime::{Builder, Runtime};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const KEY: &str = "a key that two machines have, and nobody else";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().unwrap());
static LINK_KEY: LazyLock<LinkKey> = LazyLock::new(|| LinkKey::parse(KEY).unwrap());

fn read(mut bytes: &[u8]) -> Result<Preface, PrefaceError> {
    let before = bytes.len();
    let read = RUNTIME.block_on(preface::read(&mut bytes, &LINK_KEY, NOW));
    assert!(before - bytes.len() <= PREFACE_BYTES_MAX);
    read
}

/// The same with a fitting length and a MAC, so that what is behind these is reached.
fn signed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(length) = (bytes.len() + 32).checked_sub(16)
        && let Some(field) = bytes.get_mut(14..16)
    {
        field.copy_from_slice(&(length as u16).to_be_bytes());
    }
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes()), &bytes);
    bytes.extend(mac.as_ref());
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    let _ = read(bytes);
    if let Ok(preface) = read(&signed(bytes)) {
        let again = read(&preface::write(&preface, &LINK_KEY, NOW)).expect("one of ours");
        assert_eq!(again.volume, preface.volume);
        assert_eq!(again.client.ip(), preface.client.ip().to_canonical());
    }
});
