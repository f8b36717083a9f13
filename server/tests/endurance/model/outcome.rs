//! What a command comes to: the answer that is wanted, and what it does besides.

use protocol::enrollment::EnrollmentStatus;
use protocol::response::ErrorShape;
use protocol::verb::{
    BatchCommand, Config, Decision, EnrollRequest, KeysPut, Notify, NotifyAll, Stats, SyncFrom,
};
use protocol::{AtKey, EnrollmentId, MetadataPatch};

use super::{Kept, Proved};
use crate::enrolled::By;

/// What an answer has to be.
#[derive(Debug, Clone)]
pub enum Wanted {
    Data(String),
    Null,
    Error(&'static str),
    Failure,
    /// No key, or one whose time is over.
    Nothing,
    /// Just these names; only some of them where there is an expression.
    Names {
        prefix: String,
        names: Vec<String>,
        is_filtered: bool,
    },
    /// Key, value and metadata, or only these.
    Record {
        key: String,
        kept: Kept,
        is_whole: bool,
    },
    /// The id of a commit; -1 where there is none.
    Commit {
        is_committed: bool,
    },
    /// A challenge.
    Challenge {
        is_own: bool,
    },
    /// The peer's prompt alone.
    Believed,
    /// No answer at all.
    Silence,
    /// Data, whatever they are.
    Some,
    /// Data or an error.
    Any,
    /// What came after a commit.
    Page(SyncFrom),
    Stats(Stats),
    /// What each of these comes to, one after the other.
    Batch(Vec<BatchCommand>),
    /// An id for each of these.
    Recipients(Vec<String>),
    Passcode,
    /// An enrolment that is so now; of this id, unless it is new.
    Enrolled(&'static str, Option<String>),
    /// What the connection sees of the enrolments.
    Enrolments(Option<Vec<EnrollmentStatus>>),
    /// Just these, in any order.
    KeyNames(Vec<String>),
    /// What an enrolment keeps under a name.
    KeptKey(String),
}

/// What a command does besides.
#[derive(Debug, Clone)]
pub enum Effect {
    None,
    Put {
        key: AtKey,
        patch: Box<MetadataPatch>,
        value: Option<String>,
    },
    Delete(AtKey),
    ForgetSecret,
    /// It is of this one if the command succeeds, and nobody's otherwise.
    Prove(Proved),
    Ask(ErrorShape),
    Monitor,
    Tell(Box<Notify>),
    TellAll(Box<NotifyAll>),
    /// Copies of others' keys may have changed: at most so many commits.
    Copies(u64),
    Block(Config),
    Draw(Option<i64>),
    SetPasscode(String, Option<i64>),
    /// Counts, whatever it comes to.
    Enrol(Box<EnrollRequest>, By),
    Decide(EnrollmentId, Decision),
    KeepKey(String, Box<KeysPut>),
    ForgetKey(String),
}
