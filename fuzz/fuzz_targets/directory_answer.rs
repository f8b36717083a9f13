//! Answers of a directory: a hostile one gives an address, nothing, or is refused; and what is
//! found is found again in its normal form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::directory::{DirectoryAnswer, found, parse_directory_answer};

fuzz_target!(|data: &[u8]| {
    if let DirectoryAnswer::Found(address) = parse_directory_answer(data) {
        let again = parse_directory_answer(&found(&address));
        assert_eq!(again, DirectoryAnswer::Found(address));
    }
});
