//! `plookup:[bypassCache:true:][meta:|all:]entity@owner` (protocol notes 5.7).

use super::{Projection, VerbError, lookup};
use crate::{AtSign, Entity};

const HINT: &str = "e.g. plookup:all:location.wavi@bob";

/// Reads a public key of anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plookup {
    /// Under which name.
    pub entity: Entity,
    /// Whose.
    pub owner: AtSign,
    /// What of it.
    pub projection: Projection,
    /// Ask the owner even if there is a fresh copy.
    pub bypass_cache: bool,
}

impl Plookup {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let has_one_at = args.matches('@').take(2).count() == 1;
        if !has_one_at || args.contains(char::is_whitespace) {
            return Err(VerbError::Syntax { hint: HINT });
        }
        let lookup::Lookup { entity, owner, projection, bypass_cache } = lookup::parse(args, HINT)?;
        Ok(Self { entity, owner, projection, bypass_cache })
    }
}
