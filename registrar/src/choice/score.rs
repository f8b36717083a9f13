//! The soft rules: points for what makes a cell the better one.
//!
//! A policy gives up to a million points, an even use of zones up to a quarter of that. One companion
//! in the same zone outweighs both, one in the same cell any number of companions in the zone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::candidate::{Candidate, Life, Seen};
use super::{Policy, Wish};

/// What a policy gives at most.
const WHOLE: i64 = 1_000_000;

/// For a companion in the same zone.
const ZONE_COMPANION: i64 = -2 * WHOLE;

/// For a companion in the same cell: more than [`COMPANIONS_COUNTED`] of them in the zone.
const CELL_COMPANION: i64 = ZONE_COMPANION * (COMPANIONS_COUNTED as i64 + 1);

/// More companions in one place make it no worse.
const COMPANIONS_COUNTED: u64 = 1_000;

/// Which rule gave points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// How much of its room is free.
    Room,
    /// How much of its room is taken.
    Fullness,
    /// How soon it has its turn.
    Turn,
    /// How much its machine has left.
    Machine,
    /// How much of its zone's room is free.
    Zone,
    /// Who of the same group lives in it.
    CellCompanions,
    /// Who of the same group lives in its zone.
    ZoneCompanions,
}

/// Points, and what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What for.
    pub rule: Rule,
    /// How many.
    pub points: i64,
}

/// What lives in each zone; cells without one are a zone together.
pub struct Zones<'a>(BTreeMap<Option<&'a str>, Zone>);

#[derive(Default)]
struct Zone {
    count: u64,
    capacity: u64,
    companions: u64,
}

impl<'a> Zones<'a> {
    /// Sums up all cells that hold somebody or may.
    pub fn of(candidates: &[Candidate<'a>]) -> Self {
        let mut zones = BTreeMap::<_, Zone>::new();
        for candidate in candidates {
            let zone = zones.entry(candidate.zone()).or_default();
            zone.companions += u64::from(candidate.companions);
            if candidate.life != Life::Retired {
                zone.count += u64::from(candidate.count);
                zone.capacity += u64::from(candidate.capacity);
            }
        }
        Self(zones)
    }

    fn free(&self, zone: Option<&str>) -> i64 {
        let zone = self.0.get(&zone);
        zone.map_or(0, |zone| share(zone.capacity.saturating_sub(zone.count), zone.capacity))
    }

    fn companions(&self, zone: Option<&str>) -> u64 {
        self.0.get(&zone).map_or(0, |zone| zone.companions)
    }
}

/// All parts of the score of a cell that no rule refuses.
pub fn parts(wish: &Wish, candidate: &Candidate<'_>, zones: &Zones<'_>) -> Vec<Part> {
    let mut parts = of_policy(wish, candidate);
    // Taking turns is even already.
    if wish.policy != Policy::RoundRobin {
        parts.push(Part { rule: Rule::Zone, points: zones.free(candidate.zone()) / 4 });
    }
    let here = u64::from(candidate.companions);
    let around = zones.companions(candidate.zone());
    for (rule, count, each) in [
        (Rule::CellCompanions, here, CELL_COMPANION),
        (Rule::ZoneCompanions, around, ZONE_COMPANION),
    ] {
        if count > 0 {
            let counted = i64::try_from(count.min(COMPANIONS_COUNTED)).unwrap_or(i64::MAX);
            parts.push(Part { rule, points: counted.saturating_mul(each) });
        }
    }
    parts
}

fn of_policy(wish: &Wish, candidate: &Candidate<'_>) -> Vec<Part> {
    let (count, capacity) = (u64::from(candidate.count), u64::from(candidate.capacity));
    let room = share(capacity.saturating_sub(count), capacity);
    match wish.policy {
        Policy::LeastLoaded => vec![Part { rule: Rule::Room, points: room }],
        Policy::Packing => vec![Part { rule: Rule::Fullness, points: share(count, capacity) }],
        Policy::RoundRobin => vec![Part { rule: Rule::Turn, points: turn(wish, candidate) }],
        // Reports are seconds old: without the second part all who come meanwhile would go to one
        // machine.
        Policy::Resources => vec![
            Part { rule: Rule::Machine, points: left(candidate.seen()) / 4 * 3 },
            Part { rule: Rule::Room, points: room / 4 },
        ],
    }
}

/// A machine of which nothing is known has nothing to offer.
fn left(seen: Option<Seen<'_>>) -> i64 {
    seen.map_or(0, |seen| share(u64::from(1_000 - seen.scarcest().0), 1_000))
}

/// The most for the cell behind the last one, and less for each number further on.
fn turn(wish: &Wish, candidate: &Candidate<'_>) -> i64 {
    let last = wish.last.map_or(0, |cell| cell.number());
    WHOLE - i64::from(candidate.cell.number().wrapping_sub(last).wrapping_sub(1))
}

fn share(part: u64, whole: u64) -> i64 {
    let points = u128::from(part) * u128::from(WHOLE.unsigned_abs());
    points.checked_div(u128::from(whole)).and_then(|share| i64::try_from(share).ok()).unwrap_or(0)
}
