//! Why something was not done for the fleet.

use protocol::Term;
use protocol::control::names::{CellId, NodeName, SwarmName};

use super::moving::NoTarget;
use crate::error::LedgerError;

/// Why a cell, a router, an agent or an operator does not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// There is no such swarm.
    #[error("there is no swarm {0}")]
    UnknownSwarm(SwarmName),
    /// There is no such cell.
    #[error("there is no {0}")]
    UnknownCell(CellId),
    /// No agent has told of such a node.
    #[error("no agent has told of a node {0}")]
    UnknownNode(NodeName),
    /// Somebody else has started the cell since, or it is not to run any more.
    #[error("{cell} is run by somebody else since, or by nobody")]
    Superseded {
        /// Which cell.
        cell: CellId,
        /// Its newest term; none where it is not to run.
        newest: Option<Term>,
    },
    /// The swarm exists.
    #[error("the swarm {0} exists already")]
    SwarmExists(SwarmName),
    /// The swarm has cells.
    #[error("the swarm {swarm} has {cells} cells")]
    SwarmInUse {
        /// Which.
        swarm: SwarmName,
        /// How many.
        cells: usize,
    },
    /// Identities live in the cell.
    #[error("{residents} identities live in {cell}")]
    CellInUse {
        /// Which.
        cell: CellId,
        /// How many.
        residents: usize,
    },
    /// A cell's description cannot be.
    #[error("{0}")]
    BadCell(String),
    /// More than is kept.
    #[error("there are {0} already, which is the most")]
    TooMany(usize),
    /// Nowhere to move somebody.
    #[error(transparent)]
    NoTarget(#[from] NoTarget),
    /// A cell's terms are used up.
    #[error("{0} was started so often that no term is left")]
    NoTermLeft(CellId),
    /// The store does not do its work.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The registrar ends.
    #[error("the registrar is stopping")]
    Stopping,
}
