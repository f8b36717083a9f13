//! `llookup[:meta|:all][:cached][:public|:@with]:entity@owner` (protocol notes 5.5).

use super::grammar::{self, KeyFault};
use super::{Projection, VerbError};
use crate::key::AtKey;

const HINT: &str = "e.g. llookup:all:@bob:phone.wavi@alice";

/// Reads exactly one key of the own store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Llookup {
    /// Which. `private:` keys and `privatekey:` names are for the server alone: they do not parse.
    pub key: AtKey,
    /// What of it.
    pub projection: Projection,
}

impl Llookup {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let (projection, text) = Projection::strip(args);
        let syntax = VerbError::Syntax { hint: HINT };
        let (scoped, owner) = text.rsplit_once('@').ok_or(syntax.clone())?;
        if scoped.is_empty() || !grammar::is_bare_name(owner) {
            return Err(syntax);
        }
        let key = grammar::key(text, "").map_err(|fault| match fault {
            KeyFault::Name(error) => VerbError::Name(error),
            KeyFault::Form if scoped.contains('@') => syntax,
            // The grammar takes much here that is not a key; nothing is stored under it.
            KeyFault::Form | KeyFault::Key(_) => VerbError::no_such_key(text),
        })?;
        Ok(Self { key, projection })
    }
}

impl Projection {
    /// Takes `meta:` or `all:` off the front.
    pub(super) fn strip(text: &str) -> (Self, &str) {
        if let Some(rest) = grammar::strip_word(text, "meta") {
            (Self::Meta, rest)
        } else if let Some(rest) = grammar::strip_word(text, "all") {
            (Self::All, rest)
        } else {
            (Self::Value, text)
        }
    }
}
