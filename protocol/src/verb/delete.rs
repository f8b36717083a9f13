//! `delete[:priority:p][:cached][:public|:@with]:entity[@owner]` (protocol notes 5.9).

use super::grammar::{self, KeyFault};
use super::{VerbError, update};
use crate::AtSign;
use crate::key::AtKey;

const HINT: &str = "e.g. delete:@bob:phone.wavi@alice";

/// The one key without owner that a client may delete: the activation secret.
const SECRET_KEY: &str = "privatekey:at_secret";

/// Deletes a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// Which.
    pub key: AtKey,
}

impl Delete {
    pub(super) fn parse(args: &str) -> Result<Self, VerbError> {
        let syntax = VerbError::Syntax { hint: HINT };
        let text = match grammar::strip_part(args) {
            Some((name, value, rest)) if name.eq_ignore_ascii_case("priority") => {
                let known = ["low", "medium", "high"].iter().any(|p| p.eq_ignore_ascii_case(value));
                known.then_some(rest).ok_or(syntax.clone())?
            }
            _ => args,
        };
        let key = grammar::key(text, SECRET_KEY).map_err(|fault| match fault {
            KeyFault::Form => syntax,
            KeyFault::Name(error) => VerbError::Name(error),
            KeyFault::Key(error) => VerbError::InvalidKey(error.to_string()),
        })?;
        Ok(Self { key })
    }

    /// Whether it deletes the activation secret, which has rules of its own (protocol notes 4.2).
    #[must_use]
    pub fn is_activation_secret(&self) -> bool {
        self.key.as_str() == SECRET_KEY
    }

    /// Whether this server's owner may delete the key: it is hers or nobody's, or a cached copy.
    ///
    /// # Errors
    /// [`VerbError::InvalidKey`] where it is another's.
    pub fn check_owner(&self, identity: &AtSign) -> Result<(), VerbError> {
        if self.key.is_cached() {
            Ok(())
        } else {
            update::check_owner(&self.key, identity, "delete")
        }
    }
}
