//! Names as DNS labels: each name has labels of its own, and labels at most one name.
#![no_main]

use directory::dns::name::{Decoded, PIECES_MAX, decode, encode};
use libfuzzer_sys::fuzz_target;
use protocol::AtSign;

fuzz_target!(|bytes: &[u8]| {
    if let Some(name) = std::str::from_utf8(bytes).ok().and_then(|text| AtSign::parse(text).ok()) {
        there_and_back(&name);
    }
    let labels: Vec<&[u8]> = bytes.split(|byte| *byte == b'.').collect();
    if let Decoded::Name(name, count) = decode(&labels) {
        let written = encode(&name).expect("it was just read");
        let read = &labels[labels.len() - count..];
        assert!(written.iter().map(String::as_bytes).eq(read.iter().copied()));
    }
});

fn there_and_back(name: &AtSign) {
    let Some(labels) = encode(name) else {
        assert!(!name.can_own_keys(), "who owns keys is found");
        return;
    };
    assert!((1..=PIECES_MAX).contains(&labels.len()));
    for label in &labels {
        assert!((1..=63).contains(&label.len()));
        let is_hyphen = |at: usize| label.as_bytes().get(at) == Some(&b'-');
        assert!(!is_hyphen(0) && !is_hyphen(label.len() - 1) && !(is_hyphen(2) && is_hyphen(3)));
        assert!(label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')));
    }
    if name.can_own_keys() {
        assert!(labels.iter().map(|label| 1 + label.len()).sum::<usize>() <= 200);
    }
    let read: Vec<&[u8]> = labels.iter().map(String::as_bytes).collect();
    assert_eq!(decode(&read), Decoded::Name(name.clone(), labels.len()));
}
