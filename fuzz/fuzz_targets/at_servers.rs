//! Lists and `atServers` files, from which a directory is taken over: what was read and is written as
//! a list is read again as the same.
#![no_main]

use atlas::Atlas;
use directory::import::{Format, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for format in [None, Some(Format::Tsv), Some(Format::AtServers)] {
        // Unless it is a dump.
        let Ok(survey) = read(data, format) else { continue };
        let (atlas, _) = survey.finish(true).expect("it is small");
        let list = written(&atlas);
        let again = read(list.as_bytes(), Some(Format::Tsv)).expect("memory can be read");
        let (again, bad) = again.finish(false).expect("every row is good");
        assert!(bad.is_none());
        assert_eq!(again.segments(), atlas.segments());
    }
});

fn written(atlas: &Atlas) -> String {
    let mut list = String::new();
    let mut rows = atlas.cursor();
    while let Some(row) = rows.next() {
        let row = row.expect("it was just packed");
        let name = std::str::from_utf8(row.name).expect("names are text");
        list.push_str(&format!("{name}\t{}\n", row.place.address()));
    }
    list
}
