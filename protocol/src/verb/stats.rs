//! `stats[:<id>[,<id>…]][:regex]` (protocol notes 5.10).

use super::VerbError;
use crate::limits::REGEX_BYTES_MAX;
use crate::stat::Stat;

const HINT: &str = "e.g. stats:3 or stats:3:.wavi";

const SYNTAX: VerbError = VerbError::Syntax { hint: HINT };

/// Asks for statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Which, each once, in the order asked for.
    pub wanted: Vec<Stat>,
    /// Only keys in which this matches somewhere; with [`Stat::LastCommit`] or
    /// [`Stat::LatestCommits`] alone.
    pub regex: Option<String>,
}

impl Stats {
    /// `stats` alone has no arguments and asks for all.
    pub(super) fn parse(line: &str) -> Result<Self, VerbError> {
        let Some((_, args)) = line.split_once(':') else {
            return Ok(Self { wanted: Stat::ALL.to_vec(), regex: None });
        };
        let (ids, regex) = match args.split_once(':') {
            Some((ids, regex)) => (ids, Some(regex)),
            None => (args, None),
        };
        let mut wanted = Vec::new();
        for id in ids.split(',') {
            let stat = Stat::of_id(id).ok_or(SYNTAX)?;
            if !wanted.contains(&stat) {
                wanted.push(stat);
            }
        }
        let takes_regex = matches!(*wanted, [Stat::LastCommit | Stat::LatestCommits]);
        match regex {
            None => Ok(Self { wanted, regex: None }),
            Some(regex) if takes_regex && (1..=REGEX_BYTES_MAX).contains(&regex.len()) => {
                Ok(Self { wanted, regex: Some(regex.to_owned()) })
            }
            Some(_) => Err(SYNTAX),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn statistics_are_asked_for_by_their_ids_or_all_at_once() {
        assert_eq!(Stats::parse("stats").unwrap().wanted, Stat::ALL);
        let two = Stats::parse("stats:7,3,7").unwrap();
        assert_eq!(two, Stats { wanted: vec![Stat::Version, Stat::LastCommit], regex: None });
        let some = Stats::parse("stats:15:@bob:.*").unwrap();
        let regex = Some("@bob:.*".to_owned());
        assert_eq!(some, Stats { wanted: vec![Stat::LatestCommits], regex });
    }

    #[test]
    fn s149_what_is_no_statistic_is_refused() {
        for line in [
            "stats:",
            "stats:0",
            "stats:-1",
            "stats:16",
            "stats:99",
            "stats:99999999999999999999",
            "stats:03",
            "stats:3,",
            "stats:3,,4",
            "stats:x",
            "stats:3:",
            "stats:4:x",
            "stats:3,15:x",
        ] {
            assert_eq!(Stats::parse(line), Err(SYNTAX), "{line}");
        }
        let many = format!("stats:{}3", "3,".repeat(100_000));
        assert_eq!(Stats::parse(&many).map(|stats| stats.wanted.len()), Ok(1));
    }
}
