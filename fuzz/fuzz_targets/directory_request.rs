//! Requests to the directory: bytes of any kind, through its line decoder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::directory::DirectoryRequest;
use protocol::limits::DIRECTORY_LINE_BYTES_MAX;
use protocol::line::LineDecoder;

fuzz_target!(|data: &[u8]| {
    let mut decoder = LineDecoder::new(DIRECTORY_LINE_BYTES_MAX);
    let _ = decoder.push(data);
    while let Some(line) = decoder.next_line() {
        assert!(line.len() <= DIRECTORY_LINE_BYTES_MAX);
        if let DirectoryRequest::Lookup(name) = DirectoryRequest::parse(&line) {
            let again = DirectoryRequest::lookup_line(&name);
            assert_eq!(DirectoryRequest::parse(&again), DirectoryRequest::Lookup(name));
        }
    }
});
