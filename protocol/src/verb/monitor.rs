//! `monitor[:strict][:selfNotifications][:multiplexed][:<since>][ regex]` (protocol notes 5.16).

use super::{VerbError, grammar};
use crate::Timestamp;
use crate::limits::REGEX_BYTES_MAX;

const HINT: &str = "e.g. monitor:0 .wavi";

/// Asks to be told of notifications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Monitor {
    /// Only what matches: no statistics.
    pub strict: bool,
    /// Also what the server tells its owner, such as pending enrolments.
    pub self_notifications: bool,
    /// Commands and their answers go on over the same connection.
    pub multiplexed: bool,
    /// First what has come since.
    pub since: Option<Timestamp>,
    /// Matched somewhere in the key, or in the sender's name without `@`. Both are lower case.
    pub regex: Option<String>,
}

impl Monitor {
    /// The options end at the first blank, since the regular expression may contain colons.
    pub(super) fn parse(line: &str) -> Result<Self, VerbError> {
        let syntax = VerbError::Syntax { hint: HINT };
        let (command, regex) = line.split_once(' ').unwrap_or((line, ""));
        if regex.len() > REGEX_BYTES_MAX {
            return Err(syntax);
        }
        // A command without a colon counts as lower case (protocol notes 2.2, 5.16).
        let is_folded = !command.contains(':');
        let fold = |regex| if is_folded { grammar::fold(regex) } else { regex.to_owned() };
        let regex = (!regex.is_empty()).then(|| fold(regex));
        let mut monitor = Self { regex, ..Self::default() };
        for word in command.split(':').skip(1) {
            match word.to_ascii_lowercase().as_str() {
                "strict" => monitor.strict = true,
                "selfnotifications" => monitor.self_notifications = true,
                "multiplexed" => monitor.multiplexed = true,
                digits => monitor.since = Some(since(digits).ok_or(syntax.clone())?),
            }
        }
        Ok(monitor)
    }
}

fn since(digits: &str) -> Option<Timestamp> {
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().map(Timestamp)
}
