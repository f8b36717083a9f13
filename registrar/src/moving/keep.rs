//! Emptying cells that are silent, or that are to be emptied.

use std::sync::Arc;

use protocol::AtSign;
use protocol::control::names::CellId;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Errand, MoveError};
use crate::fleet::{Cause, Fleet, FleetError, Source};
use crate::limits::{KEEP_EVERY, MOVES_A_ROUND, MOVES_AT_ONCE};
use crate::registrar::Registrar;

/// What a round came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Round {
    moved: usize,
    /// Why one of them has to stay.
    stuck: Option<String>,
}

impl Registrar {
    /// Moves those away whose cell is silent or to be emptied, for ever. What is left undone is found
    /// again; nothing is lost by stopping anywhere.
    pub(crate) async fn keep_places(self: &Arc<Self>) {
        let Some(fleet) = self.fleet.clone() else { return std::future::pending().await };
        loop {
            let mut moved = 0;
            for source in fleet.to_empty(MOVES_A_ROUND) {
                moved += self.empty(&fleet, source).await;
            }
            if moved == 0 {
                sleep(KEEP_EVERY).await;
            }
        }
    }

    /// Moves some of those who live in a cell; how many it were.
    async fn empty(self: &Arc<Self>, fleet: &Arc<Fleet>, source: Source) -> usize {
        let Source { cell, cause, mut names, has_others } = source;
        if has_others {
            names.extend(self.book().unfinished());
        }
        let (mut round, mut tasks) = (Round::default(), JoinSet::new());
        for name in names {
            if tasks.len() >= MOVES_AT_ONCE
                && let Some(Ok(outcome)) = tasks.join_next().await
            {
                round.note(outcome);
            }
            if round.stuck.is_some() || !fleet.is_to_empty(cell, cause) {
                break;
            }
            tasks.spawn(Arc::clone(self).move_away(name, cell, cause));
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.into_iter().for_each(|outcome| round.note(outcome));
        }
        if let Some(why) = round.stuck {
            fleet.has_no_target(cell, why);
        }
        round.moved
    }

    /// Who is at work on the name now is left for the next round.
    async fn move_away(
        self: Arc<Self>,
        name: AtSign,
        from: CellId,
        cause: Cause,
    ) -> Result<(), MoveError> {
        // As in `register`: a write must not be cut off from its announcement.
        let moving = tokio::spawn(async move {
            let turn = self.turns.take_now(&name);
            let _turn = turn.ok_or_else(|| MoveError::Busy(name.clone()))?;
            let errand = Errand { from: Some(from), to: None, cause };
            self.move_in_turn(&name, errand).await.map(drop)
        });
        moving.await.map_err(|_| MoveError::Stopping)?
    }
}

impl Round {
    fn note(&mut self, outcome: Result<(), MoveError>) {
        match outcome {
            Ok(()) => self.moved += 1,
            Err(MoveError::Fleet(FleetError::NoTarget(why))) => self.stuck = Some(why.0),
            Err(
                MoveError::Busy(_)
                | MoveError::Elsewhere { .. }
                | MoveError::NoCell(_)
                | MoveError::Unknown(_),
            ) => {}
            Err(error) => {
                tracing::warn!(%error, "one who is to leave her cell stays for now");
                self.stuck = Some(error.to_string());
            }
        }
    }
}
