//! Orders to cells, and what becomes of them.

use protocol::VolumeId;
use protocol::control::names::CellId;
use protocol::control::roster::{Done, Order, Outcome};
use tokio::sync::oneshot;

use super::state::State;
use crate::limits::REASON_CHARS_MAX;
use crate::swarm::SwarmError;

/// Somebody who awaits what becomes of an order.
pub(super) struct Waiting {
    order: Order,
    outcome: oneshot::Sender<Outcome>,
}

impl State {
    /// The cell of a volume.
    pub(super) fn home(&self, volume: VolumeId) -> Result<CellId, SwarmError> {
        let home = self.homes.get(&volume).copied();
        home.ok_or_else(|| SwarmError::Unavailable("it belongs to no cell".to_owned()))
    }

    /// Gives an order, unless the cell has it already and has not said what became of it.
    pub(super) fn order(&mut self, order: Order) -> Result<oneshot::Receiver<Outcome>, SwarmError> {
        let volume = order.volume();
        let home = self.home(volume)?;
        let (outcome, awaited) = oneshot::channel();
        let before = self.waiting.insert(volume, Waiting { order: order.clone(), outcome });
        if let Some(cell) = self.cells.get_mut(&home)
            && before.is_none_or(|before| before.order != order)
        {
            cell.roster.say(volume, order);
            cell.news.send_replace(());
        }
        Ok(awaited)
    }

    /// Takes in what a cell has done. What nobody ordered in this way is passed over: it was told
    /// twice, or is about an order that is over.
    pub(super) fn done(&mut self, by: CellId, done: Done) {
        if self.homes.get(&done.volume) != Some(&by) {
            return;
        }
        let Some(cell) = self.cells.get_mut(&by) else { return };
        let is_meant = match (cell.roster.get(done.volume), &done.outcome) {
            (Some(Order::Create { placement, .. }), Outcome::Created) => {
                let (placement, is_meant) = (placement.clone(), placement.epoch == done.epoch);
                if is_meant {
                    // Nobody needs the secret again, and the next start only has to serve her.
                    cell.roster.amend(done.volume, Order::Keep { placement });
                }
                is_meant
            }
            (Some(Order::Remove { placement }), Outcome::Removed) => {
                let is_meant = placement.epoch == done.epoch;
                if is_meant {
                    cell.roster.forget(done.volume);
                }
                is_meant
            }
            (
                Some(Order::Create { placement, .. } | Order::Remove { placement }),
                Outcome::Failed { .. },
            ) => placement.epoch == done.epoch,
            _ => false,
        };
        if is_meant && let Some(waiting) = self.waiting.remove(&done.volume) {
            // Whoever gave up waiting asks again.
            let _ = waiting.outcome.send(bounded(done.outcome));
        }
    }
}

/// A reason comes into logs and answers.
fn bounded(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Failed { reason } => {
            let plain = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
            Outcome::Failed { reason: plain.take(REASON_CHARS_MAX).collect() }
        }
        done => done,
    }
}
