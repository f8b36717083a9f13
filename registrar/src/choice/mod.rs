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

use protocol::control::names::CellId;

pub use candidate::{Candidate, Labels, Life, Machine, Seen};
pub use explanation::{Explanation, Judged, Verdict};
pub use policy::{Policy, PolicyError};
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
}

/// Chooses, and says of each cell what spoke for it or against it.
#[must_use]
pub fn explain(wish: &Wish, candidates: &[Candidate]) -> Explanation {
    let zones = Zones::of(candidates);
    let mut judged: Vec<Judged> =
        candidates.iter().map(|candidate| judge(wish, candidate, &zones)).collect();
    judged.sort_by_key(|one| one.cell);
    let best = judged.iter().filter_map(|one| Some((one.points()?, Reverse(one.cell)))).max();
    Explanation {
        policy: wish.policy,
        chosen: best.map(|(_, Reverse(cell))| cell),
        candidates: judged,
    }
}

/// Chooses; none if no cell may take her.
#[must_use]
pub fn choose(wish: &Wish, candidates: &[Candidate]) -> Option<CellId> {
    explain(wish, candidates).chosen
}

fn judge(wish: &Wish, candidate: &Candidate, zones: &Zones<'_>) -> Judged {
    let reasons = refusal::reasons(wish, candidate);
    let verdict = if reasons.is_empty() {
        let parts = score::parts(wish, candidate, zones);
        Verdict::Scored { points: parts.iter().map(|part| part.points).sum(), parts }
    } else {
        Verdict::Refused { reasons }
    };
    Judged {
        cell: candidate.cell,
        swarm: candidate.swarm.clone(),
        node: candidate.machine.as_ref().map(|machine| machine.node.clone()),
        zone: candidate.zone().map(str::to_owned),
        count: candidate.count,
        capacity: candidate.capacity,
        verdict,
    }
}
