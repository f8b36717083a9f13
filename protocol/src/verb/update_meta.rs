//! `update:meta[:public|:@with]:entity@owner[:metadata…]` (protocol notes 5.4).

use super::{VerbError, grammar, update};
use crate::key::AtKey;
use crate::{AtSign, MetadataPatch};

const HINT: &str = "e.g. update:meta:@bob:phone.wavi@alice:ttr:86400:ccd:true";

/// Writes metadata and leaves the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateMeta {
    /// Where; of a kind that clients may write.
    pub key: AtKey,
    /// The metadata that the command gives.
    pub patch: MetadataPatch,
}

impl UpdateMeta {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let syntax = VerbError::Syntax { hint: HINT };
        let args = grammar::strip_word(args, "meta").ok_or(syntax.clone())?;
        // The owner's `@` is the last one: no metadata part contains any.
        let (scoped, tail) = args.rsplit_once('@').ok_or(syntax.clone())?;
        let (owner, parts) = tail.split_once(':').unwrap_or((tail, ""));
        let key = update::writable_key(&format!("{scoped}@{owner}"), HINT)?;
        let mut patch = MetadataPatch::default();
        let mut words = parts.split(':').filter(|_| !parts.is_empty());
        while let Some(name) = words.next() {
            let value = words.next().ok_or(syntax.clone())?;
            if !patch.take(name, value)? {
                return Err(syntax);
            }
        }
        Ok(Self { key, patch })
    }

    /// Whether this server's owner may write the key: it is hers, or nobody's.
    ///
    /// # Errors
    /// [`VerbError::InvalidKey`] where it is another's.
    pub fn check_owner(&self, identity: &AtSign) -> Result<(), VerbError> {
        update::check_owner(&self.key, identity, "update")
    }
}
