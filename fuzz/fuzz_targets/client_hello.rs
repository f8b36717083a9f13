//! The first bytes of a connection to the port of names: whatever they are, the answer for a part of
//! them is that more must come, or what is said of all of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use swarm_router::peek_hello::{Hello, read_hello};

/// The bytes as the contents of records, so that what is behind these is reached.
fn in_records(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for part in bytes.chunks(length.clamp(1, 1 << 14)) {
        out.extend([22, 3, 1]);
        out.extend((part.len() as u16).to_be_bytes());
        out.extend(part);
    }
    out
}

/// The same as one message whose length fits.
fn as_hello(bytes: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = (bytes.len() as u32).to_be_bytes();
    [&[1][..], &length, bytes].concat()
}

fn check(bytes: &[u8], cut: usize) {
    let whole = read_hello(bytes);
    let part = read_hello(&bytes[..cut % (bytes.len() + 1)]);
    assert!(part == Hello::Incomplete || part == whole);
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = (usize::from(input.0), input.1);
    check(bytes, cut);
    let hello = as_hello(bytes);
    // However it is cut into records, it says the same.
    let whole = read_hello(&in_records(&hello, usize::MAX));
    if hello.len() * 6 < 16 * 1024 {
        assert_eq!(read_hello(&in_records(&hello, 1 + cut % 64)), whole);
    }
    check(&in_records(&hello, 1 + cut % 512), cut);
});
