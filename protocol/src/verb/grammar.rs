//! What the grammars of several verbs have in common.

use super::VerbError;
use crate::key::{AtKey, KeyError};
use crate::{AtSign, NameError};

/// What follows the verb's word: from behind the first `:`, or nothing.
pub(super) fn after_head(line: &str) -> &str {
    line.split_once(':').map_or("", |(_, args)| args)
}

/// Takes `word:` off the front, in any case.
pub(super) fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = text.split_once(':')?;
    first.eq_ignore_ascii_case(word).then_some(rest)
}

/// Takes `name:value:` off the front; the value is not checked.
pub(super) fn strip_part(text: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = text.split_once(':')?;
    let (value, rest) = rest.split_once(':')?;
    Some((name, value, rest))
}

/// Why a text is not a key that a command may name.
pub(super) enum KeyFault {
    /// Not of the form `[cached:][public:|@with:]entity[@owner]`.
    Form,
    /// One of its names is none.
    Name(NameError),
    /// Not a key.
    Key(KeyError),
}

/// Reads `[cached:][public:|@with:]entity[@owner]`, or one reserved name without owner.
pub(super) fn key(text: &str, reserved: &str) -> Result<AtKey, KeyFault> {
    if text.eq_ignore_ascii_case(reserved) {
        return AtKey::parse(text).map_err(KeyFault::Key);
    }
    let (is_hidden, text) = strip_hidden(text);
    let (cached, rest) = match strip_word(text, "cached") {
        Some(rest) => ("cached:", rest),
        None => ("", text),
    };
    let (scope, rest) = scope(rest)?;
    if rest.contains(|c: char| c == ':' || c.is_whitespace()) {
        return Err(KeyFault::Form);
    }
    let (entity, owner) = match rest.split_once('@') {
        Some((entity, owner)) => (entity, name(owner)?.to_string()),
        None => (rest, String::new()),
    };
    if entity.is_empty() || (is_hidden && !entity.starts_with('_')) {
        return Err(KeyFault::Form);
    }
    AtKey::parse(&format!("{cached}{scope}{entity}{owner}")).map_err(KeyFault::Key)
}

/// One SDK writes the underscore of a hidden entity once more in front of the scope.
fn strip_hidden(text: &str) -> (bool, &str) {
    match text.strip_prefix('_') {
        Some(rest)
            if rest.starts_with('@')
                || strip_word(rest, "public").or(strip_word(rest, "cached")).is_some() =>
        {
            (true, rest)
        }
        _ => (false, text),
    }
}

fn scope(text: &str) -> Result<(String, &str), KeyFault> {
    if let Some(rest) = strip_word(text, "public") {
        return Ok(("public:".to_owned(), rest));
    }
    match text.strip_prefix('@').and_then(|rest| rest.split_once(':')) {
        Some((with, rest)) => Ok((format!("{}:", name(with)?), rest)),
        None => Ok((String::new(), text)),
    }
}

/// An atSign without its `@`, as the grammars have it: a second `@` or a blank is wrong syntax, any
/// other forbidden character is a wrong name.
fn name(bare: &str) -> Result<AtSign, KeyFault> {
    if !is_bare_name(bare) {
        return Err(KeyFault::Form);
    }
    AtSign::parse(bare).map_err(KeyFault::Name)
}

/// Whether the text is one or more characters, none of them `:`, `@` or a blank.
pub(super) fn is_bare_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c == ':' || c == '@' || c.is_whitespace())
}

/// Reads `@name` with or without its `@`.
pub(super) fn at_sign(text: &str, hint: &'static str) -> Result<AtSign, VerbError> {
    if !is_bare_name(text.strip_prefix('@').unwrap_or(text)) {
        return Err(VerbError::Syntax { hint });
    }
    AtSign::parse(text).map_err(VerbError::Name)
}

/// Lower-cases all of a regular expression but its escapes: `\S` must not become `\s`.
pub(super) fn fold(regex: &str) -> String {
    let mut is_escaped = false;
    let fold = |c: char| {
        let keep = is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        if keep { c } else { c.to_ascii_lowercase() }
    };
    regex.chars().map(fold).collect()
}
