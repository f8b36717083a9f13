//! `notify:list[:<from day>][:<to day>][:regex]` (protocol notes 5.14).

use super::VerbError;
use crate::Timestamp;
use crate::limits::REGEX_BYTES_MAX;

const HINT: &str = "e.g. notify:list:2024-10-01:2024-10-31:.wavi";

const DAY_MILLIS: i64 = 86_400_000;

/// Lists received notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotifyList {
    /// Not before the beginning of this day.
    pub from: Option<Timestamp>,
    /// Before this moment: the end of the last day.
    pub before: Option<Timestamp>,
    /// Matched somewhere in the key, or in the sender's name without `@`.
    pub regex: Option<String>,
}

impl NotifyList {
    /// The regular expression may also stand behind a blank, as the specification has it.
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let syntax = VerbError::Syntax { hint: HINT };
        let tail = args.get("list".len()..).unwrap_or_default();
        let (options, spaced) = tail.split_once(' ').unwrap_or((tail, ""));
        let mut list = Self::default();
        for word in options.split(':').skip(1) {
            match (is_day(word), &list) {
                (true, Self { from: None, regex: None, .. }) => list.from = Some(day(word)?),
                (true, Self { before: None, regex: None, .. }) => {
                    list.before = Some(day(word)?.plus_millis(DAY_MILLIS));
                }
                (_, Self { regex: None, .. }) if !word.is_empty() => {
                    list.regex = Some(word.to_owned());
                }
                _ => return Err(syntax),
            }
        }
        let spaced = spaced.trim();
        if !spaced.is_empty() && list.regex.is_none() {
            list.regex = Some(spaced.to_owned());
        }
        list.checked()
    }

    fn checked(self) -> Result<Self, VerbError> {
        if self.regex.as_ref().is_some_and(|regex| regex.len() > REGEX_BYTES_MAX) {
            return Err(VerbError::Syntax { hint: HINT });
        }
        match (self.from, self.before) {
            (Some(from), Some(before)) if before <= from => {
                Err(VerbError::Arguments("ToDate cannot be less than FromDate".to_owned()))
            }
            _ => Ok(self),
        }
    }
}

/// `\d{4}-[01]?\d?-[0123]?\d?` of the grammar, less narrowly: what looks like a date must be one.
fn is_day(word: &str) -> bool {
    let mut parts = word.split('-');
    let mut digits = |length: std::ops::RangeInclusive<usize>| {
        parts.next().is_some_and(|part| {
            length.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        })
    };
    digits(4..=4) && digits(0..=2) && digits(0..=2) && parts.next().is_none()
}

fn day(word: &str) -> Result<Timestamp, VerbError> {
    Timestamp::from_day(word).ok_or(VerbError::Arguments("Invalid date format".to_owned()))
}
