//! Parsers take bytes of any origin.

use proptest::collection::vec;
use proptest::prelude::*;
use storage::format::{
    HEADER_BYTES, Op, Opening, Ops, RECORD_OVERHEAD_BYTES, RecordParse, parse_header, parse_record,
};

/// Bytes that get far: plausible first bytes, then anything.
fn tricky() -> impl Strategy<Value = Vec<u8>> {
    let front = prop_oneof![
        Just(Vec::new()),
        Just(b"wrnlog\r\n\x01\0\0\0".to_vec()),
        (0..200u32, 1..5u8).prop_map(|(length, kind)| {
            let mut front = length.to_le_bytes().to_vec();
            front.push(kind);
            front
        }),
        (1..4u8, 0..20u16).prop_map(|(tag, key)| {
            let mut front = vec![tag];
            front.extend(key.to_le_bytes());
            front
        }),
    ];
    (front, vec(any::<u8>(), 0..300)).prop_map(|(mut front, rest)| {
        front.extend(rest);
        front
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 5_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_record_is_never_larger_than_what_it_was_read_from(bytes in tricky()) {
        match parse_record(&bytes) {
            RecordParse::Done(head, sealed) => {
                let whole = head.body_bytes as usize + RECORD_OVERHEAD_BYTES;
                prop_assert!(whole <= bytes.len());
                prop_assert_eq!(&head.encode()[..], &bytes[..whole - sealed.len()]);
            }
            RecordParse::Incomplete(needs) => prop_assert!(needs > bytes.len()),
            RecordParse::Refused(_) => {}
        }
    }

    #[test]
    fn a_header_that_is_read_is_written_alike(bytes in tricky()) {
        if let Ok(header) = parse_header(&bytes) {
            prop_assert_eq!(&header.encode()[..], &bytes[..HEADER_BYTES]);
        }
    }

    #[test]
    fn changes_end_and_hold_no_more_than_they_were_read_from(bytes in tricky()) {
        let mut held = 0;
        for op in Ops::new(&bytes).flatten() {
            held += match op {
                Op::Put { key, value } | Op::Keep { key, value, .. } => key.len() + value.len(),
                Op::Delete { key } => key.len(),
            };
        }
        prop_assert!(held <= bytes.len());
        if let Some(opening) = Opening::parse(&bytes) {
            prop_assert_eq!(opening.encode(), bytes);
        }
    }
}
