//! In which cell the next server goes: a pure choice, and why it fell so.
//!
//! Hard rules refuse a cell; of those that are left the one with the most points is chosen, and of
//! equals the one with the lowest number. Nothing here reads a clock or keeps anything: the same
//! question has the same answer, in whatever order the cells are given.

mod candidate;
mod explanation;
mod policy;
mod refusal;
mod score;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;

use protocol::control::names::{CellId, SwarmName};

pub(crate) use candidate::TIER;
pub use candidate::{Candidate, Labels, Life, Machine, Resource, Seen};
pub use explanation::{Explanation, Judged, Verdict};
pub use policy::{Policy, PolicyError};
pub(crate) use refusal::DEDICATED;
pub use refusal::{Kind, Refusal};
pub use score::{Part, Rule};

use score::Zones;

/// Who is to be placed, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// By which policy.
    pub policy: Policy,
    /// Labels that her cell must have, such as `tier` = `dedicated`.
    pub needs: Labels,
    /// The cell that was chosen last: [`Policy::RoundRobin`] goes on behind it.
    pub last: Option<CellId>,
    /// For a move: from where, and what is asked of a target.
    pub leaving: Option<Leaving>,
}

/// What is wanted of the target of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaving {
    /// The cell that she is to leave.
    pub cell: CellId,
    /// The swarm whose volume she lies on.
    pub swarm: SwarmName,
    /// For how long a target must have been heard without a gap, in milliseconds.
    pub heard_ms: u64,
}

/// Chooses; none if no cell may take her.
#[must_use]
pub fn choose(wish: &Wish, candidates: &[Candidate<'_>]) -> Option<CellId> {
    let zones = Zones::of(candidates);
    let able = candidates.iter().filter(|one| refusal::kinds(wish, one).next().is_none());
    best(able.map(|one| (one.cell, points(&score::parts(wish, one, &zones)))))
}

/// Chooses in the same way, and says of each cell what spoke for it or against it.
#[must_use]
pub fn explain(wish: &Wish, candidates: &[Candidate<'_>]) -> Explanation {
    let zones = Zones::of(candidates);
    let mut judged: Vec<_> = candidates.iter().map(|one| judge(wish, one, &zones)).collect();
    judged.sort_by_key(|one| one.cell);
    let scored = judged.iter().filter_map(|one| Some((one.cell, one.points()?)));
    Explanation { policy: wish.policy, chosen: best(scored), candidates: judged }
}

fn best(scored: impl Iterator<Item = (CellId, i64)>) -> Option<CellId> {
    scored.max_by_key(|(cell, points)| (*points, Reverse(*cell))).map(|(cell, _)| cell)
}

fn points(parts: &[Part]) -> i64 {
    parts.iter().map(|part| part.points).sum()
}

fn judge(wish: &Wish, candidate: &Candidate<'_>, zones: &Zones<'_>) -> Judged {
    let reasons: Vec<_> = refusal::kinds(wish, candidate).map(Refusal::from).collect();
    let verdict = if reasons.is_empty() {
        let parts = score::parts(wish, candidate, zones);
        Verdict::Scored { points: points(&parts), parts }
    } else {
        Verdict::Refused { reasons }
    };
    Judged {
        cell: candidate.cell,
        swarm: candidate.swarm.clone(),
        node: candidate.machine.map(|machine| machine.node.clone()),
        zone: candidate.zone().map(str::to_owned),
        count: candidate.count,
        capacity: candidate.capacity,
        verdict,
    }
}
