//! Answers of another personal server: bytes of any kind, through the peer decoder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::AtSign;
use protocol::Timestamp;
use protocol::peer::{PeerDecoder, PeerLine, PolChallenge};
use protocol::record::Record;

fuzz_target!(|data: &[u8]| {
    let Ok(name) = AtSign::parse("alice") else { return };
    let mut peer = PeerDecoder::new(4_096);
    let _ = peer.push(data);
    while let Some(line) = peer.next_line() {
        if let PeerLine::Data(text) = line {
            let _ = Record::parse(&text, &name, Timestamp(0));
            if let Some(challenge) = PolChallenge::parse(&text) {
                assert!(!challenge.session.contains(['@', ':', ' ']));
            }
        }
    }
    assert!(!peer.is_prompted_as(&name) || peer.is_prompted());
});
