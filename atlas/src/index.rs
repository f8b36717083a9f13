//! Which block a name is in, found in few lines of a processor's cache.
//!
//! Of each block's first name the front is kept as a number, in levels: a level holds every
//! [`FAN_OUT`]-th entry of the one below. A search reads one group of each level, and looks at
//! names only where the name that is looked for begins as a block does. It costs half a byte a
//! name; without it, each step of a search by halves would wait for memory twice.

use std::ops::Range;

/// Entries of a group: two lines of a cache.
const FAN_OUT: usize = 16;

/// The levels, the lowest first.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    levels: Box<[Box<[u64]>]>,
}

/// Where a name must be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Blocks {
    /// Before the first.
    None,
    /// In this one, or nowhere.
    One(usize),
    /// In one of these, or in the one before them: they all begin alike.
    Some(Range<usize>),
}

impl Index {
    /// Of blocks with these first names.
    pub(crate) fn new<'a>(heads: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut levels = vec![heads.map(front).collect::<Box<[u64]>>()];
        while let Some(top) = levels.last().filter(|top| top.len() > FAN_OUT) {
            let above = top.iter().step_by(FAN_OUT).copied().collect();
            levels.push(above);
        }
        Self { levels: levels.into() }
    }

    /// Where this name must be.
    #[inline]
    pub(crate) fn find(&self, name: &[u8]) -> Blocks {
        let front = front(name);
        let mut at = 0;
        for level in self.levels.iter().rev() {
            let from = at * FAN_OUT;
            let group = level.get(from..level.len().min(from + FAN_OUT)).unwrap_or_default();
            let before = group.iter().filter(|entry| **entry <= front).count();
            // Below the first entry of all there is nothing; elsewhere a group's first is not above.
            let Some(last) = (from + before).checked_sub(1) else { return Blocks::None };
            at = last;
        }
        let lowest = self.levels.first().map_or(&[][..], |level| level);
        match lowest.get(at) {
            Some(entry) if *entry == front => {
                Blocks::Some(lowest.partition_point(|entry| *entry < front)..at + 1)
            }
            _ => Blocks::One(at),
        }
    }

    /// Bytes of memory that it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.levels.iter().map(|level| size_of_val(level) + size_of::<Box<[u64]>>()).sum()
    }
}

/// The front of a name, as a number that is ordered as names are: its first characters to the base
/// 40, of those that nearly all names are made of. From another one on, names that are equal up to
/// there have equal fronts.
#[inline]
fn front(name: &[u8]) -> u64 {
    let (mut front, mut is_exact) = (0, true);
    for at in 0..FRONT_BYTES {
        let digit = match name.get(at) {
            Some(byte) if is_exact => DIGITS[usize::from(*byte)],
            _ => 0,
        };
        is_exact &= digit & INEXACT == 0;
        front = front * 40 + u64::from(digit & !INEXACT);
    }
    front
}

/// What is a power of 40 below 2 to the 64th.
const FRONT_BYTES: usize = 12;

/// Marks the digit of a byte that shares it with others.
const INEXACT: u8 = 0x80;

/// For each byte its digit. One that has none of its own takes that of the next that has, which may
/// follow it; behind it nothing is told apart.
const DIGITS: [u8; 256] = {
    const OWN: &[u8; 38] = b"-0123456789_abcdefghijklmnopqrstuvwxyz";
    let mut digits = [0; 256];
    let (mut byte, mut next) = (0, 0);
    while byte < 256 {
        digits[byte] = (next as u8 + 1) | INEXACT;
        if next < OWN.len() && byte == OWN[next] as usize {
            digits[byte] = next as u8 + 1;
            next += 1;
        }
        byte += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use super::*;

    fn index(names: &[String]) -> Index {
        Index::new(names.iter().map(String::as_bytes))
    }

    #[test]
    fn it_says_the_block_or_few_to_choose_from() {
        for count in [1, 2, 15, 16, 17, 255, 256, 257, 5_000] {
            let names: Vec<_> = (0..count).map(|n| format!("{n:06}x")).collect();
            let index = index(&names);
            for (n, name) in names.iter().enumerate() {
                assert_eq!(index.find(format!("{n:06}y").as_bytes()), Blocks::One(n));
                assert_eq!(index.find(name.as_bytes()), Blocks::Some(n..n + 1));
            }
            assert_eq!(index.find(b"!"), Blocks::None);
            assert_eq!(index.find(b"zz"), Blocks::One(count - 1));
        }
    }

    #[test]
    fn blocks_that_begin_alike_are_told_together() {
        let names: Vec<_> = (0..1_000).map(|n| format!("customer-number{n:03}")).collect();
        let index = index(&names);
        for name in ["customer-number000", "customer-numb", "customer-number999"] {
            assert_eq!(index.find(name.as_bytes()), Blocks::Some(0..1_000));
        }
        assert_eq!(index.find(b"customer-nun"), Blocks::One(999));
        assert_eq!(index.find(b"customer"), Blocks::None);
    }

    #[test]
    fn fronts_are_ordered_as_names_are() {
        let mut parts: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        parts.extend(["", "a", "z9", "-", "__", "\u{1f6e0}"].map(|part| part.as_bytes().to_vec()));
        for before in ["", "a", "al-ic_e", "elevenchars"] {
            let mut names = Vec::new();
            for part in &parts {
                for after in ["", "0", "zz", "\u{fe0f}"] {
                    names.push([before.as_bytes(), part, after.as_bytes()].concat());
                }
            }
            names.sort_unstable();
            for pair in names.windows(2) {
                assert!(front(&pair[0]) <= front(&pair[1]), "{pair:?}");
            }
        }
        assert!(front(b"abcdefghijkl") < front(b"abcdefghijkm"), "twelve characters count");
        assert!(front("zz\u{1f6e0}".as_bytes()) > front(b"zzzzzzzzzzzz"));
    }
}
