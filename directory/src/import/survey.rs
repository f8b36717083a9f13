//! Makes an atlas of what somebody has: names and addresses, in any order.
//!
//! A hundred million of them fit into a few gigabytes of memory on the way: names lie in one buffer,
//! and each host is kept once, or once for all whose identities' names they begin with.

use std::fmt;
use std::num::NonZeroU16;
use std::sync::Arc;

use atlas::{Atlas, HostForms, PackError, Packer, Place};
use protocol::address::AddressError;
use protocol::{Address, AtSign, Epoch, NameError};

use crate::limits::IMPORT_TEXT_BYTES_MAX;

/// What was read so far.
#[derive(Debug)]
pub struct Survey {
    unit: Unit,
    names: Vec<u8>,
    rows: Vec<Row>,
    hosts: HostForms,
    bad: Option<BadRows>,
}

#[derive(Debug)]
struct Row {
    name_at: u64,
    number: u32,
    host: u32,
    port: NonZeroU16,
    name_length: u8,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Lines of a text.
    Line,
    /// Keys of a dump.
    Key,
}

/// Rows that are no identity and address: the first of them, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRows {
    first: String,
    /// How many.
    pub count: u64,
}

/// Why a row is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Reason {
    #[error("this is not a name, a tab and host:port")]
    Tsv,
    #[error("this is not a name, blanks and host:port")]
    AtServers,
    #[error("this is not UTF-8")]
    Utf8,
    #[error("this is longer than {IMPORT_TEXT_BYTES_MAX} bytes")]
    LongText,
    #[error("this is a {0}, and addresses are texts")]
    Kind(&'static str),
    #[error("this expires, and identities do not")]
    Expires,
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Address(#[from] AddressError),
}

/// Why there is no atlas.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SurveyError {
    /// Rows are bad, and are not to be left out.
    #[error("{0}")]
    Bad(BadRows),
    /// More than an atlas can hold.
    #[error("there are too many rows: at most {}", u32::MAX)]
    TooLong,
    /// It cannot be packed.
    #[error("what was read cannot be packed")]
    Pack(#[from] PackError),
}

impl Survey {
    /// Nothing yet.
    #[must_use]
    pub fn new(unit: Unit) -> Self {
        let (names, rows, hosts) = (Vec::new(), Vec::new(), HostForms::default());
        Self { unit, names, rows, hosts, bad: None }
    }

    /// Takes a row, or counts it as a bad one.
    pub(crate) fn take(&mut self, number: u64, name: &[u8], address: &[u8]) {
        if let Err(why) = self.add(number, name, address) {
            self.refuse(number, name, why);
        }
    }

    fn add(&mut self, number: u64, name: &[u8], address: &[u8]) -> Result<(), Reason> {
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Reason::Utf8);
        let name = AtSign::parse(text(name)?)?;
        let address = Address::parse(text(address)?)?;
        let bytes = name.bare().as_bytes();
        // More rows than there are numbers are noticed in the end.
        let host = self.hosts.number(bytes, (&address.host).into()).unwrap_or(u32::MAX);
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let name_length = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
        let name_at = self.names.len() as u64;
        self.names.extend_from_slice(bytes);
        self.rows.push(Row { name_at, number, host, port: address.port, name_length });
        Ok(())
    }

    /// Counts a bad row. A key is named; a line says less than its number.
    pub(crate) fn refuse(&mut self, number: u64, name: &[u8], why: Reason) {
        let unit = self.unit;
        self.count_bad(1, || match unit {
            Unit::Line => format!("line {number}: {why}"),
            Unit::Key => {
                let name: String = String::from_utf8_lossy(name).chars().take(80).collect();
                format!("key {number}, {name:?}: {why}")
            }
        });
    }

    fn count_bad(&mut self, more: u64, first: impl FnOnce() -> String) {
        match &mut self.bad {
            Some(bad) => bad.count += more,
            None => self.bad = Some(BadRows { first: first(), count: more }),
        }
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

    /// Sorts and packs. Bad rows are left out if they may be, and of a name that is there more than
    /// once its last row counts then; they are told of beside the atlas.
    ///
    /// # Errors
    /// [`SurveyError`].
    pub fn finish(mut self, skip_bad: bool) -> Result<(Atlas, Option<BadRows>), SurveyError> {
        if self.rows.iter().any(|row| row.number == u32::MAX || row.host == u32::MAX) {
            return Err(SurveyError::TooLong);
        }
        let names = &self.names;
        let by = |a: &Row, b: &Row| (a.name(names), a.number).cmp(&(b.name(names), b.number));
        self.rows.sort_unstable_by(by);
        self.count_repeated();
        match self.bad.take() {
            Some(bad) if !skip_bad => Err(SurveyError::Bad(bad)),
            bad => Ok((self.pack()?, bad)),
        }
    }

    fn count_repeated(&mut self) {
        let repeats = |(a, b): &(&Row, &Row)| a.name(&self.names) == b.name(&self.names);
        let pairs = || self.rows.iter().zip(self.rows.iter().skip(1)).filter(repeats);
        let Some((one, again)) = pairs().next() else { return };
        let (count, unit) = (pairs().count() as u64, self.unit);
        let name = String::from_utf8_lossy(one.name(&self.names)).into_owned();
        let (first, second) = (one.number, again.number);
        self.count_bad(count, || {
            format!("@{name} stands on {unit} {first} and again on {unit} {second}")
        });
    }

    fn pack(&self) -> Result<Atlas, PackError> {
        let forms = self.hosts.forms();
        let mut packer = Packer::default();
        let mut rows = self.rows.iter().peekable();
        while let Some(row) = rows.next() {
            let name = row.name(&self.names);
            if rows.peek().is_some_and(|next| next.name(&self.names) == name) {
                continue;
            }
            // Numbers were given out as hosts were added, for this name.
            let host = forms.get(row.host as usize).and_then(|form| form.host(name));
            let Some(host) = host else { continue };
            packer.push(name, Place { host, port: row.port, epoch: Epoch::FIRST })?;
        }
        let segments = packer.finish()?.into_iter().map(Arc::new).collect();
        Atlas::new(segments).map_err(|_| PackError::TooLarge)
    }
}

impl Row {
    fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        let at = usize::try_from(self.name_at).unwrap_or(usize::MAX);
        names.get(at..at.saturating_add(usize::from(self.name_length))).unwrap_or_default()
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::Key => "key",
        })
    }
}

impl fmt::Display for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 | 1 => f.write_str(&self.first),
            more => write!(f, "{}; {more} such rows in all", self.first),
        }
    }
}
