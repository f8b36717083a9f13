//! Moving an identity to another cell of her swarm.
//!
//! ```text
//!  a cell is chosen, she counts there ──▶ her record, durable ──▶ all are told ──▶ they know
//!        refused: she stays                 no way back            Release, Keep, route
//! ```
//! Her record with the next epoch is the whole move. Whatever the old cell does after that, opening
//! her volume under the new epoch shuts it out.

mod keep;

use std::sync::Arc;

use protocol::control::names::CellId;
use protocol::{AtSign, Epoch};
use serde::Serialize;

use crate::error::LedgerError;
use crate::fleet::{Cause, Fleet, FleetError};
use crate::names::NoEpochLeft;
use crate::registrar::Registrar;
use crate::state::State;

/// Why somebody was not moved. She is where she was.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// Nobody has the name.
    #[error("{0} is not registered")]
    Unknown(AtSign),
    /// It has no place yet, or all servers are in the registrar's own process.
    #[error("{0} lives in no cell")]
    NoCell(AtSign),
    /// She lives elsewhere by now.
    #[error("{identity} lives in {cell}")]
    Elsewhere {
        /// Who.
        identity: AtSign,
        /// Where.
        cell: CellId,
    },
    /// No cell takes her, or the fleet knows none such.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// Somebody works on the name.
    #[error("something else is being done with {0}")]
    Busy(AtSign),
    /// Her epochs are used up.
    #[error(transparent)]
    NoEpochLeft(#[from] NoEpochLeft),
    /// The store does not do its work.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The registrar ended.
    #[error("the registrar is stopping")]
    Stopping,
}

/// A move that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// Whose.
    pub identity: AtSign,
    /// From which cell.
    pub from: CellId,
    /// To which.
    pub to: CellId,
    /// Her epoch now.
    pub epoch: Epoch,
    /// Whether the new cell has heard of it; if not, it will.
    pub is_known: bool,
}

/// What is to be moved, and why.
#[derive(Debug, Clone, Copy)]
struct Errand {
    /// Only from there.
    from: Option<CellId>,
    /// There, or where the policy says.
    to: Option<CellId>,
    cause: Cause,
}

impl Registrar {
    /// Moves an identity to another cell of her swarm: to this one, or to the best one. Returns when
    /// both cells have heard of it, or after a while. It goes on to its end even if nobody waits.
    ///
    /// # Errors
    /// [`MoveError`]; she is where she was, unless it is [`LedgerError::OutOfReach`]: what was begun
    /// goes on with the store.
    pub async fn move_identity(
        self: &Arc<Self>,
        name: AtSign,
        to: Option<CellId>,
    ) -> Result<Move, MoveError> {
        self.ledger.in_reach()?;
        let this = Arc::clone(self);
        let errand = Errand { from: None, to, cause: Cause::Order };
        let task = tokio::spawn(async move {
            let turn = this.turns.take(&name).await;
            let _turn = turn.ok_or_else(|| MoveError::Busy(name.clone()))?;
            this.move_in_turn(&name, errand).await
        });
        tokio::select! {
            biased;
            outcome = task => outcome.map_err(|_| MoveError::Stopping)?,
            error = self.ledger.out_of_reach() => Err(error.into()),
        }
    }

    /// The caller has the name's turn, and does not stop half-way.
    async fn move_in_turn(&self, name: &AtSign, errand: Errand) -> Result<Move, MoveError> {
        let fleet = self.fleet.as_ref().ok_or_else(|| MoveError::NoCell(name.clone()))?;
        let record = self.ledger.name(name).await?;
        let record = record.filter(|record| record.state() != State::Retired);
        let record = record.ok_or_else(|| MoveError::Unknown(name.clone()))?;
        let home = record.home().ok_or_else(|| MoveError::NoCell(name.clone()))?;
        let from = home.cell.ok_or_else(|| MoveError::NoCell(name.clone()))?;
        if errand.from.is_some_and(|expected| expected != from) {
            return Err(MoveError::Elsewhere { identity: name.clone(), cell: from });
        }
        let to = fleet.reserve(from, errand.to, (home.claim.tier, errand.cause))?;
        let reserved = Reserved { fleet, to: Some(to) };
        let next = record.moved_into(to)?.ok_or_else(|| MoveError::NoCell(name.clone()))?;
        let home = *next.home().ok_or_else(|| MoveError::NoCell(name.clone()))?;
        let placement = self.placement(name, &home)?;
        let next = self.write::<MoveError>(name, |_| Ok(next)).await?;
        reserved.keep();
        let moved = fleet.moved(&placement, (from, to), next.state());
        self.metrics.moved_cell(errand.cause);
        let (epoch, cause) = (home.epoch(), errand.cause.as_str());
        tracing::debug!(identity = %name, %from, %to, %epoch, cause, "moved");
        let is_known = errand.cause != Cause::Lost && fleet.have_heard(&moved).await;
        Ok(Move { identity: name.clone(), from: moved.from, to: moved.to, epoch, is_known })
    }
}

/// A place that is given back unless somebody comes.
struct Reserved<'a> {
    fleet: &'a Fleet,
    to: Option<CellId>,
}

impl Reserved<'_> {
    fn keep(mut self) {
        self.to = None;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.to.into_iter().for_each(|to| self.fleet.give_back(to));
    }
}
