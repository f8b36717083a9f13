//! The name of an identity's host below its swarm's domain: one label, the same for ever, that
//! nobody has to store and that does not tell whose it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::AtSign;

/// Letters and digits of a label: 128 bits, five in each.
pub const LABEL_CHARS: usize = 26;

/// What is hashed in front of the identity, so that the same bytes mean nothing elsewhere.
const DOMAIN: &[u8] = b"warren host label 1\0";

/// Base 32 (RFC 4648) in small letters, as DNS and certificates compare them.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The first 16 bytes of a hash of an identity. As text 26 letters and digits, which is a DNS label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostLabel([u8; 16]);

/// A text that is no label of an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an identity's label has {LABEL_CHARS} characters, each of a-z and 2-7")]
pub struct HostLabelError;

impl HostLabel {
    /// The label of an identity.
    #[must_use]
    pub fn of(name: &AtSign) -> Self {
        Self::of_bare(name.bare())
    }

    /// The same for the text of an identity without its `@`, as [`AtSign`] leaves it.
    #[must_use]
    pub fn of_bare(bare: &str) -> Self {
        let hash = Sha256::new().chain_update(DOMAIN).chain_update(bare).finalize();
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(hash).for_each(|(byte, hashed)| *byte = hashed);
        Self(bytes)
    }

    /// Reads a label, in letters of any size. There is one way to write each.
    #[must_use]
    pub fn read(label: &[u8]) -> Option<Self> {
        if label.len() != LABEL_CHARS {
            return None;
        }
        let (mut bytes, mut at, mut bits, mut held) = ([0; 16], 0, 0, 0_u16);
        for letter in label {
            held = held << 5 | digit(*letter)?;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                // What is above the lowest eight was taken before.
                *bytes.get_mut(at)? = (held >> bits & 0xff) as u8;
                at += 1;
            }
        }
        // Two bits are left over.
        (held & 0b11 == 0).then_some(Self(bytes))
    }

    /// Takes the 16 bytes of a label.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The letters and digits.
    #[must_use]
    pub fn chars(&self) -> [u8; LABEL_CHARS] {
        let number = u128::from_be_bytes(self.0);
        let mut chars = [0; LABEL_CHARS];
        for (at, char) in (1..).zip(&mut chars) {
            let shifted = match 128_u32.checked_sub(5 * at) {
                Some(below) => number >> below,
                None => number << 2,
            };
            *char = ALPHABET.get((shifted & 31) as usize).copied().unwrap_or_default();
        }
        chars
    }
}

fn digit(letter: u8) -> Option<u16> {
    match letter {
        b'a'..=b'z' => Some(u16::from(letter - b'a')),
        b'A'..=b'Z' => Some(u16::from(letter - b'A')),
        b'2'..=b'7' => Some(u16::from(letter - b'2') + 26),
        _ => None,
    }
}

impl fmt::Display for HostLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().iter().try_for_each(|char| fmt::Write::write_char(f, char::from(*char)))
    }
}

impl fmt::Debug for HostLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for HostLabel {
    type Err = HostLabelError;
    fn from_str(text: &str) -> Result<Self, HostLabelError> {
        Self::read(text.as_bytes()).ok_or(HostLabelError)
    }
}

impl TryFrom<String> for HostLabel {
    type Error = HostLabelError;
    fn try_from(text: String) -> Result<Self, HostLabelError> {
        text.parse()
    }
}

impl From<HostLabel> for String {
    fn from(label: HostLabel) -> Self {
        label.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_identity_has_one_label_for_ever() {
        let of = |name: &str| HostLabel::of(&AtSign::parse(name).unwrap()).to_string();
        // Addresses that were given out stand in clients' caches: these must never change.
        assert_eq!(of("@alice"), "zjmx6tekrkrj4ph727rzni6qza");
        assert_eq!(of("Alice"), of("@alice"));
        assert_ne!(of("@alice🛠"), of("@alice"));
    }

    #[test]
    fn only_what_is_written_is_read() {
        let zero = "a".repeat(26);
        assert_eq!(zero.parse(), Ok(HostLabel([0; 16])));
        assert_eq!(HostLabel([0xff; 16]).to_string(), format!("{}4", "7".repeat(25)));
        let no = [&zero[1..], &format!("{zero}a"), &format!("{}b", &zero[1..])];
        for bad in no.into_iter().chain(["", "1aaaaaaaaaaaaaaaaaaaaaaaaa"]) {
            assert_eq!(bad.parse::<HostLabel>(), Err(HostLabelError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_label_survives_its_text(bytes in any::<[u8; 16]>()) {
            let label = HostLabel::from_bytes(bytes);
            prop_assert_eq!(label.to_string().parse(), Ok(label));
            prop_assert_eq!(HostLabel::read(label.to_string().to_uppercase().as_bytes()), Some(label));
            prop_assert!(crate::HostName::parse(&label.to_string()).is_ok());
        }

        #[test]
        fn what_is_read_is_written_the_same_way(text in "[a-z2-7]{26}") {
            if let Ok(label) = text.parse::<HostLabel>() {
                prop_assert_eq!(label.to_string(), text);
            }
        }
    }
}
