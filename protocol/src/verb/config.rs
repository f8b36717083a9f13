//! `config:block:add|remove:@a[ @b…]`, `config:block:show`, `config:set|reset|print:…` (protocol
//! notes 5.17).

use super::{VerbError, grammar};
use crate::AtSign;

const HINT: &str = "e.g. config:block:add:@bob @carol";

const SYNTAX: VerbError = VerbError::Syntax { hint: HINT };

/// Settings of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Config {
    /// These may not connect any more.
    Block(Vec<AtSign>),
    /// These may again.
    Unblock(Vec<AtSign>),
    /// Who may not.
    ShowBlocked,
    /// One of the settings for tests.
    Setting,
}

impl Config {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let (word, rest) = args.split_once(':').ok_or(SYNTAX)?;
        match word.to_ascii_lowercase().as_str() {
            "block" if rest.eq_ignore_ascii_case("show") => Ok(Self::ShowBlocked),
            "block" => {
                let (operation, list) = rest.split_once(':').ok_or(SYNTAX)?;
                match operation.to_ascii_lowercase().as_str() {
                    "add" => names(list).map(Self::Block),
                    "remove" => names(list).map(Self::Unblock),
                    _ => Err(SYNTAX),
                }
            }
            "set" | "reset" | "print" if !rest.is_empty() => Ok(Self::Setting),
            _ => Err(SYNTAX),
        }
    }
}

/// `@bob @carol`; each once.
fn names(list: &str) -> Result<Vec<AtSign>, VerbError> {
    let mut names = Vec::new();
    for name in list.split(' ') {
        if !name.starts_with('@') {
            return Err(SYNTAX);
        }
        names.push(grammar::at_sign(name, HINT)?);
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn who_is_blocked_is_a_list_of_names() {
        let names = |texts: &[&str]| texts.iter().map(|t| AtSign::parse(t).unwrap()).collect();
        assert_eq!(Config::parse("block:add:@bob"), Ok(Config::Block(names(&["@bob"]))));
        let two = Config::Unblock(names(&["@bob", "@carol"]));
        assert_eq!(Config::parse("Block:Remove:@carol @bob @bob"), Ok(two));
        assert_eq!(Config::parse("block:show"), Ok(Config::ShowBlocked));
        for setting in ["set:autoNotify=false", "reset:autoNotify", "print:inboundMaxLimit"] {
            assert_eq!(Config::parse(setting), Ok(Config::Setting), "{setting}");
        }
        for bad in [
            "",
            "block",
            "block:",
            "block:show:@bob",
            "block:add",
            "block:add:",
            "block:add:bob",
            "block:add:@",
            "block:add:@bob  @carol",
            "block:add:@bob,@carol",
            "block:forget:@bob",
            "set",
            "set:",
            "forget:x",
        ] {
            assert!(Config::parse(bad).is_err(), "{bad}");
        }
    }
}
