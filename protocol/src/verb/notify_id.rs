//! `notify:status:<id>`, `notify:fetch:<id>`, `notify:remove:<id>` (protocol notes 5.15).

use super::{VerbError, grammar};
use crate::limits::NOTIFICATION_ID_BYTES_MAX;

pub(super) fn status(args: &str) -> Result<String, VerbError> {
    id(args, "status", "e.g. notify:status:<id>")
}

pub(super) fn fetch(args: &str) -> Result<String, VerbError> {
    id(args, "fetch", "e.g. notify:fetch:<id>")
}

pub(super) fn remove(args: &str) -> Result<String, VerbError> {
    id(args, "remove", "e.g. notify:remove:<id>")
}

fn id(args: &str, word: &str, hint: &'static str) -> Result<String, VerbError> {
    let id = grammar::strip_word(args, word).filter(|id| is_short_word(id));
    id.map(str::to_owned).ok_or(VerbError::Syntax { hint })
}

fn is_short_word(id: &str) -> bool {
    (1..=NOTIFICATION_ID_BYTES_MAX).contains(&id.len()) && !id.contains(char::is_whitespace)
}
