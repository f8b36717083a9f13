//! The name of an identity: an atSign.
//!
//! Normalisation follows the protocol notes, section 1.4. It is done once, here; everything else compares
//! bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name in bytes, without the `@`: the directory's line of 255 must hold it.
pub const NAME_BYTES_MAX: usize = 240;

/// Longest atSign, in characters, that the key grammar admits as owner of a key.
pub const OWNER_CHARS_MAX: usize = 55;

/// A normalised atSign, held without its leading `@`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AtSign(Box<str>);

/// Why a text is not an atSign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing is left after the `@`.
    #[error("an atSign needs at least one character after the @")]
    Empty,
    /// More than [`NAME_BYTES_MAX`] bytes.
    #[error("an atSign has at most {NAME_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// A second `@`.
    #[error("invalid @sign: Cannot Contain more than one @ character")]
    SecondAt,
    /// One of the characters that no atSign may contain.
    #[error("an atSign cannot contain the character U+{:04X}", u32::from(*.0))]
    Forbidden(char),
}

impl AtSign {
    /// Parses and normalises; the leading `@` is optional.
    ///
    /// # Errors
    /// [`NameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bare = text.strip_prefix('@').unwrap_or(text);
        if bare.len() > 2 * NAME_BYTES_MAX {
            return Err(NameError::TooLong(bare.len()));
        }
        // Most names are normalised already, and need no look at Unicode's tables.
        if (1..=NAME_BYTES_MAX).contains(&bare.len()) && bare.bytes().all(is_plain) {
            return Ok(Self(bare.into()));
        }
        let mut name = String::with_capacity(bare.len());
        for c in bare.chars().flat_map(char::to_lowercase) {
            match c {
                '.' => {}
                '@' => return Err(NameError::SecondAt),
                c if is_forbidden(c) => return Err(NameError::Forbidden(c)),
                c => name.push(c),
            }
        }
        match name.len() {
            0 => Err(NameError::Empty),
            n if n > NAME_BYTES_MAX => Err(NameError::TooLong(n)),
            _ => Ok(Self(name.into())),
        }
    }

    /// The name without `@`, as the directory writes it.
    #[must_use]
    pub fn bare(&self) -> &str {
        &self.0
    }

    /// Whether keys can be written under this name (protocol notes 6.2): the directory admits more names
    /// than the key grammar does.
    #[must_use]
    pub fn can_own_keys(&self) -> bool {
        self.0.chars().all(is_owner_char) && self.0.chars().count() <= OWNER_CHARS_MAX
    }
}

/// Whether the key grammar admits `c` in an atSign: `[\w\-]` or emoji.
#[must_use]
pub fn is_owner_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-' || is_emoji(c)
}

/// The emoji ranges of the key grammar (protocol notes 6.2), as code points.
#[must_use]
pub fn is_emoji(c: char) -> bool {
    matches!(u32::from(c),
        0xA9 | 0xAE | 0x2000..=0x3300 | 0xFE00..=0xFE0F | 0x1_F000..=0x1_FBFF)
}

/// Letters and digits that normalising leaves as they are, and nothing else.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn is_forbidden(c: char) -> bool {
    const PUNCTUATION: &str = "!*'`();:&=+$,/?#[]{}";
    let code = u32::from(c);
    PUNCTUATION.contains(c)
        || c.is_control()
        || c.is_whitespace()
        || matches!(code, 0x2400..=0x241F | 0x2421 | 0x2424 | 0x2425)
}

impl fmt::Display for AtSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

impl fmt::Debug for AtSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AtSign {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for AtSign {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<AtSign> for String {
    fn from(name: AtSign) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_once() {
        for (text, bare) in [
            ("@alice", "alice"),
            ("ALICE", "alice"),
            ("@al.ice", "alice"),
            ("alice🛠", "alice🛠"),
            ("alice🛠\u{fe0f}", "alice🛠\u{fe0f}"),
            ("@Ürümqi", "ürümqi"),
        ] {
            assert_eq!(AtSign::parse(text).map(|n| n.bare().to_owned()), Ok(bare.to_owned()));
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", NameError::Empty),
            ("@", NameError::Empty),
            ("@...", NameError::Empty),
            ("@a@b", NameError::SecondAt),
            ("a b", NameError::Forbidden(' ')),
            ("a\u{3000}b", NameError::Forbidden('\u{3000}')),
            ("a\u{2424}", NameError::Forbidden('\u{2424}')),
            ("a:b", NameError::Forbidden(':')),
            ("a\n", NameError::Forbidden('\n')),
        ] {
            assert_eq!(AtSign::parse(text), Err(reason), "{text:?}");
        }
        assert_eq!(AtSign::parse(&"a".repeat(241)), Err(NameError::TooLong(241)));
    }

    #[test]
    fn only_names_of_the_narrow_set_can_own_keys() {
        assert!(AtSign::parse("alice🛠").is_ok_and(|n| n.can_own_keys()));
        assert!(AtSign::parse("ürümqi").is_ok_and(|n| !n.can_own_keys()));
        assert!(AtSign::parse(&"a".repeat(56)).is_ok_and(|n| !n.can_own_keys()));
    }
}
