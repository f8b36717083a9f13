//! Segments of an atlas, as a snapshot brings them: whatever the bytes are, looking, checking, hashing
//! and proving end without a panic; and what passes the check says the same in every way.
#![no_main]

use std::sync::Arc;

use atlas::{Atlas, Segment};
use libfuzzer_sys::fuzz_target;
use protocol::AtSign;

fuzz_target!(|data: &[u8]| {
    let Ok(segment) = Segment::from_bytes(data.to_vec()) else { return };
    assert_eq!(segment.bytes(), data);
    let is_sound = segment.verify().is_ok();
    let Ok(atlas) = Atlas::new(vec![Arc::new(segment)]) else { return };
    for name in [&b""[..], b"alice", b"\xff", data] {
        let _ = atlas.find(name);
        let _ = atlas.prove(name);
    }
    let root = atlas.root();
    if !is_sound {
        return;
    }
    let root = root.expect("what is sound can be hashed");
    let mut rows = atlas.cursor();
    while let Some(row) = rows.next() {
        let row = row.expect("it was checked");
        let name = AtSign::parse(std::str::from_utf8(row.name).expect("checked")).expect("checked");
        let found = atlas.find(row.name).expect("it stands there");
        assert_eq!((found.address(), found.epoch), (row.place.address(), row.place.epoch));
        let proof = atlas.prove(row.name).expect("sound").expect("it stands there");
        assert_eq!(proof.check(&root, &name), Ok((row.place.address(), row.place.epoch)));
    }
});
