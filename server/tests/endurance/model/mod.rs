//! What a personal server has to be, in few words: a map of keys, who sees which of them, and who a
//! connection belongs to. It reads commands with the parser of the product, which has tests of its
//! own, and shares nothing else with the server.

mod answers;
mod changes;
mod counting;
mod enrolling;
mod kept;
mod outcome;
mod reading;
mod secrets;
mod session;

use std::collections::{BTreeMap, BTreeSet};

use protocol::AtSign;
use protocol::enrollment::Namespaces;

pub use self::kept::Kept;
pub use self::outcome::{Effect, Wanted};
use self::secrets::Secret;
pub use self::secrets::guarded;
pub use self::session::{Proved, Session, Who};
use crate::commits::Log;
use crate::enrolled::{Enrolment, Enrolments};
use crate::grants::Grant;

pub const OWNER: &str = "@alice";
pub const PEER: &str = "@bob";

const PKAM_KEY: &str = "privatekey:at_pkam_publickey";

/// All that a server holds, as far as clients can tell.
#[derive(Debug, Default)]
pub struct Model {
    pub keys: BTreeMap<String, Kept>,
    pub log: Log,
    pub enrolments: Enrolments,
    blocked: Vec<AtSign>,
    nothing: Namespaces,
    is_secret_gone: bool,
    secrets: Vec<Secret>,
    next_commit: Option<u64>,
    /// Commits that may have happened since the last one that was told.
    slack: u64,
    /// Commits that may happen at any time: the server makes what it signs with when it lacks it.
    lasting_slack: u64,
    /// Keys that the server writes by itself.
    wild: BTreeSet<String>,
    /// Something happened that the model knows nothing of: only who sees what still counts.
    pub is_blind: bool,
}

impl Model {
    /// What a connection may do, unless that is everything.
    pub fn grant(&self, session: &Session) -> Option<Grant<'_>> {
        let id = session.enrolment.as_ref()?;
        Some(self.enrolments.all.get(id).map_or(Grant(&self.nothing), Enrolment::grant))
    }
}
