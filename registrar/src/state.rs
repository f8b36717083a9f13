//! The life of a name: which states there are, and which may follow which.
//!
//! ```text
//!               ┌── the port is taken ──┐
//!               ▼     │        │        │
//! Reserved ─→ Placed ─┴→ Created ─┴→ Started ─→ Reachable ─→ Published
//!    │          └───────────┴──────────┴────────────┴────────────┤
//!    │                                                           ▼
//!    └─────────────────────→ Retired ←────────────────────── Deleting
//!                               └─→ Reserved, with the next epoch
//! ```
//! Whoever has a place may be moved to another cell, and stays in her state.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nobody else gets the name; awaits a placement.
    Reserved,
    /// Has a port and a volume; awaits its server to be created there.
    Placed,
    /// The server's volume and keys exist; awaits its start.
    Created,
    /// The route is open; awaits proof that the server answers at its address.
    Started,
    /// The server answered; awaits publication.
    Reachable,
    /// The directory answers with the address.
    Published,
    /// The directory no longer answers; awaits the end of the server and its volume.
    Deleting,
    /// Only the last epoch is left.
    Retired,
}

use State::{Created, Deleting, Placed, Published, Reachable, Reserved, Retired, Started};

/// Every pair of states of which the second may follow the first.
pub const TRANSITIONS: [(State, State); 21] = [
    (Reserved, Placed),
    (Placed, Created),
    (Created, Started),
    (Started, Reachable),
    (Reachable, Published),
    (Placed, Placed),
    (Created, Placed),
    (Started, Placed),
    (Placed, Deleting),
    (Created, Deleting),
    (Started, Deleting),
    (Reachable, Deleting),
    (Published, Deleting),
    (Reserved, Retired),
    (Deleting, Retired),
    (Retired, Reserved),
    (Created, Created),
    (Started, Started),
    (Reachable, Reachable),
    (Published, Published),
    (Deleting, Deleting),
];

impl State {
    /// All states, in the order of a name's life.
    pub const ALL: [Self; 8] =
        [Reserved, Placed, Created, Started, Reachable, Published, Deleting, Retired];

    /// Whether `next` may follow this state.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        TRANSITIONS.contains(&(self, next))
    }

    /// The state as it stands in records, answers and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reserved => "reserved",
            Placed => "placed",
            Created => "created",
            Started => "started",
            Reachable => "reachable",
            Published => "published",
            Deleting => "deleting",
            Retired => "retired",
        }
    }

    /// Whether a server of this name should exist on the host.
    #[must_use]
    pub fn has_server(self) -> bool {
        matches!(self, Created | Started | Reachable | Published)
    }

    /// Whether the registrar still has something to do.
    #[must_use]
    pub fn is_unfinished(self) -> bool {
        !matches!(self, Published | Retired)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishing_comes_last_and_each_step_has_one_way_forward() {
        let steps = [Reserved, Placed, Created, Started, Reachable, Published];
        for pair in steps.windows(2) {
            assert!(pair[0].may_become(pair[1]));
        }
        let others = |state: &State| !matches!(state, Reachable | Published);
        for before in State::ALL.into_iter().filter(others) {
            assert!(!before.may_become(Published), "{before} → published");
        }
    }

    #[test]
    fn a_published_name_can_only_be_moved_or_deleted_and_a_retired_one_only_claimed_again() {
        let after = |state: State| -> Vec<State> {
            State::ALL.into_iter().filter(|next| state.may_become(*next)).collect()
        };
        assert_eq!(after(Published), [Published, Deleting]);
        assert_eq!(after(Deleting), [Deleting, Retired]);
        assert_eq!(after(Retired), [Reserved]);
    }

    #[test]
    fn every_state_leads_to_retired_and_none_is_listed_twice() {
        for start in State::ALL {
            let mut reached = vec![start];
            for _ in State::ALL {
                let more: Vec<_> = State::ALL
                    .into_iter()
                    .filter(|s| !reached.contains(s) && reached.iter().any(|r| r.may_become(*s)))
                    .collect();
                reached.extend(more);
            }
            assert!(reached.contains(&Retired), "{start}");
        }
        for (index, pair) in TRANSITIONS.iter().enumerate() {
            assert!(!TRANSITIONS[..index].contains(pair), "{pair:?}");
        }
    }
}
