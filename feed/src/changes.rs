//! Changes by name, packed: a million of them wait here while an atlas takes them over.

use std::num::NonZeroU16;

use atlas::{Atlas, HostForm, HostForms, MergeError, PackError, Patch, Place};
use protocol::Epoch;
use protocol::control::feed::Change;

/// What was said last of each name.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    names: Vec<u8>,
    rows: Vec<Row>,
    hosts: HostForms,
}

#[derive(Debug)]
struct Row {
    name_at: u64,
    number: u64,
    epoch: Epoch,
    /// The host's number and the port; none for a name that is gone.
    address: Option<(u32, NonZeroU16)>,
    name_length: u8,
}

impl Latest {
    /// Adds a change; they may come in any order, and twice.
    ///
    /// # Errors
    /// [`PackError`] if it cannot be held.
    pub(crate) fn add(&mut self, change: &Change) -> Result<(), PackError> {
        let name = change.identity.bare().as_bytes();
        let name_length = u8::try_from(name.len()).map_err(|_| PackError::Length(name.len()))?;
        let address = match &change.address {
            Some(address) => {
                let host = self.hosts.number(name, (&address.host).into());
                Some((host.ok_or(PackError::TooLarge)?, address.port))
            }
            None => None,
        };
        let (name_at, number, epoch) = (self.names.len() as u64, change.number, change.epoch);
        self.names.extend_from_slice(name);
        self.rows.push(Row { name_at, number, epoch, address, name_length });
        Ok(())
    }

    /// This atlas with the changes; `step` sees it on the way, as [`Atlas::merge`] says.
    ///
    /// # Errors
    /// [`MergeError`].
    pub(crate) fn merge(
        mut self,
        atlas: Atlas,
        step: impl FnMut(&Atlas),
    ) -> Result<Atlas, MergeError> {
        let hosts = self.hosts.forms();
        let names = &self.names;
        // The last word comes first, and the others behind it are left out.
        self.rows
            .sort_unstable_by(|a, b| (a.name(names), b.number).cmp(&(b.name(names), a.number)));
        self.rows.dedup_by(|later, first| later.name(names) == first.name(names));
        let patches: Vec<_> = self.rows.iter().map(|row| row.patch(names, &hosts)).collect();
        atlas.merge(&patches, step)
    }
}

impl Row {
    fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        let at = usize::try_from(self.name_at).unwrap_or(usize::MAX);
        names.get(at..at.saturating_add(usize::from(self.name_length))).unwrap_or_default()
    }

    fn patch<'a>(&self, names: &'a [u8], hosts: &'a [HostForm]) -> Patch<'a> {
        let name = self.name(names);
        let place = self.address.and_then(|(host, port)| {
            // It was made of this name's host.
            let host = hosts.get(host as usize)?.host(name)?;
            Some(Place { host, port, epoch: self.epoch })
        });
        Patch { name, place }
    }
}
