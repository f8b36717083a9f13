//! `scan[:showHidden:true][:@of][:page:n][ regex]` (protocol notes 5.8).

use super::{VerbError, grammar};
use crate::AtSign;
use crate::limits::REGEX_BYTES_MAX;

const HINT: &str = "e.g. scan:showHidden:true .wavi";

/// Lists keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Hidden keys too.
    pub show_hidden: bool,
    /// What another shares with the caller, instead of the own keys.
    pub of: Option<AtSign>,
    /// Only keys in which this matches somewhere. Keys are lower case.
    pub regex: Option<String>,
}

impl Scan {
    /// The options end at the first blank, since the regular expression may contain colons.
    pub(super) fn parse(line: &str) -> Result<Self, VerbError> {
        let syntax = VerbError::Syntax { hint: HINT };
        let (command, regex) = line.split_once(' ').unwrap_or((line, ""));
        let mut scan = Self { regex: parse_regex(line, regex)?, ..Self::default() };
        let mut words = command.split(':').skip(1);
        while let Some(word) = words.next() {
            if word.starts_with('@') && scan.of.is_none() {
                scan.of = Some(grammar::at_sign(word, HINT)?);
                continue;
            }
            let value = words.next().ok_or(syntax.clone())?.to_ascii_lowercase();
            match (word.to_ascii_lowercase().as_str(), value.as_str()) {
                ("showhidden", "true") => scan.show_hidden = true,
                ("showhidden", "false") => scan.show_hidden = false,
                ("page", number) if is_number(number) => {}
                _ => return Err(syntax),
            }
        }
        Ok(scan)
    }
}

fn parse_regex(line: &str, regex: &str) -> Result<Option<String>, VerbError> {
    let regex = regex.trim();
    if regex.contains(char::is_whitespace) || regex.len() > REGEX_BYTES_MAX {
        return Err(VerbError::Syntax { hint: HINT });
    }
    // A command without a colon counts as lower case (protocol notes 2.2); keys are.
    let is_folded = !line.contains(':');
    let fold = |regex| if is_folded { grammar::fold(regex) } else { regex.to_owned() };
    Ok((!regex.is_empty()).then(|| fold(regex)))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
