//! `lookup:[bypassCache:true:][meta:|all:]entity@owner` (protocol notes 5.6).

use super::{Projection, VerbError, grammar};
use crate::{AtSign, Entity};

const HINT: &str = "e.g. lookup:all:phone.wavi@bob";

/// Reads what the caller may read under this name; which key that is depends on the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Under which name.
    pub entity: Entity,
    /// Whose.
    pub owner: AtSign,
    /// What of it.
    pub projection: Projection,
    /// Ask the owner even if there is a fresh copy.
    pub bypass_cache: bool,
}

impl Lookup {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        parse(args, HINT)
    }
}

/// The form that `lookup` and `plookup` share.
pub(super) fn parse(args: &str, hint: &'static str) -> Result<Lookup, VerbError> {
    let (bypass_cache, text) = strip_bypass(args, hint)?;
    let (projection, text) = Projection::strip(text);
    let (entity, owner) = text.rsplit_once('@').ok_or(VerbError::Syntax { hint })?;
    if entity.is_empty() || entity.starts_with(':') {
        return Err(VerbError::Syntax { hint });
    }
    let owner = grammar::at_sign(owner, hint)?;
    let entity = Entity::parse(entity).map_err(|_| VerbError::no_such_key(text))?;
    Ok(Lookup { entity, owner, projection, bypass_cache })
}

fn strip_bypass<'a>(args: &'a str, hint: &'static str) -> Result<(bool, &'a str), VerbError> {
    let Some(rest) = grammar::strip_word(args, "bypassCache") else { return Ok((false, args)) };
    let (flag, rest) = rest.split_once(':').ok_or(VerbError::Syntax { hint })?;
    match flag.to_ascii_lowercase().as_str() {
        "true" => Ok((true, rest)),
        "false" => Ok((false, rest)),
        _ => Err(VerbError::Syntax { hint }),
    }
}
