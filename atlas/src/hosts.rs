//! The hosts of a segment.
//!
//! Each is kept once, and so is each suffix below which identities have hosts of their own, which no
//! host is called: `*.` and the suffix where a host begins with its identity's own labels, `#.` where
//! it begins with the one label that is made of her name. Such a host is always kept so; that there is
//! one way to write each address is what makes equal contents equal bytes.

use std::collections::HashMap;
use std::fmt::Write as _;

use protocol::dns_name::Labels;
use protocol::{Host, HostName};

/// What a suffix begins with, for hosts with the identity's labels…
const TEMPLATE: &str = "*.";
/// …and for those with her one label.
const LABELLED: &str = "#.";

/// Whether [`HostForms`] may have written this.
pub(crate) fn is_form(text: &str) -> bool {
    let suffix = text.strip_prefix(TEMPLATE).or_else(|| text.strip_prefix(LABELLED));
    let name = suffix.unwrap_or(text);
    HostName::parse(name).is_ok_and(|host| host.as_str() == name)
}

/// The host that this form is for this identity; none if it cannot have one of that form.
pub(crate) fn host<'a>(form: &'a str, name: &'a [u8]) -> Option<Host<'a>> {
    let text = |name| std::str::from_utf8(name).ok();
    match (form.strip_prefix(TEMPLATE), form.strip_prefix(LABELLED)) {
        (Some(suffix), _) => Host::below_known(text(name)?, suffix),
        (None, Some(suffix)) => Host::labelled_known(text(name)?, suffix),
        (None, None) => Some(Host::known(form)),
    }
}

/// One host, or one for each identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostForm(Box<str>);

impl HostForm {
    /// The form of this identity's host.
    #[must_use]
    pub fn of(name: &[u8], host: Host<'_>) -> Self {
        let mut form = String::new();
        write_form(&mut form, name, host);
        Self(form.into())
    }

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
        write_form(&mut self.form, name, host);
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

fn write_form(form: &mut String, name: &[u8], host: Host<'_>) {
    let name = std::str::from_utf8(name).ok();
    // Writing to memory does not fail.
    let _ = match name.and_then(|name| host.domain_of(name)) {
        Some(domain) => write!(form, "{LABELLED}{domain}"),
        None => write!(form, "{host}"),
    };
    if let Some(labels) = name.and_then(Labels::of)
        && let Some(behind) = form.strip_prefix(labels.as_str())
        && behind.starts_with('.')
    {
        form.replace_range(..labels.as_str().len(), "*");
    }
}
