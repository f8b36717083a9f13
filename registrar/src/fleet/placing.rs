//! What a choice of a cell is made from, and who asks for one.

use std::time::Duration;

use protocol::control::names::CellId;
use protocol::control::roster::CellCounts;
use protocol::{Timestamp, VolumeId};
use tokio::time::Instant;

use super::state::{Cell, State};
use crate::choice::{self, Candidate, Explanation, Life, Machine, Seen, Wish};
use crate::tier::Tier;

/// No cell may take another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("none of the {cells} cells, which hold {capacity} identities in all, takes another one")]
pub struct NoRoom {
    /// Cells that are to run.
    pub cells: usize,
    /// For how many identities they have room together.
    pub capacity: u64,
}

impl State {
    /// Chooses a cell for a new volume, which counts there from now on.
    pub(super) fn settle(
        &mut self,
        volume: VolumeId,
        tier: Tier,
        now: Timestamp,
    ) -> Result<CellId, NoRoom> {
        let (policy, last, needs) = (self.policy, self.last, tier.needs());
        let wish = Wish { policy, last, needs, leaving: None };
        let candidates = self.candidates(now);
        let Some(cell) = choice::choose(&wish, &candidates) else {
            let capacity = candidates.iter().map(|one| u64::from(one.capacity)).sum();
            return Err(NoRoom { cells: candidates.len(), capacity });
        };
        self.last = Some(cell);
        self.move_in(volume, cell);
        Ok(cell)
    }

    /// What a choice made now would come to; whoever lives in `home` is not counted there.
    pub(super) fn explain(
        &self,
        mut wish: Wish,
        home: Option<CellId>,
        now: Timestamp,
    ) -> Explanation {
        wish.last = self.last;
        let mut candidates = self.candidates(now);
        for candidate in candidates.iter_mut().filter(|one| Some(one.cell) == home) {
            candidate.count = candidate.count.saturating_sub(1);
        }
        choice::explain(&wish, &candidates)
    }

    pub(super) fn candidates(&self, now: Timestamp) -> Vec<Candidate<'_>> {
        let active = self.cells.iter().filter(|(_, cell)| cell.record.is_active());
        active.map(|(id, cell)| self.candidate(*id, cell, now)).collect()
    }

    fn candidate<'a>(&'a self, id: CellId, cell: &'a Cell, now: Timestamp) -> Candidate<'a> {
        Candidate {
            cell: id,
            swarm: &cell.record.swarm,
            count: u32::try_from(cell.residents).unwrap_or(u32::MAX),
            capacity: cell.record.capacity,
            companions: 0,
            life: self.life(cell, now),
            heard_ms: cell.heard.and_then(|heard| heard.steady(Instant::now())).map(millis),
            is_resting: cell.is_resting,
            machine: self.machine(cell, now),
            on: &cell.record.on,
        }
    }

    /// A cell that has a term but has not reported yet is given as long as one that reported when
    /// it got it, or when the registrar began.
    fn life(&self, cell: &Cell, now: Timestamp) -> Life {
        match &cell.record.start {
            _ if cell.is_leaving || cell.record.is_draining => Life::Retired,
            None => Life::Waiting,
            Some(start) => {
                let reported = cell.report.map(|(CellCounts { .. }, at)| at);
                let last = reported.unwrap_or(self.since).max(start.since);
                Life::Running { age_ms: age(last, now) }
            }
        }
    }

    fn machine<'a>(&'a self, cell: &'a Cell, now: Timestamp) -> Option<Machine<'a>> {
        let name = &cell.record.start.as_ref()?.node;
        let node = self.nodes.get(name).filter(|node| node.swarm == cell.record.swarm);
        let report = node.and_then(|node| node.report.as_ref());
        Some(Machine {
            node: name,
            wanted: node.and_then(|node| node.wish).unwrap_or_default(),
            seen: report.map(|(report, at)| Seen {
                age_ms: age(*at, now),
                availability: report.engine.availability,
                pressure: report.pressure,
                labels: &report.engine.labels,
            }),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn age(at: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.0.saturating_sub(at.0)).unwrap_or(0)
}
