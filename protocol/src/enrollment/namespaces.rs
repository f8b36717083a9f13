//! What an enrolment may do where.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Entity;
use crate::limits::{NAMESPACE_BYTES_MAX, NAMESPACES_MAX};

/// A namespace as it is granted: `wavi`, `orders.shop`, or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Namespace(Box<str>);

/// What is allowed in a namespace; who may write may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Access {
    /// `r`
    #[serde(rename = "r")]
    Read,
    /// `rw`
    #[serde(rename = "rw")]
    Write,
}

/// The namespaces of an enrolment in the order in which they were asked for, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces(Vec<(Namespace, Access)>);

/// Why a text, or a list, names no namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NamespaceError {
    /// Empty, too long, or with a character that keys cannot contain.
    #[error("a namespace is one or more words with dots between them")]
    Name,
    /// The same one twice.
    #[error("a namespace is named twice")]
    Twice,
    /// More than [`NAMESPACES_MAX`].
    #[error("more than {NAMESPACES_MAX} namespaces")]
    TooMany,
}

impl Namespace {
    /// Reads a namespace in any case.
    ///
    /// # Errors
    /// [`NamespaceError::Name`] where no key can be in it.
    pub fn parse(text: &str) -> Result<Self, NamespaceError> {
        let is_named = text.len() <= NAMESPACE_BYTES_MAX && text.split('.').all(|s| !s.is_empty());
        // Keys are entities, so what is none is the end of no key.
        match Entity::parse(text) {
            Ok(name) if is_named && !text.contains(' ') => Ok(Self(name.as_str().into())),
            _ => Err(NamespaceError::Name),
        }
    }

    /// All namespaces: `*`.
    #[must_use]
    pub fn all() -> Self {
        Self("*".into())
    }

    /// The namespace of enrolments and their keys: `__manage`.
    #[must_use]
    pub fn manage() -> Self {
        Self("__manage".into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for all namespaces.
    #[must_use]
    pub fn is_all(&self) -> bool {
        &*self.0 == "*"
    }

    /// Whether all of `other` lies in it: the same, or one inside (`data.wavi` in `wavi`).
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.is_all() || self == other || self.is_end_of(&other.0)
    }

    /// Whether `name` ends with a dot and this namespace.
    #[must_use]
    pub fn is_end_of(&self, name: &str) -> bool {
        name.strip_suffix(&*self.0).is_some_and(|rest| rest.ends_with('.'))
    }
}

impl Namespaces {
    /// Adds a namespace, or changes what is allowed in it.
    ///
    /// # Errors
    /// [`NamespaceError::TooMany`].
    pub fn set(&mut self, namespace: Namespace, access: Access) -> Result<(), NamespaceError> {
        let is_full = self.0.len() >= NAMESPACES_MAX;
        match self.0.iter_mut().find(|(known, _)| *known == namespace) {
            Some((_, known)) => *known = access,
            None if is_full => return Err(NamespaceError::TooMany),
            None => self.0.push((namespace, access)),
        }
        Ok(())
    }

    /// What is allowed in exactly this namespace.
    #[must_use]
    pub fn get(&self, namespace: &str) -> Option<Access> {
        self.iter().find(|(known, _)| known.as_str() == namespace).map(|(_, access)| access)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Namespace, Access)> {
        self.0.iter().map(|(namespace, access)| (namespace, *access))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether everything that `others` allow is allowed here.
    #[must_use]
    pub fn cover(&self, others: &Self) -> bool {
        others.iter().all(|(wanted, access)| {
            self.iter().any(|(granted, most)| granted.contains(wanted) && most >= access)
        })
    }
}

impl Serialize for Namespaces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (namespace, access) in self.iter() {
            map.serialize_entry(namespace, &access)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Namespaces {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FromMap)
    }
}

struct FromMap;

impl<'de> Visitor<'de> for FromMap {
    type Value = Namespaces;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of namespaces, each with \"r\" or \"rw\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Namespaces, A::Error> {
        let mut namespaces = Namespaces::default();
        while let Some((name, access)) = map.next_entry::<String, Access>()? {
            let namespace = Namespace::parse(&name).map_err(A::Error::custom)?;
            if namespaces.get(namespace.as_str()).is_some() {
                return Err(A::Error::custom(NamespaceError::Twice));
            }
            namespaces.set(namespace, access).map_err(A::Error::custom)?;
        }
        Ok(namespaces)
    }
}
