//! Names: what is accepted is normal, and stays what it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::AtSign;
use protocol::name::NAME_BYTES_MAX;

fuzz_target!(|text: &str| {
    let Ok(name) = AtSign::parse(text) else { return };
    assert!((1..=NAME_BYTES_MAX).contains(&name.bare().len()));
    assert!(!name.bare().contains(|c: char| c == '@' || c == '.' || c == ':' || c.is_whitespace()));
    assert_eq!(AtSign::parse(name.bare()).as_ref(), Ok(&name));
    assert_eq!(AtSign::parse(&name.to_string()).as_ref(), Ok(&name));
    let _ = name.can_own_keys();
});
