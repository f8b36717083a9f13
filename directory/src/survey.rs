//! Makes an atlas of a list that somebody has: a name and an address a line, in any order.
//!
//! A hundred million lines fit into a few gigabytes of memory on the way: names lie in one buffer,
//! and each host name is kept once.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use atlas::{Atlas, PackError, Packer, Place};
use protocol::address::AddressError;
use protocol::{Address, AtSign, Epoch, HostName, NameError};

/// Lines of a list, read so far.
#[derive(Debug, Default)]
pub struct Survey {
    names: Vec<u8>,
    rows: Vec<Row>,
    hosts: Vec<HostName>,
    host_numbers: HashMap<HostName, u32>,
}

#[derive(Debug)]
struct Row {
    name_at: u64,
    line: u32,
    host: u32,
    port: NonZeroU16,
    name_length: u8,
}

/// Why a list is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SurveyError {
    /// Not of the form name, tab, `host:port`.
    #[error("line {0} is not a name, a tab and host:port")]
    Form(u64),
    /// The name is none.
    #[error("line {line}")]
    Name {
        /// Which line.
        line: u64,
        /// What is wrong.
        source: NameError,
    },
    /// The address is none.
    #[error("line {line}")]
    Address {
        /// Which line.
        line: u64,
        /// What is wrong.
        source: AddressError,
    },
    /// A name stands there twice.
    #[error("{name} stands on line {first} and again on line {second}")]
    Twice {
        /// Which name.
        name: AtSign,
        /// The first line.
        first: u64,
        /// The second line.
        second: u64,
    },
    /// More than an atlas can hold.
    #[error("the list is too long: at most {} lines", u32::MAX)]
    TooLong,
    /// It cannot be packed.
    #[error("the list cannot be packed")]
    Pack(#[from] PackError),
}

impl Survey {
    /// Takes a line without its end; empty ones, and those that begin with `#`, say nothing.
    ///
    /// # Errors
    /// [`SurveyError`], and then nothing was taken.
    pub fn line(&mut self, number: u64, text: &str) -> Result<(), SurveyError> {
        let text = text.trim_end_matches('\r');
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let (name, address) = text.split_once('\t').ok_or(SurveyError::Form(number))?;
        let name =
            AtSign::parse(name).map_err(|source| SurveyError::Name { line: number, source })?;
        let address = Address::parse(address)
            .map_err(|source| SurveyError::Address { line: number, source })?;
        self.add(number, &name, address)
    }

    fn add(&mut self, number: u64, name: &AtSign, address: Address) -> Result<(), SurveyError> {
        let line = u32::try_from(number).map_err(|_| SurveyError::TooLong)?;
        let next = u32::try_from(self.hosts.len()).map_err(|_| SurveyError::TooLong)?;
        let host = match self.host_numbers.get(&address.host) {
            Some(host) => *host,
            None => {
                self.hosts.push(address.host.clone());
                *self.host_numbers.entry(address.host).or_insert(next)
            }
        };
        let bytes = name.bare().as_bytes();
        let name_length = u8::try_from(bytes.len()).map_err(|_| SurveyError::TooLong)?;
        let name_at = self.names.len() as u64;
        self.names.extend_from_slice(bytes);
        self.rows.push(Row { name_at, line, host, port: address.port, name_length });
        Ok(())
    }

    /// How many names it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Sorts and packs.
    ///
    /// # Errors
    /// [`SurveyError::Twice`] or [`SurveyError::Pack`].
    pub fn finish(self) -> Result<Atlas, SurveyError> {
        let Self { names, mut rows, hosts, .. } = self;
        rows.sort_unstable_by(|a, b| (a.name(&names), a.line).cmp(&(b.name(&names), b.line)));
        check_twice(&names, &rows)?;
        let mut packer = Packer::default();
        for row in &rows {
            // Numbers were given out as hosts were added.
            let Some(host) = hosts.get(row.host as usize) else { continue };
            let place = Place { host: host.into(), port: row.port, epoch: Epoch::FIRST };
            packer.push(row.name(&names), place)?;
        }
        let segments = packer.finish()?.into_iter().map(Arc::new).collect();
        Ok(Atlas::new(segments).map_err(|_| PackError::TooLarge)?)
    }
}

impl Row {
    fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        let at = usize::try_from(self.name_at).unwrap_or(usize::MAX);
        names.get(at..at.saturating_add(usize::from(self.name_length))).unwrap_or_default()
    }
}

fn check_twice(names: &[u8], rows: &[Row]) -> Result<(), SurveyError> {
    let mut neighbours = rows.iter().zip(rows.iter().skip(1));
    let Some((one, other)) = neighbours.find(|(a, b)| a.name(names) == b.name(names)) else {
        return Ok(());
    };
    let name = String::from_utf8_lossy(one.name(names));
    let name = AtSign::parse(&name)
        .map_err(|source| SurveyError::Name { line: u64::from(one.line), source })?;
    Err(SurveyError::Twice { name, first: u64::from(one.line), second: u64::from(other.line) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn survey(lines: &[&str]) -> Result<Atlas, SurveyError> {
        let mut survey = Survey::default();
        for (number, line) in (1..).zip(lines) {
            survey.line(number, line)?;
        }
        survey.finish()
    }

    #[test]
    fn a_list_in_any_order_becomes_an_atlas() {
        let lines = ["# name\taddress", "@Bob\tone.example:2\r", "", "al.ice\tone.example:1"];
        let atlas = survey(&lines).unwrap();
        assert_eq!(atlas.len(), 2);
        let found = |name: &str| atlas.find(name.as_bytes()).map(|at| at.address().to_string());
        assert_eq!(found("alice").as_deref(), Some("one.example:1"));
        assert_eq!(found("bob").as_deref(), Some("one.example:2"));
        assert!(survey(&[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(survey(&["a\tone:1", "b one:1"]).unwrap_err(), SurveyError::Form(2));
        assert!(matches!(survey(&["a b\tone:1"]), Err(SurveyError::Name { line: 1, .. })));
        assert!(matches!(survey(&["a\tone"]), Err(SurveyError::Address { line: 1, .. })));
        let name = AtSign::parse("a").unwrap();
        let twice = SurveyError::Twice { name, first: 1, second: 3 };
        assert_eq!(survey(&["a\tone:1", "b\tone:1", "@A\tone:1"]).unwrap_err(), twice);
    }
}
