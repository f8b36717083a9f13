//! Hellos whole, in parts, in records, and broken.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

fn label() -> HostLabel {
    HostLabel::from_bytes([7; 16])
}

fn host() -> String {
    format!("{}.swarm.example", label())
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(content)].concat()
}

fn server_name_extension(name: &[u8]) -> Vec<u8> {
    extension(SERVER_NAME, &sized(&[&[HOST_NAME][..], &sized(name)].concat()))
}

/// A hello with these extensions, as one message without records.
fn message(extensions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([9; RANDOM_BYTES]);
    body.extend([2, 1, 1]);
    body.extend(sized(&[0x13, 1, 0x13, 2]));
    body.extend([1, 0]);
    body.extend(sized(extensions));
    let [_, length @ ..] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[CLIENT_HELLO][..], &length, &body].concat()
}

/// A message in records that end at these places.
fn in_records(message: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([message.len()]) {
        let part = &message[from..to];
        if !part.is_empty() {
            out.extend([HANDSHAKE, 3, 1]);
            out.extend(sized(part));
        }
        from = to;
    }
    out
}

fn asking_for(name: &[u8]) -> Vec<u8> {
    let before = extension(0x2b, &[2, 3, 4]);
    message(&[before, server_name_extension(name), extension(21, &[0; 40])].concat())
}

#[test]
fn the_label_is_found_as_soon_as_the_hello_is_whole_and_not_before() {
    let message = asking_for(host().as_bytes());
    for cuts in [vec![], vec![1], vec![2, 3], vec![4], vec![100], (1..message.len()).collect()] {
        let bytes = in_records(&message, &cuts);
        for count in 0..bytes.len() {
            assert_eq!(read_hello(&bytes[..count]), Hello::Incomplete, "{cuts:?} {count}");
        }
        assert_eq!(read_hello(&bytes), Hello::Label(label()), "{cuts:?}");
        // What comes after it, such as early data, is none of ours.
        let more = [&bytes[..], &[23, 3, 3, 0, 1, 0]].concat();
        assert_eq!(read_hello(&more), Hello::Label(label()), "{cuts:?}");
    }
}

#[test]
fn only_an_identitys_host_is_a_label() {
    let label = label().to_string();
    let named = |name: &str| read_hello(&in_records(&asking_for(name.as_bytes()), &[]));
    for name in [host(), host().to_uppercase(), format!("{label}.a")] {
        assert!(matches!(named(&name), Hello::Label(_)), "{name}");
    }
    let longer = format!("a{label}.swarm.example");
    for name in ["localhost", &label, &format!("{label}."), &format!("{label}.a."), &longer, "a b"]
    {
        assert_eq!(named(name), Hello::Other, "{name}");
    }
    for bare in [message(&[]), message(&extension(16, b"\x00\x03\x02h2"))] {
        assert_eq!(read_hello(&in_records(&bare, &[])), Hello::Other);
    }
}

#[test]
fn what_does_not_fit_together_is_malformed() {
    let whole = asking_for(host().as_bytes());
    let twice = [server_name_extension(b"a.b"), server_name_extension(b"a.b")].concat();
    let short_list = extension(SERVER_NAME, &[0, 4, HOST_NAME, 0, 3, b'a', b'.', b'b']);
    let other_kind = extension(SERVER_NAME, &[0, 6, 1, 0, 3, b'a', b'.', b'b']);
    let overlong = [&0x2b_u16.to_be_bytes()[..], &[0, 9, 1]].concat();
    let long_name = server_name_extension(&[b'a'; 254]);
    for bad in [twice, short_list, other_kind, overlong, long_name, server_name_extension(b"")] {
        assert_eq!(read_hello(&in_records(&message(&bad), &[])), Hello::Malformed, "{bad:?}");
    }
    let with = |at: usize, byte: u8| {
        let mut bytes = in_records(&whole, &[]);
        bytes[at] = byte;
        bytes
    };
    // The record's kind, version and length, the message's kind, its length and the session's.
    for (at, byte) in [(0, 23), (1, 2), (2, 5), (3, 0xff), (5, 2), (6, 1), (43, 33)] {
        assert_eq!(read_hello(&with(at, byte)), Hello::Malformed, "{at}");
    }
    for bad in [&b"GET / HTTP/1.1\r\n"[..], b"G", &[HANDSHAKE, 3, 1, 0, 0], b"@alice\n"] {
        assert_eq!(read_hello(bad), Hello::Malformed, "{bad:?}");
    }
    let mut followed = whole.clone();
    followed.push(0);
    assert_eq!(read_hello(&in_records(&followed, &[])), Hello::Malformed);
}

#[test]
fn a_hello_is_as_long_as_it_may_be_and_no_longer() {
    let padded = |bytes: usize| {
        let name = server_name_extension(host().as_bytes());
        let bare = in_records(&message(&[&name[..], &extension(21, &[])].concat()), &[]).len();
        let padding = extension(21, &vec![0; bytes - bare]);
        in_records(&message(&[name, padding].concat()), &[])
    };
    let longest = padded(HELLO_BYTES_MAX);
    assert_eq!(longest.len(), HELLO_BYTES_MAX);
    assert_eq!(read_hello(&longest), Hello::Label(label()));
    let longer = padded(HELLO_BYTES_MAX + 1);
    assert_eq!(read_hello(&longer), Hello::Malformed);
    assert_eq!(read_hello(&longer[..HELLO_BYTES_MAX]), Hello::Malformed);
}

#[test]
fn a_record_that_goes_on_behind_the_hello_is_refused_before_the_rest_has_come() {
    let message = asking_for(host().as_bytes());
    let mut bytes = in_records(&message, &[]);
    let length = u16::try_from(message.len() + 1).unwrap();
    bytes[3..5].copy_from_slice(&length.to_be_bytes());
    assert_eq!(read_hello(&bytes), Hello::Malformed);
    bytes.push(0);
    assert_eq!(read_hello(&bytes), Hello::Malformed);
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read_hello(&bytes);
        let _ = read_hello(&in_records(&bytes, &[]));
    }

    #[test]
    fn nor_does_a_hello_with_a_few_wrong_bytes(
        cuts in proptest::collection::btree_set(1_usize..150, 0..6),
        wrong in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let message = asking_for(host().as_bytes());
        let cuts: Vec<_> = cuts.into_iter().filter(|cut| *cut < message.len()).collect();
        let mut bytes = in_records(&message, &cuts);
        prop_assert_eq!(read_hello(&bytes), Hello::Label(label()));
        for (at, byte) in wrong {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let whole = read_hello(&bytes);
        // What was said of the beginning stays true, whatever follows.
        for count in 0..bytes.len() {
            let part = read_hello(&bytes[..count]);
            prop_assert!(part == Hello::Incomplete || part == whole, "{count}");
        }
    }
}
