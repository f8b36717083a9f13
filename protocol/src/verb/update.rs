//! `update[:metadata…][:public|:@with]:entity[@owner] value` (protocol notes 5.3).

use super::grammar::{self, KeyFault};
use super::{VerbError, update_json};
use crate::key::AtKey;
use crate::{AtSign, MetadataPatch};

const HINT: &str = "e.g. update:@bob:phone.wavi@alice +1 555 0100";

/// The one key without owner that a client may write.
const PKAM_KEY: &str = "privatekey:at_pkam_publickey";

/// Writes a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Where; of a kind that clients may write.
    pub key: AtKey,
    /// What.
    pub value: String,
    /// The metadata that the command gives.
    pub patch: MetadataPatch,
}

impl Update {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        if let Some(json) = grammar::strip_word(args, "json") {
            return update_json::parse(json);
        }
        // Neither metadata nor keys contain a blank, so the first one begins the value.
        let (subject, value) = args.split_once(' ').ok_or(VerbError::Syntax { hint: HINT })?;
        if value.is_empty() {
            return Err(VerbError::Syntax { hint: HINT });
        }
        let (patch, key) = metadata_parts(subject)?;
        let key = writable_key(key, HINT)?;
        Ok(Self { key, value: value.to_owned(), patch })
    }

    /// Whether this server's owner may write the key: it is hers, or nobody's.
    ///
    /// # Errors
    /// [`VerbError::InvalidKey`] where it is another's.
    pub fn check_owner(&self, identity: &AtSign) -> Result<(), VerbError> {
        check_owner(&self.key, identity, "update")
    }
}

/// Reads metadata parts up to the first word that is none; gives back the rest, a key.
pub(super) fn metadata_parts(text: &str) -> Result<(MetadataPatch, &str), VerbError> {
    let mut patch = MetadataPatch::default();
    let mut rest = text;
    while let Some((name, value, next)) = grammar::strip_part(rest) {
        if !patch.take(name, value)? {
            break;
        }
        rest = next;
    }
    Ok((patch, rest))
}

/// Reads a key of a kind that clients may write.
pub(super) fn writable_key(text: &str, hint: &'static str) -> Result<AtKey, VerbError> {
    let key = grammar::key(text, PKAM_KEY).map_err(|fault| match fault {
        KeyFault::Form => VerbError::Syntax { hint },
        KeyFault::Name(error) => VerbError::Name(error),
        KeyFault::Key(error) => VerbError::unwritable(&error),
    })?;
    if key.kind().is_writable() {
        Ok(key)
    } else {
        Err(VerbError::unwritable_kind(key.kind().wire_name()))
    }
}

pub(super) fn check_owner(key: &AtKey, identity: &AtSign, verb: &str) -> Result<(), VerbError> {
    match key.owner() {
        Some(owner) if owner != *identity => Err(VerbError::InvalidKey(format!(
            "Invalid {verb} command - sharedBy atsign {owner} should be same as current atsign \
             {identity}"
        ))),
        _ => Ok(()),
    }
}
