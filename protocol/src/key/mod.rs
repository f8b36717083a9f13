//! Keys: the names under which values are stored (protocol notes 6.1 to 6.3, Appendix A).
//!
//! A key is one string, lower-cased and without spaces. It is normalised and classified once, when
//! it is parsed; after that keys are compared as bytes.

mod classify;
mod entity;

use std::fmt;
use std::str::FromStr;

pub use entity::Entity;

use crate::AtSign;
use crate::limits::{CACHED_KEY_UNITS_MAX, KEY_UNITS_MAX};

/// What kind of key a name is, and so who may read and write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// `public:entity@owner`: anybody reads it.
    Public,
    /// `entity@owner` or `@owner:entity@owner`: for the owner alone.
    SelfKey,
    /// `@other:entity@owner`: for the owner and the other.
    Shared,
    /// `private:entity@owner`: for the server itself.
    Private,
    /// `cached:public:entity@other`: a copy of another's public key.
    CachedPublic,
    /// `cached:@owner:entity@other`: a copy of what another shares with the owner.
    CachedShared,
    /// `local:entity@owner`: lives only in clients.
    Local,
    /// One of the names with a meaning of their own, such as `privatekey:at_secret`,
    /// `public:publickey@owner` or `@other:shared_key@owner`.
    Reserved,
}

/// A whole key, normalised and of a known kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AtKey {
    text: Box<str>,
    kind: KeyKind,
}

/// Why a text is not a key. The texts are those of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Longer than [`KEY_UNITS_MAX`], or [`CACHED_KEY_UNITS_MAX`] for a cached key.
    #[error("key length {units} is greater than max allowed {units_max} chars")]
    TooLong {
        /// UTF-16 units that it has.
        units: usize,
        /// UTF-16 units that it may have.
        units_max: usize,
    },
    /// Of no kind: a character that keys cannot contain, or a part missing.
    #[error("not a key of any kind")]
    Invalid,
}

impl AtKey {
    /// Parses, normalises and classifies a whole key.
    ///
    /// # Errors
    /// [`KeyError`] where it is too long or of no kind.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let is_cached = text.get(..7).is_some_and(|head| head.eq_ignore_ascii_case("cached:"));
        let units_max = if is_cached { CACHED_KEY_UNITS_MAX } else { KEY_UNITS_MAX };
        let units = text.chars().filter(|c| *c != ' ').map(char::len_utf16).sum();
        if units > units_max {
            return Err(KeyError::TooLong { units, units_max });
        }
        let text = normalise(text);
        let kind = classify::kind(&text).ok_or(KeyError::Invalid)?;
        Ok(Self { text: text.into(), kind })
    }

    /// `public:entity@owner`.
    ///
    /// # Errors
    /// [`KeyError`] where it is too long or the owner's name cannot own keys.
    pub fn public(entity: &Entity, owner: &AtSign) -> Result<Self, KeyError> {
        Self::parse(&format!("public:{entity}{owner}"))
    }

    /// `entity@owner`.
    ///
    /// # Errors
    /// [`KeyError`] where it is too long or the owner's name cannot own keys.
    pub fn own(entity: &Entity, owner: &AtSign) -> Result<Self, KeyError> {
        Self::parse(&format!("{entity}{owner}"))
    }

    /// `@with:entity@owner`.
    ///
    /// # Errors
    /// [`KeyError`] where it is too long or one of the names cannot own keys.
    pub fn shared(with: &AtSign, entity: &Entity, owner: &AtSign) -> Result<Self, KeyError> {
        Self::parse(&format!("{with}:{entity}{owner}"))
    }

    /// `private:entity@owner`.
    ///
    /// # Errors
    /// [`KeyError`] where it is too long or the owner's name cannot own keys.
    pub fn private(entity: &Entity, owner: &AtSign) -> Result<Self, KeyError> {
        Self::parse(&format!("private:{entity}{owner}"))
    }

    /// The cached copy's key: `cached:` in front of a public or shared one.
    ///
    /// # Errors
    /// [`KeyError`] where this key is neither.
    pub fn cached(&self) -> Result<Self, KeyError> {
        Self::parse(&format!("cached:{}", self.text))
    }

    /// The key as it is stored and shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its kind. Keys with a meaning of their own are [`KeyKind::Reserved`], whatever their form.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whose key it is; a reserved name may be nobody's.
    #[must_use]
    pub fn owner(&self) -> Option<AtSign> {
        let (_, owner) = classify::split_owner(&self.text)?;
        AtSign::parse(owner).ok()
    }

    /// Whether it is `name`'s key.
    #[must_use]
    pub fn is_owned_by(&self, name: &AtSign) -> bool {
        classify::split_owner(&self.text).is_some_and(|(_, owner)| owner == name.bare())
    }

    /// For whom it is, where it begins with an atSign (after `cached:` or `private:`).
    #[must_use]
    pub fn shared_with(&self) -> Option<AtSign> {
        let (with, _) = classify::split_shared(classify::strip_scope(&self.text))?;
        AtSign::parse(with).ok()
    }

    /// Whether it stands for another's data: a `cached:` key.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        self.text.starts_with("cached:")
    }

    /// Whether anybody may read it: it begins with `public:`.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.text.starts_with("public:")
    }

    /// The name between the scope and the owner: `phone.wavi` of `@bob:phone.wavi@alice`.
    #[must_use]
    pub fn entity(&self) -> &str {
        let scoped = classify::split_owner(&self.text).map_or(&*self.text, |(rest, _)| rest);
        let unscoped = classify::strip_scope(scoped);
        classify::split_shared(unscoped).map_or(unscoped, |(_, entity)| entity)
    }

    /// What stands after the last dot of the entity.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.entity().rsplit_once('.').map(|(_, namespace)| namespace)
    }
}

impl KeyKind {
    /// The name that error texts call it by.
    #[must_use]
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::Public => "publicKey",
            Self::SelfKey => "selfKey",
            Self::Shared => "sharedKey",
            Self::Private => "privateKey",
            Self::CachedPublic => "cachedPublicKey",
            Self::CachedShared => "cachedSharedKey",
            Self::Local => "localKey",
            Self::Reserved => "reservedKey",
        }
    }

    /// Whether a client may write keys of this kind (protocol notes 5.3).
    #[must_use]
    pub fn is_writable(self) -> bool {
        matches!(self, Self::Public | Self::SelfKey | Self::Shared | Self::Reserved)
    }
}

fn normalise(text: &str) -> String {
    text.chars().filter(|c| *c != ' ').flat_map(char::to_lowercase).collect()
}

impl fmt::Display for AtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for AtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for AtKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests;
