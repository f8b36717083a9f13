//! Dumps of Redis, from which a directory is taken over: whatever the bytes are, reading them ends
//! without a panic, and what was read can be packed.
#![no_main]

use directory::import::{Format, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(survey) = read(data, Some(Format::Rdb)) else { return };
    let (atlas, _) = survey.finish(true).expect("it is small");
    for segment in atlas.segments() {
        segment.verify().expect("it was just packed");
    }
});
