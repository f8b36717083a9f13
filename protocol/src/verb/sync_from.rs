//! `sync:from:<commit id>:limit:<n>[:regex]` (protocol notes 5.11).

use super::{VerbError, grammar};
use crate::limits::REGEX_BYTES_MAX;

const HINT: &str = "e.g. sync:from:-1:limit:25:.wavi";

const SYNTAX: VerbError = VerbError::Syntax { hint: HINT };

/// Asks for a page of the commit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncFrom {
    /// Only later commits than this one; none: all.
    pub after: Option<u64>,
    /// How many at most.
    pub limit: u64,
    /// Only keys in which this matches somewhere, and those that every client needs.
    pub regex: Option<String>,
}

impl SyncFrom {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let rest = grammar::strip_word(args, "from").ok_or(SYNTAX)?;
        let (after, rest) = rest.split_once(':').ok_or(SYNTAX)?;
        let rest = grammar::strip_word(rest, "limit").ok_or(SYNTAX)?;
        let (limit, regex) = match rest.split_once(':') {
            Some((_, "")) => return Err(SYNTAX),
            Some((limit, regex)) => (limit, Some(regex.to_owned())),
            None => (rest, None),
        };
        if regex.as_ref().is_some_and(|regex| regex.len() > REGEX_BYTES_MAX) {
            return Err(SYNTAX);
        }
        let after = if after == "-1" { None } else { Some(number(after)?) };
        Ok(Self { after, limit: number(limit)?, regex })
    }
}

/// Digits; more than there are commits stand for the greatest number.
fn number(digits: &str) -> Result<u64, VerbError> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SYNTAX);
    }
    Ok(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_page_is_asked_for_by_the_last_commit_that_is_known() {
        let sync = SyncFrom::parse("from:-1:limit:25").unwrap();
        assert_eq!(sync, SyncFrom { after: None, limit: 25, regex: None });
        let sync = SyncFrom::parse("FROM:7:Limit:1:@bob:.*\\.wavi").unwrap();
        let regex = Some("@bob:.*\\.wavi".to_owned());
        assert_eq!(sync, SyncFrom { after: Some(7), limit: 1, regex });
        let far = SyncFrom::parse("from:99999999999999999999999:limit:99999999999999999999999");
        assert_eq!(far.map(|sync| (sync.after, sync.limit)), Ok((Some(u64::MAX), u64::MAX)));
    }

    #[test]
    fn s159_what_is_no_page_is_refused() {
        for args in [
            "5",
            "from",
            "from:5",
            "from:-2:limit:5",
            "from:5:limit",
            "from:5:limit:",
            "from:5:limit:x",
            "from:5:limit:5:",
            "from::limit:5",
            "from:5:regex:x",
        ] {
            assert_eq!(SyncFrom::parse(args), Err(SYNTAX), "{args}");
        }
        let long = format!("from:-1:limit:1:{}", "x".repeat(REGEX_BYTES_MAX + 1));
        assert_eq!(SyncFrom::parse(&long), Err(SYNTAX));
    }
}
