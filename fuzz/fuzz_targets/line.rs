//! The line decoder: whole lines do not depend on how they are cut into reads, nothing beyond the
//! limit is held. The first byte of the input says how long the reads are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::line::LineDecoder;

const BYTES_MAX: usize = 64;

fuzz_target!(|data: &[u8]| {
    let Some((size, bytes)) = data.split_first() else { return };
    let in_pieces = decode(bytes.chunks(usize::from(*size).max(1)));
    let at_once = decode([bytes].into_iter());
    assert_eq!(full(&in_pieces), full(&at_once));
});

fn decode<'a>(reads: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut decoder = LineDecoder::new(BYTES_MAX);
    let mut lines = Vec::new();
    for read in reads {
        let is_ok = decoder.push(read).is_ok();
        assert!(decoder.pending_bytes() <= BYTES_MAX);
        assert!(!decoder.pending_exit() || decoder.pending_bytes() >= b"@exit".len());
        lines.extend(std::iter::from_fn(|| decoder.next_line()));
        if !is_ok {
            break;
        }
    }
    lines
}

/// Empty lines count by read, so they alone may differ.
fn full(lines: &[Vec<u8>]) -> Vec<&[u8]> {
    lines.iter().map(Vec::as_slice).filter(|line| !line.trim_ascii().is_empty()).collect()
}
