//! The middle of a key: what its owner calls the thing.

use std::fmt;

use super::KeyError;
use crate::limits::KEY_UNITS_MAX;
use crate::name::is_emoji;

/// One or more of letters, digits, `_ . - ' * "` and emoji; lower-cased and without spaces.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity(Box<str>);

impl Entity {
    /// Parses and normalises.
    ///
    /// # Errors
    /// [`KeyError`] where it is empty, too long, or has a character that keys cannot contain.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let units = text.chars().filter(|c| *c != ' ').map(char::len_utf16).sum();
        if units > KEY_UNITS_MAX {
            return Err(KeyError::TooLong { units, units_max: KEY_UNITS_MAX });
        }
        let text = super::normalise(text);
        if is_entity(&text) { Ok(Self(text.into())) } else { Err(KeyError::Invalid) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a normalised text is an entity.
pub(super) fn is_entity(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_entity_char)
}

/// The grammar's emoji range holds some blanks and line ends; no command could name such a key.
fn is_entity_char(c: char) -> bool {
    let is_plain = c.is_ascii_alphanumeric() || "_.-'*\"".contains(c);
    is_plain || (is_emoji(c) && !c.is_whitespace())
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
