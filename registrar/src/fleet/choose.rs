//! Which cell takes the next identity. Pure.

use std::collections::BTreeMap;

use protocol::control::fleet::{Availability, NodeReport};
use protocol::control::names::{CellId, NodeName, SwarmName};

/// A cell that could take an identity, and what is known of it.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Which cell.
    pub cell: CellId,
    /// In which swarm.
    pub swarm: &'a SwarmName,
    /// Labels that its machine must have.
    pub on: &'a BTreeMap<String, String>,
    /// Identities that live in it, or are about to.
    pub residents: usize,
    /// For how many there is room.
    pub capacity: usize,
    /// Where it runs; none for a cell that nobody has started yet.
    pub node: Option<NodeState<'a>>,
}

/// The machine of a cell.
#[derive(Debug, Clone)]
pub struct NodeState<'a> {
    /// Which.
    pub node: &'a NodeName,
    /// What its agent told last, and how many milliseconds ago; none since the registrar's start.
    pub report: Option<(&'a NodeReport, i64)>,
    /// What the operator wants of it.
    pub availability: Availability,
}

/// Every cell is full, or there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no room is left: {cells} cells have room for {capacity} identities in all")]
pub struct NoRoom {
    /// Cells that are to run.
    pub cells: usize,
    /// For how many identities they have room together.
    pub capacity: usize,
}

/// The cell with the fewest identities of those with room; one that somebody runs before one that
/// nobody has started. Cells on machines that are to take no work take none.
///
/// # Errors
/// [`NoRoom`].
pub fn choose_cell<'a>(
    candidates: impl IntoIterator<Item = Candidate<'a>>,
) -> Result<CellId, NoRoom> {
    let mut none = NoRoom { cells: 0, capacity: 0 };
    let mut best = None;
    for candidate in candidates {
        none.cells += 1;
        none.capacity = none.capacity.saturating_add(candidate.capacity);
        let takes_work = |node: &NodeState<'_>| node.availability == Availability::Active;
        let is_open = candidate.node.as_ref().is_none_or(takes_work);
        if is_open && candidate.residents < candidate.capacity {
            let rank = (candidate.node.is_none(), candidate.residents, candidate.cell);
            best = Some(best.map_or(rank, |best: (bool, usize, CellId)| best.min(rank)));
        }
    }
    best.map(|(_, _, cell)| cell).ok_or(none)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn choose(cells: &[(u16, usize, usize, bool)]) -> Result<u16, NoRoom> {
        let (swarm, on) = (SwarmName::parse("eu-1").unwrap(), BTreeMap::new());
        let node = NodeName::parse("n1").unwrap();
        let candidates = cells.iter().map(|(number, residents, capacity, is_running)| Candidate {
            cell: CellId::from_number(*number).unwrap(),
            swarm: &swarm,
            on: &on,
            residents: *residents,
            capacity: *capacity,
            node: is_running.then(|| NodeState {
                node: &node,
                report: None,
                availability: Availability::Active,
            }),
        });
        choose_cell(candidates).map(CellId::number)
    }

    #[test]
    fn the_emptiest_running_cell_with_room_is_chosen() {
        assert_eq!(choose(&[(1, 3, 9, true), (2, 1, 9, true), (3, 0, 9, false)]), Ok(2));
        assert_eq!(choose(&[(1, 1, 1, true), (2, 5, 9, true)]), Ok(2));
        assert_eq!(choose(&[(1, 1, 1, true), (3, 0, 9, false)]), Ok(3));
        assert_eq!(choose(&[(2, 4, 9, true), (1, 4, 9, true)]), Ok(1));
    }

    #[test]
    fn without_room_it_says_how_much_there_is() {
        assert_eq!(choose(&[]), Err(NoRoom { cells: 0, capacity: 0 }));
        let full = choose(&[(1, 5, 5, true), (2, 8, 7, true)]);
        assert_eq!(full, Err(NoRoom { cells: 2, capacity: 12 }));
    }
}
