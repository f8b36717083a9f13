//! A move from one cell of a swarm to another one: where to, and what everybody is told.

use protocol::HostLabel;
use protocol::control::names::CellId;
use protocol::control::placement::Placement;
use protocol::control::roster::Order;
use protocol::control::routes::Target;
use tokio::time::{Instant, timeout_at};

use super::emptying::Cause;
use super::state::State;
use super::{Fleet, FleetError};
use crate::choice::{self, Candidate, Explanation, Leaving, Refusal, Verdict, Wish};
use crate::limits::{CELL_LOST, MOVE_HEARD};
use crate::state::State as NameState;
use crate::tier::Tier;

/// Reasons that are named where there are many.
const REASONS_NAMED: usize = 4;

/// No cell takes her, or the one that was named does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoTarget(pub String);

/// What is known of a move that is durable.
pub(crate) struct Moved {
    pub(crate) from: CellId,
    pub(crate) to: CellId,
    /// Numbers of what the two cells are told.
    words: [(CellId, u64); 2],
}

impl Fleet {
    /// Chooses where somebody goes who leaves a cell, or looks whether she may go where she is to;
    /// she counts there from now on.
    pub(crate) fn reserve(
        &self,
        from: CellId,
        to: Option<CellId>,
        (tier, cause): (Tier, Cause),
    ) -> Result<CellId, FleetError> {
        let mut state = self.state();
        let swarm = state.cells.get(&from).map(|cell| cell.record.swarm.clone());
        let swarm = swarm.ok_or(FleetError::UnknownCell(from))?;
        // Whoever has to leave goes only where the registrar could hear all the while; whoever is
        // well where she is, to a cell that lives.
        let heard_ms = match cause {
            Cause::Lost => CELL_LOST.as_millis(),
            Cause::Drain | Cause::Order => 0,
        };
        let heard_ms = u64::try_from(heard_ms).unwrap_or(u64::MAX);
        let leaving = Some(Leaving { cell: from, swarm, heard_ms });
        let wish = Wish { policy: state.policy, needs: tier.needs(), last: state.last, leaving };
        let to = state.target(&wish, to, self.clock.now())?;
        if let Some(cell) = state.cells.get_mut(&to) {
            cell.residents += 1;
        }
        Ok(to)
    }

    /// She stays where she was.
    pub(crate) fn give_back(&self, to: CellId) {
        if let Some(cell) = self.state().cells.get_mut(&to) {
            cell.residents = cell.residents.saturating_sub(1);
        }
    }

    /// Her placement in another cell is durable. All who have to know hear of it at once: the old
    /// cell lets go of her, the new one serves her, routers lead there.
    pub(crate) fn moved(
        &self,
        placement: &Placement,
        (from, to): (CellId, CellId),
        name: NameState,
    ) -> Moved {
        let (volume, mut state) = (placement.volume, self.state());
        // Whoever waits for an order to the old cell asks again.
        state.waiting.remove(&volume);
        state.homes.insert(volume, to);
        state.has_left(from);
        if let Some(cell) = state.cells.get_mut(&from) {
            cell.roster.end(volume, Order::Release { volume });
            cell.news.send_replace(());
        }
        if let Some(cell) = state.cells.get_mut(&to).filter(|_| name.has_server()) {
            cell.roster.say(volume, Order::Keep { placement: placement.clone() });
            cell.news.send_replace(());
        }
        state.lead_to(placement, to);
        let newest = |id| (id, state.cells.get(&id).map_or(0, |cell| cell.roster.newest()));
        Moved { from, to, words: [newest(from), newest(to)] }
    }

    /// Waits a while until both cells know of it, unless the old one is silent; whether the new one
    /// does.
    pub(crate) async fn have_heard(&self, moved: &Moved) -> bool {
        let end = Instant::now() + MOVE_HEARD;
        let mut has_heard = false;
        for (id, number) in moved.words {
            let taken = {
                let (now, state) = (Instant::now(), self.state());
                let known = state.cells.get(&id);
                let alive = known.filter(|cell| id == moved.to || !cell.is_lost(state.began, now));
                alive.map(|cell| cell.taken.subscribe())
            };
            let Some(mut taken) = taken else { continue };
            let heard = timeout_at(end, taken.wait_for(|taken| *taken >= number)).await;
            has_heard = matches!(heard, Ok(Ok(_)));
        }
        has_heard
    }
}

impl State {
    fn target(
        &mut self,
        wish: &Wish,
        to: Option<CellId>,
        now: protocol::Timestamp,
    ) -> Result<CellId, FleetError> {
        let candidates = self.candidates(now);
        if let Some(to) = to {
            let named = candidates.iter().filter(|one| one.cell == to);
            // Whoever names a cell knows what befell it.
            let named: Vec<_> = named.map(|one| Candidate { is_resting: false, ..*one }).collect();
            if named.is_empty() {
                return Err(FleetError::UnknownCell(to));
            }
            return choice::choose(wish, &named)
                .ok_or_else(|| NoTarget(reasons(&choice::explain(wish, &named))).into());
        }
        let Some(chosen) = choice::choose(wish, &candidates) else {
            return Err(NoTarget(reasons(&choice::explain(wish, &candidates))).into());
        };
        self.last = Some(chosen);
        Ok(chosen)
    }

    /// Her open route, if there is one, leads to another cell from now on.
    fn lead_to(&mut self, placement: &Placement, cell: CellId) {
        let volume = placement.volume;
        let open = self.routes.get(HostLabel::of(&placement.identity)).and_then(|route| route.to);
        if open.is_some_and(|target| target.volume == volume) {
            self.open_route(placement, Target { volume, cell });
        }
    }
}

/// Why no cell takes her: the first reason of each that could have.
fn reasons(explanation: &Explanation) -> String {
    let refused = explanation.candidates.iter().filter_map(|one| match &one.verdict {
        Verdict::Refused { reasons } => Some((one.cell, reasons.first()?)),
        Verdict::Scored { .. } => None,
    });
    let is_other = |(_, reason): &(CellId, &Refusal)| {
        !matches!(reason.kind, choice::Kind::Left | choice::Kind::Elsewhere { .. })
    };
    let (others, rest): (Vec<_>, Vec<_>) = refused.partition(is_other);
    let named = if others.is_empty() && explanation.candidates.len() == 1 { rest } else { others };
    if named.is_empty() {
        return "the swarm has no other cell".to_owned();
    }
    let words = named.iter().take(REASONS_NAMED);
    let words: Vec<_> = words.map(|(cell, reason)| format!("{cell}: {}", reason.detail)).collect();
    let more = named.len().saturating_sub(REASONS_NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("no cell takes her ({}{more})", words.join("; "))
}
