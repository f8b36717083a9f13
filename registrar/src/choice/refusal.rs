//! The hard rules: a cell that breaks one is not chosen, however few are left.

use std::fmt;

use protocol::control::fleet::Availability;
use protocol::control::names::SwarmName;
use serde::{Deserialize, Serialize};

use super::candidate::{Candidate, Life, Machine, Resource, TIER};
use super::{Leaving, Wish};
use crate::limits::{CELL_REST, CELL_SILENT, NODE_SILENT, PRESSURE_MAX};

/// A tier in which nobody is placed who did not ask for it: servers that live alone.
pub const DEDICATED: &str = "dedicated";

/// Which rule a cell breaks, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Kind {
    /// It is to go.
    Retired,
    /// No process has started as this cell yet.
    Waiting,
    /// It has not reported for too long.
    Silent {
        /// Age of its last report.
        age_ms: u64,
    },
    /// She is to leave it.
    Left,
    /// It is of another swarm than her volume.
    Elsewhere {
        /// Of which.
        swarm: SwarmName,
    },
    /// It has not been heard for long enough without a gap.
    Unsteady {
        /// For how long it has.
        heard_ms: u64,
        /// For how long it should have.
        wanted_ms: u64,
    },
    /// It has no room.
    Full {
        /// Who lives in it.
        count: u32,
        /// For how many it has room.
        capacity: u32,
    },
    /// The agent of its machine has not reported for too long.
    NodeSilent {
        /// Age of its last report.
        age_ms: u64,
    },
    /// Its machine is to take nothing more.
    NodeClosed {
        /// Whether it keeps what it has.
        availability: Availability,
    },
    /// Too much of its machine is used.
    Pressure {
        /// Of what: the scarcest.
        resource: Resource,
        /// How much, in thousandths.
        used: u16,
    },
    /// It lacks a label that was asked for.
    Label {
        /// Which.
        label: String,
        /// What was asked for.
        wanted: String,
        /// What it has instead.
        found: Option<String>,
    },
    /// It is kept for those who ask for its tier.
    Reserved {
        /// Which tier.
        tier: String,
    },
}

/// A broken rule, also in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which rule.
    #[serde(flatten)]
    pub kind: Kind,
    /// The same for people.
    pub detail: String,
}

impl From<Kind> for Refusal {
    fn from(kind: Kind) -> Self {
        Self { detail: kind.to_string(), kind }
    }
}

/// All rules that `candidate` breaks, always in the same order.
pub fn kinds<'a>(wish: &'a Wish, candidate: &'a Candidate<'_>) -> impl Iterator<Item = Kind> + 'a {
    let of_move = wish.leaving.iter().flat_map(|leaving| of_move(leaving, candidate));
    let of_cell = [life(candidate.life), unsteady(wish, candidate), full(candidate)];
    let of_cell = of_move.chain(of_cell.into_iter().flatten());
    let of_machine = candidate.machine.into_iter().flat_map(of_machine);
    let of_labels = labels(wish, candidate).chain(reserved(wish, candidate));
    of_cell.chain(of_machine).chain(of_labels)
}

fn life(life: Life) -> Option<Kind> {
    match life {
        Life::Retired => Some(Kind::Retired),
        Life::Waiting => Some(Kind::Waiting),
        Life::Running { age_ms } if u128::from(age_ms) > CELL_SILENT.as_millis() => {
            Some(Kind::Silent { age_ms })
        }
        Life::Running { .. } => None,
    }
}

fn of_move(leaving: &Leaving, candidate: &Candidate<'_>) -> impl Iterator<Item = Kind> {
    let left = (candidate.cell == leaving.cell).then_some(Kind::Left);
    let is_elsewhere = *candidate.swarm != leaving.swarm;
    let elsewhere = is_elsewhere.then(|| Kind::Elsewhere { swarm: candidate.swarm.clone() });
    [left, elsewhere].into_iter().flatten()
}

/// Of one that never ran, or is to go, enough is said already.
fn unsteady(wish: &Wish, candidate: &Candidate<'_>) -> Option<Kind> {
    let Life::Running { .. } = candidate.life else { return None };
    let rest = u64::try_from(CELL_REST.as_millis()).unwrap_or(u64::MAX);
    let wanted = wish.leaving.as_ref().map(|leaving| leaving.heard_ms);
    let wanted_ms = wanted.max(candidate.is_resting.then_some(rest))?;
    let is_enough = candidate.heard_ms.is_some_and(|heard_ms| heard_ms >= wanted_ms);
    let heard_ms = candidate.heard_ms.unwrap_or(0);
    (!is_enough).then_some(Kind::Unsteady { heard_ms, wanted_ms })
}

fn full(candidate: &Candidate<'_>) -> Option<Kind> {
    let Candidate { count, capacity, .. } = *candidate;
    (count >= capacity).then_some(Kind::Full { count, capacity })
}

fn of_machine(machine: Machine<'_>) -> impl Iterator<Item = Kind> {
    let seen = machine.seen;
    let age = seen.map(|seen| seen.age_ms).filter(|age| u128::from(*age) > NODE_SILENT.as_millis());
    let silent = age.map(|age_ms| Kind::NodeSilent { age_ms });
    // What the operator wants counts before the engine has heard of it, and what was done at the
    // engine by hand counts as well.
    let said = seen.map(|seen| seen.availability);
    let closed = [Some(machine.wanted), said].into_iter().flatten().find(|one| !is_open(*one));
    let closed = closed.map(|availability| Kind::NodeClosed { availability });
    let scarcest = seen.map(|seen| seen.scarcest()).filter(|(used, _)| *used > PRESSURE_MAX);
    let pressed = scarcest.map(|(used, resource)| Kind::Pressure { resource, used });
    [silent, closed, pressed].into_iter().flatten()
}

fn is_open(availability: Availability) -> bool {
    availability == Availability::Active
}

fn labels<'a>(wish: &'a Wish, candidate: &'a Candidate<'_>) -> impl Iterator<Item = Kind> + 'a {
    wish.needs.iter().filter_map(|(label, wanted)| {
        let found = candidate.label(label);
        (found != Some(wanted)).then(|| Kind::Label {
            label: label.clone(),
            wanted: wanted.clone(),
            found: found.map(str::to_owned),
        })
    })
}

/// Whoever asks for a tier is looked at by [`labels`].
fn reserved(wish: &Wish, candidate: &Candidate<'_>) -> Option<Kind> {
    let tier = candidate.label(TIER).filter(|tier| *tier == DEDICATED)?;
    (!wish.needs.contains_key(TIER)).then(|| Kind::Reserved { tier: tier.to_owned() })
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retired => f.write_str("the cell is to go"),
            Self::Waiting => f.write_str("no process runs the cell yet"),
            Self::Silent { age_ms } => {
                write!(f, "the cell last reported {} s ago", age_ms / 1_000)
            }
            Self::Left => f.write_str("she is to leave it"),
            Self::Elsewhere { swarm } => {
                write!(f, "it is of swarm {swarm}, and her volume is not")
            }
            Self::Unsteady { wanted_ms: 0, .. } => f.write_str("the cell is not heard now"),
            Self::Unsteady { heard_ms, wanted_ms } => write!(
                f,
                "the cell has been heard without a gap for {} s, not {} s",
                heard_ms / 1_000,
                wanted_ms.div_ceil(1_000)
            ),
            Self::Full { count, capacity } => write!(f, "{count} of {capacity} places are taken"),
            Self::NodeSilent { age_ms } => {
                write!(f, "the machine last reported {} s ago", age_ms / 1_000)
            }
            Self::NodeClosed { availability: Availability::Drain } => {
                f.write_str("the machine is being drained")
            }
            Self::NodeClosed { .. } => f.write_str("the machine is paused"),
            Self::Pressure { resource, used } => {
                write!(f, "{} % of the machine's {resource} is used", used / 10)
            }
            Self::Label { label, wanted, found: Some(found) } => {
                write!(f, "{label} is {found}, not {wanted}")
            }
            Self::Label { label, wanted, found: None } => write!(f, "{label} is not {wanted}"),
            Self::Reserved { tier } => write!(f, "kept for those who ask for tier {tier}"),
        }
    }
}
