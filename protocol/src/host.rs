//! The name of a host, whole or in the two parts that a template gives it.

use std::fmt;

use crate::HostLabel;
use crate::address::{HOST_BYTES_MAX, HostName};
use crate::dns_name::Labels;
use crate::host_label::LABEL_CHARS;

/// A host's name that borrows: one that is written somewhere, or the labels of an identity's name
/// with a suffix behind them, as routers that tell servers apart by name have it; or the one label
/// that is made of her name, as ours have it. Whatever it is made of, it compares and prints as the
/// one name that it is.
#[derive(Clone, Copy)]
pub struct Host<'a> {
    /// Whose labels stand in front; empty where there are none.
    identity: &'a str,
    /// That label instead of her name's.
    label: Option<HostLabel>,
    rest: &'a str,
}

impl<'a> Host<'a> {
    /// The host of an identity, named without its `@`, below a suffix; none where that is too long
    /// for a host's name.
    #[must_use]
    pub fn below(identity: &'a str, suffix: &'a HostName) -> Option<Self> {
        Self::below_known(identity, suffix.as_str())
    }

    /// The same below a text that [`HostName::parse`] has taken before, and left as it is.
    #[must_use]
    pub fn below_known(identity: &'a str, suffix: &'a str) -> Option<Self> {
        let bytes = Labels::of(identity)?.as_str().len() + 1 + suffix.len();
        (bytes <= HOST_BYTES_MAX).then_some(Self { identity, label: None, rest: suffix })
    }

    /// The host of an identity, named without its `@`, below a domain that leaves room for her
    /// [`HostLabel`], and that [`HostName::parse`] has taken before.
    pub(crate) fn labelled(identity: &'a str, domain: &'a str) -> Self {
        Self { identity, label: Some(HostLabel::of_bare(identity)), rest: domain }
    }

    /// The same; none where the domain is too long.
    #[must_use]
    pub fn labelled_known(identity: &'a str, domain: &'a str) -> Option<Self> {
        let has_room = LABEL_CHARS + 1 + domain.len() <= HOST_BYTES_MAX;
        has_room.then(|| Self::labelled(identity, domain))
    }

    /// The domain below which this is the host of that identity by her label; none if it is not.
    #[must_use]
    pub fn domain_of(&self, identity: &str) -> Option<&'a str> {
        if self.label.is_some() && self.identity == identity {
            return Some(self.rest);
        }
        if self.label.is_some() || !self.identity.is_empty() {
            return None;
        }
        let (label, domain) = self.rest.split_once('.')?;
        let label = HostLabel::read(label.as_bytes())?;
        (label == HostLabel::of_bare(identity)).then_some(domain)
    }

    /// The host of a text that [`HostName::parse`] has taken before, and left as it is: for those
    /// who keep many, and no [`HostName`] for each.
    #[must_use]
    pub fn known(name: &'a str) -> Self {
        Self { identity: "", label: None, rest: name }
    }

    /// A copy on its own.
    #[must_use]
    pub fn to_name(&self) -> HostName {
        HostName::of(self.to_string())
    }

    /// Appends its bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        if let Some(label) = self.label {
            out.extend_from_slice(&label.chars());
            out.push(b'.');
        } else if let Some(labels) = self.labels() {
            out.extend_from_slice(labels.as_str().as_bytes());
            out.push(b'.');
        }
        out.extend_from_slice(self.rest.as_bytes());
    }

    fn labels(&self) -> Option<Labels<'a>> {
        if self.identity.is_empty() || self.label.is_some() {
            return None;
        }
        Labels::of(self.identity)
    }
}

impl<'a> From<&'a HostName> for Host<'a> {
    fn from(name: &'a HostName) -> Self {
        Self { identity: "", label: None, rest: name.as_str() }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = self.label {
            write!(f, "{label}.")?;
        } else if let Some(labels) = self.labels() {
            f.write_str(labels.as_str())?;
            f.write_str(".")?;
        }
        f.write_str(self.rest)
    }
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq<str> for Host<'_> {
    fn eq(&self, other: &str) -> bool {
        let below = |front: &str| {
            let behind = other.strip_prefix(front);
            behind.and_then(|behind| behind.strip_prefix('.')) == Some(self.rest)
        };
        match (self.label, self.labels()) {
            (Some(label), _) => below(&label.to_string()),
            (None, Some(labels)) => below(labels.as_str()),
            (None, None) => self.rest == other,
        }
    }
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        let is_alike = self.label == other.label && self.identity == other.identity;
        match (is_alike, other.label.is_none() && other.identity.is_empty()) {
            (true, _) => self.rest == other.rest,
            (false, true) => self == other.rest,
            (false, false) => self == other.to_name().as_str(),
        }
    }
}

impl Eq for Host<'_> {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn name(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    #[test]
    fn a_host_is_its_name_whatever_it_is_made_of() {
        let suffix = name("id.example");
        for (identity, written) in
            [("alice", "alice.id.example"), ("alice🛠", "u1-yn44d-alice.id.example")]
        {
            let host = Host::below(identity, &suffix).unwrap();
            let whole = name(written);
            assert_eq!(host.to_string(), written);
            assert_eq!((host.to_name(), &host), (whole.clone(), &Host::from(&whole)));
            assert_eq!(Host::from(&whole), host);
            assert_eq!(&host, written);
            assert_ne!(host, Host::from(&suffix));
            assert_ne!(host, Host::below("bob", &suffix).unwrap());
            assert_ne!(&host, "alice.id.example.org");
        }
    }

    #[test]
    fn a_labelled_host_is_the_name_that_it_is() {
        let label = HostLabel::of_bare("alice");
        let host = Host::labelled_known("alice", "swarm.example").unwrap();
        let whole = name(&format!("{label}.swarm.example"));
        assert_eq!((host.to_name(), &host), (whole.clone(), &Host::from(&whole)));
        assert_eq!(Host::from(&whole), host);
        let mut put = Vec::new();
        host.put(&mut put);
        assert_eq!(put, whole.as_str().as_bytes());
        for host in [host, Host::from(&whole)] {
            assert_eq!(host.domain_of("alice"), Some("swarm.example"));
            assert_eq!(host.domain_of("bob"), None);
        }
        let bob = Host::labelled_known("bob", "swarm.example").unwrap();
        assert_ne!(host, bob);
        assert_ne!(host, Host::below_known("alice", "swarm.example").unwrap());
        assert!(Host::labelled_known("alice", &"a.".repeat(114)).is_none());
    }

    #[test]
    fn two_identities_can_come_to_the_same_host() {
        let long = "a".repeat(64);
        let suffix = name("id.example");
        let of_long = Host::below(&long, &suffix).unwrap();
        let (first, behind) = of_long
            .to_name()
            .as_str()
            .split_once('.')
            .map(|(a, b)| (a.to_owned(), name(b)))
            .unwrap();
        assert_eq!(Host::below(&first, &behind).unwrap(), of_long);
    }

    #[test]
    fn what_would_be_too_long_is_no_host() {
        let suffix = name(&format!("{0}.{0}.{0}.{1}", "s".repeat(60), "s".repeat(6)));
        assert!(Host::below(&"a".repeat(63), &suffix).is_some());
        assert!(Host::below(&"🛠".repeat(60), &suffix).is_none());
        assert!(Host::below("", &suffix).is_none());
        assert!(Host::below(&"\u{1fbff}\u{2000}".repeat(40), &suffix).is_none());
    }
}
