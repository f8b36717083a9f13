//! Regular expressions of clients: searched in time linear in the text, compiled within a limit.

use protocol::{AtSign, ErrorCode};
use regex::{Regex, RegexBuilder};

use crate::limits::REGEX_COMPILED_BYTES_MAX;
use crate::refusal::Refusal;

/// A client's regular expression; without one, everything matches.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Option<Regex>);

impl Pattern {
    pub(crate) fn compile(text: Option<&str>) -> Result<Self, Refusal> {
        // The most frequent one asks for everything.
        let Some(text) = text.filter(|text| *text != ".*") else { return Ok(Self(None)) };
        let built = RegexBuilder::new(text)
            .size_limit(REGEX_COMPILED_BYTES_MAX)
            .dfa_size_limit(REGEX_COMPILED_BYTES_MAX)
            .build();
        built.map(|regex| Self(Some(regex))).map_err(|_| {
            let text = "Invalid syntax. The regular expression cannot be used";
            Refusal::new(ErrorCode::InvalidSyntax, text)
        })
    }

    /// Whether it matches somewhere in the text.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.0.as_ref().is_none_or(|regex| regex.is_match(text))
    }

    /// Whether it matches a notification: in its key, or in its sender's name without `@`.
    pub(crate) fn is_notification(&self, key: &str, sender: &AtSign) -> bool {
        self.is_match(key) || self.is_match(sender.bare())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn s138_an_expression_that_cannot_be_used_is_refused_and_none_takes_long() {
        for bad in ["(", "[z-a]", "(?<=x)y", "(a{1000}){1000}", "\\p{Nonsense}"] {
            let refusal = Pattern::compile(Some(bad)).unwrap_err();
            assert_eq!(refusal.fault.code, ErrorCode::InvalidSyntax, "{bad}");
            assert!(!refusal.closes, "{bad}");
        }
        let costly = Pattern::compile(Some("(a*)*(a*)*b")).unwrap();
        assert!(!costly.is_match(&"a".repeat(100_000)));
    }

    #[test]
    fn without_an_expression_everything_matches() {
        assert!(Pattern::compile(None).unwrap().is_match(""));
        assert!(Pattern::compile(Some(".*")).unwrap().is_match("x"));
        let dot = Pattern::compile(Some(r"\.wavi@")).unwrap();
        assert!(dot.is_match("phone.wavi@alice") && !dot.is_match("phonewavi@alice"));
    }
}
