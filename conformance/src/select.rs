//! `16-30,145`: which statements to run.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// A choice of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(Vec<RangeInclusive<u16>>);

impl Selection {
    /// Whether it holds the number.
    pub fn contains(&self, number: u16) -> bool {
        self.0.iter().any(|range| range.contains(&number))
    }
}

impl FromStr for Selection {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write numbers and ranges with commas between them: 16-30,145";
        let number = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong);
        text.split(',')
            .map(|part| {
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                let range = number(first)?..=number(last)?;
                if range.is_empty() { Err(wrong) } else { Ok(range) }
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges_are_chosen_and_anything_else_is_refused() {
        let chosen: Selection = "16-18, 145".parse().unwrap();
        let numbers: Vec<u16> = (1..=217).filter(|number| chosen.contains(*number)).collect();
        assert_eq!(numbers, [16, 17, 18, 145]);
        for wrong in ["", "x", "3-", "5-4", "1,,2"] {
            assert!(wrong.parse::<Selection>().is_err(), "{wrong:?}");
        }
    }
}
