//! Who lives in a cell: what the registrar tells the process that runs it, and what it hears back.
//!
//! A cell asks for a term when it starts, reads the whole roster, and follows it by number. A
//! registrar that was started again, or set back, has another run number; a cell believes none that
//! is lower than one it has seen.

use serde::{Deserialize, Serialize};

use super::names::{CellId, NodeName};
use super::placement::Placement;
use super::usage::UsageBatch;
use crate::{AtSign, Epoch, Term, VolumeId};

/// Most orders in one [`Roster`], and most outcomes in one [`CellReport`].
pub const ORDERS_MAX: usize = 10_000;

/// How the process that starts a cell introduces itself: `POST /v1/cells/{cell}/terms`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TermRequest {
    /// On which machine it runs.
    pub node: NodeName,
    /// The program's version.
    pub version: String,
}

/// What it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermGrant {
    /// Which cell.
    pub cell: CellId,
    /// Higher than every one that this cell had.
    pub term: Term,
}

/// A position in what a registrar tells: numbers of another run mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Which start of the registrar; it only ever grows.
    pub run: u64,
    /// How much of that run's news is known.
    pub number: u64,
}

/// What is to be with one identity in this cell.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "lowercase")]
pub enum Order {
    /// Make her volume and keys if they do not exist, and serve her; report when it is done.
    Create {
        /// Who, where, under which epoch.
        placement: Placement,
        /// With which she activates it.
        secret: String,
    },
    /// Serve her.
    Keep {
        /// Who, where, under which epoch.
        placement: Placement,
    },
    /// Serve her no more, and leave her volume alone: she lives elsewhere.
    Release {
        /// Which volume.
        volume: VolumeId,
    },
    /// End her server and delete her volume with its keys; report when it is done.
    Remove {
        /// Who, where, under which epoch.
        placement: Placement,
    },
}

/// Part of what the registrar wants of a cell: `GET
/// /v1/cells/{cell}/roster?term=T&run=R&after=N&wait=SECONDS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// Where the cell stands once it has taken these orders.
    pub upto: Position,
    /// Whether these orders are all there are: whoever is not among them does not live here.
    pub is_whole: bool,
    /// At most [`ORDERS_MAX`] unless it is whole; the later one of two about one volume counts.
    pub orders: Vec<Order>,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub enum Outcome {
    /// The volume exists, and she is served.
    Created,
    /// The volume is gone.
    Removed,
    /// It failed; the registrar decides whether to ask again.
    Failed {
        /// Why, for the operator. No secret, no value.
        reason: String,
    },
}

/// An outcome and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Who.
    pub identity: AtSign,
    /// Her volume.
    pub volume: VolumeId,
    /// The placement's epoch that the order had.
    pub epoch: Epoch,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What a cell tells now and then, and as soon as something was done: `POST
/// /v1/cells/{cell}/reports`. A report under a term that is not the newest is refused with 409, and
/// the process that sent it must serve nobody any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellReport {
    /// Whose report it is.
    pub term: Term,
    /// What was done since the last report that was taken.
    pub done: Vec<Done>,
    /// How it goes.
    pub counts: CellCounts,
    /// Servers that did not get on lately; at most [`ILL_MAX`], the quarantined first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ill: Vec<IllServer>,
    /// What some identities used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageBatch>,
}

/// Most servers that one [`CellReport`] tells of because they did not get on.
pub const ILL_MAX: usize = 64;

/// A server that did not get on: the cell gave it up and starts it again alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IllServer {
    /// Whose.
    pub identity: AtSign,
    /// Her volume.
    pub volume: VolumeId,
    /// How often, in the last ten minutes.
    pub restarts: u32,
    /// Whether it is left asleep for a while, because that is too often.
    pub is_quarantined: bool,
    /// What was wrong the last time. No secret, no value.
    pub why: String,
}

/// How a cell goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CellCounts {
    /// Servers that live here.
    pub residents: u64,
    /// Of them awake.
    pub awake: u64,
    /// Open connections.
    pub connections: u64,
    /// Resident memory of the process, in bytes.
    pub memory_bytes: u64,
    /// Servers that found themselves fenced, since the start.
    pub fenced: u64,
    /// Servers that did not get on and were started again, since the start.
    pub restarts: u64,
    /// Servers that are left asleep because that happened too often.
    pub quarantined: u64,
}

impl Order {
    /// About which volume it is.
    #[must_use]
    pub fn volume(&self) -> VolumeId {
        match self {
            Self::Create { placement, .. }
            | Self::Keep { placement }
            | Self::Remove { placement } => placement.volume,
            Self::Release { volume } => *volume,
        }
    }
}

/// Without the secret: orders come into logs.
impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create { placement, .. } => f.debug_tuple("Create").field(placement).finish(),
            Self::Keep { placement } => f.debug_tuple("Keep").field(placement).finish(),
            Self::Release { volume } => f.debug_tuple("Release").field(volume).finish(),
            Self::Remove { placement } => f.debug_tuple("Remove").field(placement).finish(),
        }
    }
}
