//! What lies on a volume: headers, records and the bodies of records, whatever a disk gives back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storage::format::{Opening, Ops, RecordParse, parse_header, parse_record};

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_header(bytes);
    let _ = Opening::parse(bytes);
    assert!(Ops::new(bytes).count() <= bytes.len(), "an entry takes at least a byte");
    match parse_record(bytes) {
        RecordParse::Done(_, sealed) => assert!(sealed.len() <= bytes.len()),
        RecordParse::Incomplete(needed) => assert!(needed > bytes.len(), "more than there is"),
        RecordParse::Refused(_) => {}
    }
});
