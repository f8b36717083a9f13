//! Identities as DNS labels, and back: the two pure functions of `docs/dns.md`.
//!
//! A name of small letters, digits and inner hyphens that fits one label stands as it is. Every
//! other name is written with Bootstring (RFC 3492): its letters and digits stay readable, the rest
//! goes in front of them as digits of base 36. That text is cut into at most [`PIECES_MAX`] labels,
//! and the last label, next to the zone, begins with `u`, their number and a hyphen.
//!
//! Not `xn--`: software that knows about internationalised names would drop or change characters
//! behind the user's back, and ask for somebody else.

mod bootstring;
mod labels;
mod text;

use std::str;

use crate::AtSign;

pub use self::labels::Labels;

/// Labels that one name takes at most.
pub const PIECES_MAX: usize = 4;
/// Letters and digits of the encoded text in one label: with the mark they fit in 63.
const PIECE_BYTES_MAX: usize = 60;
/// Bytes of a label (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;
/// Stands for the digits where there are none; as digits it would be half a number.
const NO_DIGITS: &str = "0";

/// What the labels in front of a zone say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// This name, in the last so many labels.
    Name(AtSign, usize),
    /// The last labels of names that have more of them: there may be something below.
    Part,
    /// No name at all.
    Nothing,
}

/// The labels of a name, in the order in which they are written in front of the zone; none for a
/// name so long that no DNS name could hold it.
#[must_use]
pub fn encode(name: &AtSign) -> Option<Vec<String>> {
    let labels = Labels::of(name.bare())?;
    Some(labels.as_str().split('.').map(str::to_owned).collect())
}

/// Reads the name that the labels in front of a zone end with. They must be in small letters.
#[must_use]
pub fn decode(labels: &[&[u8]]) -> Decoded {
    let Some(last) = labels.last().and_then(|label| str::from_utf8(label).ok()) else {
        return Decoded::Nothing;
    };
    if is_plain(last) {
        return AtSign::parse(last).map_or(Decoded::Nothing, |name| Decoded::Name(name, 1));
    }
    let Some((count, piece)) = marked(last) else { return Decoded::Nothing };
    let Some(others) = labels.len().checked_sub(count) else { return Decoded::Part };
    let taken = labels.get(others..).unwrap_or_default();
    let mut text = String::new();
    for label in taken.iter().take(count - 1) {
        let Ok(label) = str::from_utf8(label) else { return Decoded::Nothing };
        text.push_str(label);
    }
    text.push_str(piece);
    match read(&text) {
        // Only the one way of writing a name is read.
        Some(name) if is_written(&name, taken) => Decoded::Name(name, count),
        _ => Decoded::Nothing,
    }
}

/// Whether a name stands as it is.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_hyphen = |byte: Option<&u8>| byte == Some(&b'-');
    (1..=LABEL_BYTES_MAX).contains(&bytes.len())
        && bytes.iter().all(|byte| bootstring::is_basic(char::from(*byte)) || *byte == b'-')
        && !is_hyphen(bytes.first())
        && !is_hyphen(bytes.last())
        // Reserved for `xn--` and its like (RFC 5890).
        && !(is_hyphen(bytes.get(2)) && is_hyphen(bytes.get(3)))
        && marked(text).is_none()
}

/// The number and the rest of a label that has the mark.
fn marked(label: &str) -> Option<(usize, &str)> {
    let (mark, piece) = label.split_once('-')?;
    let digit = mark.strip_prefix('u').filter(|digit| digit.len() == 1)?;
    let count = digit.parse().ok().filter(|count| (1..=PIECES_MAX).contains(count))?;
    Some((count, piece))
}

fn read(text: &str) -> Option<AtSign> {
    let (digits, basic) = text.split_once('-').unwrap_or((text, ""));
    let digits = if digits == NO_DIGITS { "" } else { digits };
    AtSign::parse(&bootstring::decode(digits, basic)?).ok()
}

fn is_written(name: &AtSign, labels: &[&[u8]]) -> bool {
    Labels::of(name.bare()).is_some_and(|written| {
        written.as_str().split('.').map(str::as_bytes).eq(labels.iter().copied())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::name::OWNER_CHARS_MAX;
    use proptest::prelude::*;

    fn labels_of(name: &str) -> Vec<String> {
        encode(&AtSign::parse(name).unwrap()).unwrap()
    }

    fn back(labels: &[String]) -> Decoded {
        let labels: Vec<_> = labels.iter().map(String::as_bytes).collect();
        decode(&labels)
    }

    #[track_caller]
    fn survives(name: &str) -> Vec<String> {
        let name = AtSign::parse(name).unwrap();
        let labels = encode(&name).unwrap();
        for label in &labels {
            assert!((1..=63).contains(&label.len()), "{labels:?}");
            assert!(
                label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            );
            assert!(!label.starts_with('-') && !label.ends_with('-'), "{labels:?}");
            assert!(label.get(2..4) != Some("--"), "{labels:?}");
        }
        assert_eq!(back(&labels), Decoded::Name(name, labels.len()));
        labels
    }

    /// Bytes of the labels on the wire.
    fn wire_bytes(labels: &[String]) -> usize {
        labels.iter().map(|label| 1 + label.len()).sum()
    }

    #[test]
    fn ordinary_names_stand_as_they_are() {
        for name in ["alice", "al-ice", "4711", "u-haul", "u5-x", "u12-x", "u", &"a".repeat(63)] {
            assert_eq!(survives(name), [name]);
        }
    }

    #[test]
    fn everything_else_is_written_in_one_way() {
        let names = ["alice🛠", "alice_bob", "_tcp", "🦄", "-", "xn--a", "u1-a", "ürümqi"];
        let labels = names.map(|name| survives(name).join("."));
        let wanted = "u1-yn44d-alice u1-mqa-alicebob u1-hha-tcp u1-uv9h u1-na u1-tbaa-xna u1-tba-u1a u1-p5ab-rmqi";
        assert_eq!(labels.join(" "), wanted);
        assert_eq!(survives(&"a".repeat(64)).len(), 2);
        assert_eq!(survives(&format!("{}_", "a".repeat(57))).len(), 2);
    }

    #[test]
    fn who_can_own_keys_has_room_in_front_of_any_zone() {
        let worst = ["\u{2000}", "\u{3300}", "\u{1f000}", "\u{1fbff}", "\u{a9}", "_", "🛠\u{fe0f}"];
        for one in worst {
            let name: String = one.chars().cycle().take(OWNER_CHARS_MAX).collect();
            if AtSign::parse(&name).is_ok() {
                assert!(wire_bytes(&survives(&name)) <= 200);
            }
        }
    }

    #[test]
    fn no_name_has_a_second_way_of_being_written() {
        let nothing: [&[&[u8]]; 12] = [
            &[],
            &[b""],
            &[b"u1-"],
            &[b"u1-0-alice"],
            &[b"u1-0"],
            &[b"u1--alice"],
            &[b"u2-34j-alice", b"u1-xp"],
            &[b"xp", b"u2-34j-alice"],
            &[b"-alice"],
            &[b"Alice"],
            &[b"xn--alice-q0a"],
            &[b"al\xffice"],
        ];
        for labels in nothing {
            assert_eq!(decode(labels), Decoded::Nothing, "{labels:?}");
        }
        assert_eq!(decode(&[b"u2-a"]), Decoded::Part);
        assert_eq!(decode(&[b"b", b"u3-a"]), Decoded::Part);
    }

    #[test]
    fn labels_in_front_of_the_name_are_left_over() {
        let alice = AtSign::parse("alice").unwrap();
        assert_eq!(decode(&[b"_atproto", b"_tcp", b"alice"]), Decoded::Name(alice, 1));
        let mut labels = labels_of(&"a".repeat(64));
        labels.insert(0, "_tcp".to_owned());
        assert!(matches!(back(&labels), Decoded::Name(_, 2)));
    }

    fn owner() -> impl Strategy<Value = String> {
        let letter = prop_oneof![
            3 => proptest::char::range('a', 'z'),
            1 => Just('_'), 1 => Just('-'), 1 => proptest::char::range('0', '9'),
            4 => proptest::char::range('\u{1f000}', '\u{1fbff}'),
            2 => proptest::char::range('\u{2000}', '\u{3300}'),
            1 => proptest::char::range('\u{fe00}', '\u{fe0f}'),
        ];
        proptest::collection::vec(letter, 1..=OWNER_CHARS_MAX).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_name(text in owner()) {
            if let Ok(name) = AtSign::parse(&text) {
                let labels = survives(name.bare());
                prop_assert!(wire_bytes(&labels) <= 200, "{labels:?}");
            }
        }

        #[test]
        fn and_so_it_is_for_any_text(text in "\\PC{1,60}") {
            if let Ok(name) = AtSign::parse(&text)
                && encode(&name).is_some()
            {
                survives(name.bare());
            }
        }

        #[test]
        fn what_is_read_is_written_the_same_way(
            labels in proptest::collection::vec("(u[1-4]-)?[a-z0-9]{0,12}(-[a-z0-9]{0,8})?", 1..4)
        ) {
            if let Decoded::Name(name, count) = back(&labels) {
                prop_assert_eq!(&encode(&name).unwrap()[..], &labels[labels.len() - count..]);
            }
        }
    }
}
