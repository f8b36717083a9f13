//! Wall-clock time as the protocol writes it. Only a value: clocks are read in `net`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01 UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This time moved by `millis`; saturates at the ends of time.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This time, or the nearest that has a year of four digits: clients parse exactly four.
    #[must_use]
    pub fn writable(self) -> Self {
        const YEAR_0: i64 = -62_167_219_200_000;
        const YEAR_9999_END: i64 = 253_402_300_799_999;
        Self(self.0.clamp(YEAR_0, YEAR_9999_END))
    }

    /// Reads a date as [`Display`](fmt::Display) writes it. Other servers may put a `T` between day
    /// and time, or write another number of fraction digits.
    #[must_use]
    pub fn from_wire(text: &str) -> Option<Self> {
        let (day, time) = text.strip_suffix('Z')?.split_once([' ', 'T'])?;
        let midnight = Self::from_day(day)?;
        let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let mut parts = clock.split(':');
        let mut part = |below: i64| parts.next().and_then(number).filter(|n| *n < below);
        let (hour, minute, second) = (part(24)?, part(60)?, part(60)?);
        if parts.next().is_some() || fraction.len() > 9 {
            return None;
        }
        let digits = format!("{fraction:0<3}");
        let millis = digits.get(..3).and_then(number)?;
        number(&digits)?;
        Some(midnight.plus_millis(((hour * 60 + minute) * 60 + second) * 1000 + millis))
    }

    /// Midnight at the beginning of a day `YYYY-MM-DD`, in UTC; month and day may have one digit.
    #[must_use]
    pub fn from_day(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |max_digits: usize| parts.next().filter(|p| p.len() <= max_digits);
        let (year, month, day) = (part(4)?, part(2)?, part(2)?);
        let (year, month, day) = (number(year)?, number(month)?, number(day)?);
        let days = days_from_civil(year, month, day);
        let exists = parts.next().is_none() && civil_from_days(days) == (year, month, day);
        exists.then_some(Self(days * 86_400_000))
    }
}

/// Decimal digits and nothing else.
fn number(digits: &str) -> Option<i64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// `YYYY-MM-DD HH:MM:SS.mmmZ`, the form that Java clients parse to the letter (protocol notes 6.4).
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 86_400_000;
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY));
        let millis = self.0.rem_euclid(DAY);
        let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
        let (second, fraction) = (millis / 1000 % 60, millis % 1000);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
    }
}

/// Days since 1970-01-01 to a date of the proleptic Gregorian calendar, counted in eras of 400
/// years that begin on the first of March.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The other way round; for a date that does not exist, the days of some other date.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_on_the_wire_is_read_back() {
        let (first, last) = (Timestamp(i64::MIN).writable().0, Timestamp(i64::MAX).writable().0);
        for millis in [0, 1_727_786_096_789, 951_782_400_000, first, last] {
            assert_eq!(
                Timestamp::from_wire(&Timestamp(millis).to_string()),
                Some(Timestamp(millis))
            );
        }
        for (text, millis) in [
            ("1970-01-01T00:00:01Z", Some(1_000)),
            ("1970-01-01 00:00:00.5Z", Some(500)),
            ("1970-01-01 00:00:00.123456Z", Some(123)),
            ("1970-01-01 00:00:00.123", None),
            ("1970-02-30 00:00:00.000Z", None),
            ("1970-01-01 24:00:00.000Z", None),
            ("1970-01-01 00:00:00.00xZ", None),
            ("1970-01-01 00:00:00:00.000Z", None),
            ("null", None),
        ] {
            assert_eq!(Timestamp::from_wire(text), millis.map(Timestamp), "{text}");
        }
    }

    #[test]
    fn a_day_that_does_not_exist_is_no_day() {
        assert_eq!(Timestamp::from_day("1970-1-2"), Some(Timestamp(86_400_000)));
        for text in [
            "",
            "1970",
            "1970-01",
            "1970-1-2-3",
            "1970-13-01",
            "1970-00-01",
            "1970-1-",
            "1900-2-29",
        ] {
            assert_eq!(Timestamp::from_day(text), None, "{text}");
        }
    }

    #[test]
    fn times_print_with_exactly_three_fraction_digits() {
        for (millis, text) in [
            (0, "1970-01-01 00:00:00.000Z"),
            (1_727_786_096_789, "2024-10-01 12:34:56.789Z"),
            (951_782_400_000, "2000-02-29 00:00:00.000Z"),
            (-1, "1969-12-31 23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp(millis).to_string(), text);
        }
    }
}
