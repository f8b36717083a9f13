//! Addresses: what is accepted survives its text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::Address;

fuzz_target!(|text: &str| {
    let Ok(address) = Address::parse(text) else { return };
    let text = address.to_string();
    assert_eq!(text.matches(':').count(), 1, "every client splits at the one colon");
    assert_eq!(Address::parse(&text), Ok(address));
});
