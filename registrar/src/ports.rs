//! Which ports identities' servers may have, and which are in use.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::limits::PORT_RANGES_MAX;

/// A list of port ranges such as `25000-32767,20000-24999`: at least one port, none twice. Ports
/// are given out in the order of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortRanges(Box<[Range]>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: NonZeroU16,
    last: NonZeroU16,
}

/// Why a text is not a list of port ranges.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortRangesError {
    /// Nothing stands between two commas, or nothing at all.
    #[error("a list of ports names ranges such as 25000-32767, separated by commas")]
    Empty,
    /// Not a number from 1 to 65535.
    #[error("'{0}' is not a port: a number from 1 to 65535")]
    Port(String),
    /// The end is before the start.
    #[error("the range {0}-{1} ends before it begins")]
    Backwards(NonZeroU16, NonZeroU16),
    /// A port stands in two ranges.
    #[error("the ranges {0} and {1} overlap")]
    Overlap(String, String),
    /// More than [`PORT_RANGES_MAX`] ranges.
    #[error("a list of ports has at most {PORT_RANGES_MAX} ranges")]
    TooMany,
}

impl PortRanges {
    /// Parses a list of ranges and single ports.
    ///
    /// # Errors
    /// [`PortRangesError`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, PortRangesError> {
        let mut ranges: Vec<Range> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let range = Range::parse(part)?;
            if let Some(other) = ranges.iter().find(|other| other.overlaps(range)) {
                return Err(PortRangesError::Overlap(other.to_string(), range.to_string()));
            }
            if ranges.len() == PORT_RANGES_MAX {
                return Err(PortRangesError::TooMany);
            }
            ranges.push(range);
        }
        Ok(Self(ranges.into()))
    }

    /// How many ports the list has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.iter().map(|range| range.count()).sum()
    }

    /// The port at `index` in the order of the list.
    #[must_use]
    pub fn nth(&self, mut index: usize) -> Option<NonZeroU16> {
        for range in &self.0 {
            if index < range.count() {
                return range.first.checked_add(u16::try_from(index).ok()?);
            }
            index -= range.count();
        }
        None
    }

    /// The first and the last port of each range.
    pub fn ranges(&self) -> impl Iterator<Item = (NonZeroU16, NonZeroU16)> + '_ {
        self.0.iter().map(|range| (range.first, range.last))
    }

    /// Where `port` stands in the order of the list.
    #[must_use]
    pub fn position(&self, port: NonZeroU16) -> Option<usize> {
        let mut before = 0;
        for range in &self.0 {
            if (range.first..=range.last).contains(&port) {
                return Some(before + usize::from(port.get() - range.first.get()));
            }
            before += range.count();
        }
        None
    }
}

impl Range {
    fn parse(text: &str) -> Result<Self, PortRangesError> {
        let port = |text: &str| {
            let short = || PortRangesError::Port(text.chars().take(20).collect());
            text.trim().parse().map_err(|_| short())
        };
        if text.is_empty() {
            return Err(PortRangesError::Empty);
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (port(first)?, port(last)?);
        if last < first {
            return Err(PortRangesError::Backwards(first, last));
        }
        Ok(Self { first, last })
    }

    fn count(self) -> usize {
        usize::from(self.last.get() - self.first.get()) + 1
    }

    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl fmt::Display for PortRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{range}")?;
        }
        Ok(())
    }
}

impl FromStr for PortRanges {
    type Err = PortRangesError;
    fn from_str(text: &str) -> Result<Self, PortRangesError> {
        Self::parse(text)
    }
}

/// A set of ports in 8 KiB, however many they are.
#[derive(Clone)]
pub struct PortSet(Box<[u64; 1_024]>);

impl Default for PortSet {
    fn default() -> Self {
        Self(Box::new([0; 1_024]))
    }
}

impl PortSet {
    /// Whether `port` is in the set.
    #[must_use]
    pub fn contains(&self, port: NonZeroU16) -> bool {
        let (word, bit) = Self::place(port);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Adds `port`; false if it was there.
    pub fn insert(&mut self, port: NonZeroU16) -> bool {
        let (word, bit) = Self::place(port);
        let Some(word) = self.0.get_mut(word) else { return false };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Takes `port` out.
    pub fn remove(&mut self, port: NonZeroU16) {
        let (word, bit) = Self::place(port);
        if let Some(word) = self.0.get_mut(word) {
            *word &= !bit;
        }
    }

    fn place(port: NonZeroU16) -> (usize, u64) {
        let number = usize::from(port.get());
        (number / 64, 1 << (number % 64))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn port(number: u16) -> NonZeroU16 {
        NonZeroU16::new(number).unwrap()
    }

    #[test]
    fn a_list_of_ranges_gives_its_ports_in_its_own_order() {
        let ranges = PortRanges::parse("25000-25002, 20000,1-2").unwrap();
        assert_eq!(ranges.to_string(), "25000-25002,20000,1-2");
        assert_eq!(ranges.count(), 6);
        let all: Vec<u16> = (0..7).filter_map(|i| ranges.nth(i)).map(NonZeroU16::get).collect();
        assert_eq!(all, [25000, 25001, 25002, 20000, 1, 2]);
        for (index, number) in all.into_iter().enumerate() {
            assert_eq!(ranges.position(port(number)), Some(index));
        }
        assert_eq!(ranges.position(port(3)), None);
        assert_eq!(PortRanges::parse("1-65535").unwrap().count(), 65_535);
    }

    #[test]
    fn what_is_not_a_list_of_ranges_is_refused_with_its_reason() {
        use PortRangesError as E;
        let overlap = |a: &str, b: &str| E::Overlap(a.into(), b.into());
        for (text, reason) in [
            ("", E::Empty),
            ("1,,2", E::Empty),
            ("0", E::Port("0".into())),
            ("65536", E::Port("65536".into())),
            ("-5", E::Port(String::new())),
            ("1-2-3", E::Port("2-3".into())),
            ("a-b", E::Port("a".into())),
            ("9-8", E::Backwards(port(9), port(8))),
            ("1-5,5-9", overlap("1-5", "5-9")),
            ("7,7", overlap("7", "7")),
        ] {
            assert_eq!(PortRanges::parse(text), Err(reason), "{text:?}");
        }
        let many: Vec<String> = (1..=65).map(|n| (n * 2).to_string()).collect();
        assert_eq!(PortRanges::parse(&many.join(",")), Err(E::TooMany));
    }

    #[test]
    fn a_set_of_ports_holds_both_ends() {
        let mut set = PortSet::default();
        for number in [1, 63, 64, 65_535] {
            assert!(!set.contains(port(number)));
            assert!(set.insert(port(number)));
            assert!(!set.insert(port(number)));
            assert!(set.contains(port(number)));
        }
        set.remove(port(64));
        assert!(!set.contains(port(64)) && set.contains(port(63)));
    }
}
