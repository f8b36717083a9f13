//! The hosts of a segment.
//!
//! Each is kept once, and so is each suffix below which identities have hosts of their own: `*.` and
//! the suffix, which no host is called. A host that begins with its identity's own labels is always
//! kept so; that there is one way to write each address is what makes equal contents equal bytes.

use std::collections::HashMap;
use std::fmt::Write as _;

use protocol::dns_name::Labels;
use protocol::{Host, HostName};

/// What a suffix begins with.
const TEMPLATE: &str = "*.";

/// Whether [`HostForms`] may have written this.
pub(crate) fn is_form(text: &str) -> bool {
    let name = text.strip_prefix(TEMPLATE).unwrap_or(text);
    HostName::parse(name).is_ok_and(|host| host.as_str() == name)
}

/// The host that this form is for this identity; none if it cannot have one of that form.
pub(crate) fn host<'a>(form: &'a str, name: &'a [u8]) -> Option<Host<'a>> {
    match form.strip_prefix(TEMPLATE) {
        None => Some(Host::known(form)),
        Some(suffix) => Host::below_known(std::str::from_utf8(name).ok()?, suffix),
    }
}

/// One host, or one for each identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostForm(Box<str>);

impl HostForm {
    /// The host for this identity; none if it cannot have one of this form.
    #[must_use]
    pub fn host<'a>(&'a self, name: &'a [u8]) -> Option<Host<'a>> {
        host(&self.0, name)
    }
}

/// Hosts that are being collected, as they are written, by the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct HostForms {
    numbers: HashMap<Box<str>, u32>,
    /// The one that is looked for.
    form: String,
}

impl HostForms {
    /// The number of the form that this identity's host has; none if there are too many.
    pub fn number(&mut self, name: &[u8], host: Host<'_>) -> Option<u32> {
        self.form.clear();
        // Writing to memory does not fail.
        let _ = write!(self.form, "{host}");
        let labels = std::str::from_utf8(name).ok().and_then(Labels::of);
        if let Some(labels) = labels
            && let Some(behind) = self.form.strip_prefix(labels.as_str())
            && behind.starts_with('.')
        {
            self.form.replace_range(..labels.as_str().len(), "*");
        }
        if let Some(number) = self.numbers.get(&*self.form) {
            return Some(*number);
        }
        let number = u32::try_from(self.numbers.len()).ok()?;
        self.numbers.insert(self.form.as_str().into(), number);
        Some(number)
    }

    /// All of them, by their numbers.
    #[must_use]
    pub fn forms(&self) -> Vec<HostForm> {
        let mut forms: Vec<_> = self.numbers.iter().collect();
        forms.sort_unstable_by_key(|(_, number)| **number);
        forms.into_iter().map(|(form, _)| HostForm(form.clone())).collect()
    }

    /// All of them in order, and the place there of each number.
    pub(crate) fn sorted(&self) -> (Vec<&str>, Vec<u32>) {
        let mut forms: Vec<(&str, u32)> =
            self.numbers.iter().map(|(form, number)| (&**form, *number)).collect();
        forms.sort_unstable();
        let mut places = vec![0; forms.len()];
        for (at, (_, number)) in (0_u32..).zip(&forms) {
            if let Some(place) = places.get_mut(*number as usize) {
                *place = at;
            }
        }
        (forms.into_iter().map(|(form, _)| form).collect(), places)
    }
}
