//! What holds of every choice, and what each rule says of one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use protocol::control::fleet::{Availability, Pressure};
use protocol::control::names::{CellId, NodeName, SwarmName};

use super::*;

fn cell(number: u16) -> CellId {
    CellId::from_number(number).unwrap()
}

fn owned(text: &str) -> Labels {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A test's candidates need not end before the test does.
fn kept<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn labels(text: &str) -> &'static Labels {
    kept(owned(text))
}

fn seen(label_text: &str) -> Seen<'static> {
    Seen {
        age_ms: 0,
        availability: Availability::Active,
        pressure: Pressure::default(),
        labels: labels(label_text),
    }
}

fn machine(label_text: &str) -> Machine<'static> {
    let node = kept(NodeName::parse("n1").unwrap());
    Machine { node, wanted: Availability::Active, seen: Some(seen(label_text)) }
}

/// A cell that nothing speaks against.
fn fine(number: u16, count: u32, capacity: u32) -> Candidate<'static> {
    Candidate {
        cell: cell(number),
        swarm: kept(SwarmName::parse("eu").unwrap()),
        count,
        capacity,
        companions: 0,
        life: Life::Running { age_ms: 0 },
        heard_ms: Some(60_000),
        is_resting: false,
        machine: Some(machine("")),
        on: labels(""),
    }
}

fn by(policy: Policy) -> Wish {
    Wish { policy, ..Wish::default() }
}

fn rules(wish: &Wish, candidate: &Candidate<'_>) -> Vec<Kind> {
    match explain(wish, std::slice::from_ref(candidate)).candidates.remove(0).verdict {
        Verdict::Refused { reasons } => reasons.into_iter().map(|reason| reason.kind).collect(),
        Verdict::Scored { .. } => Vec::new(),
    }
}

#[test]
fn each_hard_rule_refuses_and_says_why() {
    let dedicated = Wish { needs: owned("tier=dedicated"), ..Wish::default() };
    let with = |change: &dyn Fn(&mut Candidate<'static>)| {
        let mut candidate = fine(1, 0, 10);
        change(&mut candidate);
        candidate
    };
    let on_machine = |change: &dyn Fn(&mut Machine<'static>)| {
        with(&|candidate| change(candidate.machine.as_mut().unwrap()))
    };
    let on_seen = |change: &dyn Fn(&mut Seen<'static>)| {
        on_machine(&|machine| change(machine.seen.as_mut().unwrap()))
    };
    let availability = Availability::Drain;
    let not_dedicated = |found: Option<&str>| Kind::Label {
        label: "tier".into(),
        wanted: "dedicated".into(),
        found: found.map(str::to_owned),
    };
    let any = Wish::default();
    let swarm = SwarmName::parse("eu").unwrap();
    let leaving = Some(Leaving { cell: cell(9), swarm, heard_ms: 6_000 });
    let leaving = Wish { leaving, ..Wish::default() };
    for (wish, candidate, expected) in [
        (&any, with(&|_| ()), vec![]),
        (&any, with(&|c| c.machine = None), vec![]),
        (&any, on_machine(&|m| m.seen = None), vec![]),
        (&any, with(&|c| c.life = Life::Retired), vec![Kind::Retired]),
        (&any, with(&|c| c.life = Life::Waiting), vec![Kind::Waiting]),
        (&any, with(&|c| c.life = Life::Running { age_ms: 15_000 }), vec![]),
        (
            &any,
            with(&|c| c.life = Life::Running { age_ms: 15_001 }),
            vec![Kind::Silent { age_ms: 15_001 }],
        ),
        (&leaving, with(&|c| c.heard_ms = Some(6_000)), vec![]),
        (&leaving, with(&|c| c.cell = cell(9)), vec![Kind::Left]),
        (
            &leaving,
            with(&|c| c.swarm = kept(SwarmName::parse("us").unwrap())),
            vec![Kind::Elsewhere { swarm: SwarmName::parse("us").unwrap() }],
        ),
        (
            &leaving,
            with(&|c| c.heard_ms = Some(5_999)),
            vec![Kind::Unsteady { heard_ms: 5_999, wanted_ms: 6_000 }],
        ),
        (&any, with(&|c| c.heard_ms = None), vec![]),
        (&any, with(&|c| (c.is_resting, c.heard_ms) = (true, Some(30_000))), vec![]),
        (
            &any,
            with(&|c| (c.is_resting, c.heard_ms) = (true, Some(29_999))),
            vec![Kind::Unsteady { heard_ms: 29_999, wanted_ms: 30_000 }],
        ),
        (&any, with(&|c| c.count = 10), vec![Kind::Full { count: 10, capacity: 10 }]),
        (&any, with(&|c| c.capacity = 0), vec![Kind::Full { count: 0, capacity: 0 }]),
        (&any, on_seen(&|s| s.age_ms = 15_001), vec![Kind::NodeSilent { age_ms: 15_001 }]),
        (&any, on_machine(&|m| m.wanted = availability), vec![Kind::NodeClosed { availability }]),
        (
            &any,
            on_seen(&|s| s.availability = availability),
            vec![Kind::NodeClosed { availability }],
        ),
        (&any, on_seen(&|s| s.pressure.disk = 950), vec![]),
        (
            &any,
            on_seen(&|s| s.pressure.disk = 951),
            vec![Kind::Pressure { resource: Resource::Disk, used: 951 }],
        ),
        (
            &any,
            on_seen(&|s| s.pressure.handles = u16::MAX),
            vec![Kind::Pressure { resource: Resource::Handles, used: 1_000 }],
        ),
        (&dedicated, with(&|_| ()), vec![not_dedicated(None)]),
        (&dedicated, on_seen(&|s| s.labels = labels("tier=x")), vec![not_dedicated(Some("x"))]),
        (&dedicated, on_seen(&|s| s.labels = labels("tier=dedicated")), vec![]),
        (
            &any,
            with(&|c| c.on = labels("tier=dedicated")),
            vec![Kind::Reserved { tier: "dedicated".into() }],
        ),
        (&any, on_seen(&|s| s.labels = labels("tier=gold")), vec![]),
    ] {
        assert_eq!(rules(wish, &candidate), expected, "{wish:?} {candidate:?}");
    }
}

#[test]
fn all_broken_rules_are_told_not_only_the_first() {
    let mut candidate = fine(1, 10, 10);
    candidate.life = Life::Retired;
    candidate.machine.as_mut().unwrap().wanted = Availability::Pause;
    let wish = Wish { needs: owned("zone=a"), ..Wish::default() };
    assert_eq!(rules(&wish, &candidate).len(), 4);
}

#[test]
fn each_policy_has_its_favourite() {
    let mut cells = vec![fine(1, 5, 10), fine(2, 2, 10), fine(3, 9, 10), fine(4, 10, 10)];
    for (candidate, memory) in cells.iter_mut().zip([100, 800, 700, 0]) {
        let machine = candidate.machine.as_mut().unwrap();
        machine.seen.as_mut().unwrap().pressure.memory = memory;
    }
    for (policy, expected) in [
        (Policy::LeastLoaded, 2),
        (Policy::RoundRobin, 1),
        (Policy::Resources, 1),
        (Policy::Packing, 3),
    ] {
        assert_eq!(choose(&by(policy), &cells), Some(cell(expected)), "{policy}");
    }
    assert_eq!(choose(&by(Policy::LeastLoaded), &cells[3..]), None);
}

#[test]
fn round_robin_goes_on_behind_the_last_one_also_when_it_is_gone() {
    let cells = [fine(2, 0, 9), fine(5, 0, 9), fine(7, 0, 9)];
    let after = |last: Option<u16>| {
        let wish = Wish { last: last.map(cell), ..by(Policy::RoundRobin) };
        choose(&wish, &cells).unwrap().number()
    };
    let turns = [None, Some(2), Some(3), Some(5), Some(6), Some(7), Some(9), Some(u16::MAX)];
    assert_eq!(turns.map(after), [2, 5, 5, 7, 7, 2, 2, 2]);
}

#[test]
fn a_group_is_spread_over_cells_first_and_then_over_zones() {
    let in_zone = |number, zone: &str, companions| Candidate {
        companions,
        on: labels(&format!("zone={zone}")),
        ..fine(number, 0, 10)
    };
    let two_zones = [in_zone(1, "a", 1), in_zone(2, "a", 0), in_zone(3, "b", 0)];
    let full_up = [in_zone(1, "a", 2), in_zone(2, "a", 0), in_zone(3, "b", 1)];
    for policy in Policy::ALL {
        assert_eq!(choose(&by(policy), &two_zones), Some(cell(3)), "{policy}: another zone");
        assert_eq!(choose(&by(policy), &full_up), Some(cell(2)), "{policy}: another cell at least");
    }
}

#[test]
fn an_emptier_zone_is_preferred_among_equals() {
    let in_zone = |number, zone: &str, count| Candidate {
        on: labels(&format!("zone={zone}")),
        ..fine(number, count, 10)
    };
    let cells = [in_zone(1, "a", 2), in_zone(2, "a", 8), in_zone(3, "b", 2)];
    assert_eq!(choose(&by(Policy::LeastLoaded), &cells), Some(cell(3)));
}

#[test]
fn an_explanation_survives_its_json() {
    let mut full = fine(2, 10, 10);
    full.machine = None;
    let mut spread = fine(1, 0, 10);
    (spread.companions, spread.on) = (1, labels("zone=a"));
    let explanation = explain(&Wish::default(), &[full, spread]);
    let text = serde_json::to_string(&explanation).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), explanation);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&json["policy"], &json["chosen"]), (&"least-loaded".into(), &1.into()));
    let [first, second] = [&json["candidates"][0], &json["candidates"][1]];
    assert_eq!((&first["verdict"], &first["zone"]), (&"scored".into(), &"a".into()));
    assert_eq!(first["parts"][1]["rule"], "zone");
    assert_eq!(second["verdict"], "refused");
    let reason = serde_json::json!({
        "rule": "full", "count": 10, "capacity": 10, "detail": "10 of 10 places are taken",
    });
    assert_eq!(second["reasons"], serde_json::json!([reason]));
}

#[test]
fn a_policy_survives_its_text() {
    for policy in Policy::ALL {
        assert_eq!(policy.to_string().parse(), Ok(policy));
        assert_eq!(serde_json::to_value(policy).unwrap(), policy.as_str());
    }
    assert_eq!("random".parse::<Policy>(), Err(PolicyError));
}

fn any_availability() -> impl Strategy<Value = Availability> {
    prop_oneof![8 => Just(Availability::Active), 1 => Just(Availability::Pause), 1 => Just(Availability::Drain)]
}

fn any_labels() -> impl Strategy<Value = &'static Labels> {
    let texts = ["", "", "zone=a", "zone=b", "tier=dedicated", "zone=b,tier=dedicated"];
    proptest::sample::select(texts.to_vec()).prop_map(labels)
}

fn any_machine() -> impl Strategy<Value = Machine<'static>> {
    let seen = (0..18_000_u64, any_availability(), 0..1_050_u16, 0..900_u16, any_labels());
    let seen = seen.prop_map(|(age_ms, availability, memory, disk, labels)| Seen {
        age_ms,
        availability,
        pressure: Pressure { memory, disk, handles: 0 },
        labels,
    });
    (0..4_u8, any_availability(), proptest::option::weighted(0.9, seen)).prop_map(
        |(node, wanted, seen)| Machine {
            node: kept(NodeName::parse(&format!("n{node}")).unwrap()),
            wanted,
            seen,
        },
    )
}

fn any_candidate() -> impl Strategy<Value = Candidate<'static>> {
    let life = prop_oneof![
        8 => (0..17_000_u64).prop_map(|age_ms| Life::Running { age_ms }),
        1 => Just(Life::Retired),
        1 => Just(Life::Waiting),
    ];
    let numbers = (1..60_u16, 0..12_u32, prop_oneof![Just(10_u32), Just(0), any::<u32>()]);
    let machine = proptest::option::weighted(0.9, any_machine());
    let companions = prop_oneof![4 => Just(0_u32), 1 => 1..4_u32, 1 => any::<u32>()];
    (numbers, companions, life, machine, any_labels()).prop_map(
        |((number, count, capacity), companions, life, machine, on)| Candidate {
            companions,
            life,
            machine,
            on,
            ..fine(number, count, capacity)
        },
    )
}

/// Cells with different numbers, in any order.
fn any_fleet() -> impl Strategy<Value = Vec<Candidate<'static>>> {
    proptest::collection::vec(any_candidate(), 0..12).prop_map(|mut fleet| {
        let mut numbers = std::collections::BTreeSet::new();
        fleet.retain(|candidate| numbers.insert(candidate.cell));
        fleet
    })
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let policy = proptest::sample::select(Policy::ALL.to_vec());
    let last = proptest::option::of((1..70_u16).prop_map(cell));
    (policy, any_labels(), last).prop_map(|(policy, needs, last)| Wish {
        policy,
        needs: needs.clone(),
        last,
        leaving: None,
    })
}

/// The hard rules once more, as one sentence.
fn may_take(wish: &Wish, candidate: &Candidate<'_>) -> bool {
    let is_alive = matches!(candidate.life, Life::Running { age_ms } if age_ms <= 15_000);
    let is_open = candidate.machine.as_ref().is_none_or(|machine| {
        machine.wanted == Availability::Active
            && machine.seen.as_ref().is_none_or(|seen| {
                seen.age_ms <= 15_000
                    && seen.availability == Availability::Active
                    && seen.pressure.memory <= 950
                    && seen.pressure.disk <= 950
            })
    });
    let is_apart = candidate.label("tier") == Some("dedicated");
    is_alive
        && is_open
        && candidate.count < candidate.capacity
        && wish.needs.iter().all(|(name, value)| candidate.label(name) == Some(value))
        && (!is_apart || wish.needs.contains_key("tier"))
}

proptest! {
    #[test]
    fn a_cell_is_chosen_exactly_if_one_may_take_her(wish in any_wish(), fleet in any_fleet()) {
        let chosen = choose(&wish, &fleet);
        let able: Vec<_> = fleet.iter().filter(|one| may_take(&wish, one)).map(|one| one.cell).collect();
        prop_assert_eq!(chosen.is_some(), !able.is_empty());
        prop_assert!(chosen.is_none_or(|cell| able.contains(&cell)));
    }

    #[test]
    fn the_order_of_the_cells_does_not_matter(
        wish in any_wish(),
        (fleet, shuffled) in any_fleet().prop_flat_map(|fleet| {
            (Just(fleet.clone()), Just(fleet).prop_shuffle())
        }),
    ) {
        prop_assert_eq!(explain(&wish, &fleet), explain(&wish, &shuffled));
        prop_assert_eq!(choose(&wish, &fleet), choose(&wish, &shuffled));
    }

    #[test]
    fn the_explanation_agrees_with_the_choice(wish in any_wish(), fleet in any_fleet()) {
        let explanation = explain(&wish, &fleet);
        prop_assert_eq!(explanation.chosen, choose(&wish, &fleet));
        prop_assert_eq!(explanation.candidates.len(), fleet.len());
        prop_assert!(explanation.candidates.is_sorted_by(|one, next| one.cell < next.cell));
        let mut best: Option<(i64, CellId)> = None;
        for one in &explanation.candidates {
            match &one.verdict {
                Verdict::Refused { reasons } => prop_assert!(!reasons.is_empty()),
                Verdict::Scored { points, parts } => {
                    prop_assert_eq!(*points, parts.iter().map(|part| part.points).sum::<i64>());
                    if best.is_none_or(|(most, _)| *points > most) {
                        best = Some((*points, one.cell));
                    }
                }
            }
        }
        prop_assert_eq!(explanation.chosen, best.map(|(_, cell)| cell));
    }

    #[test]
    fn least_loaded_keeps_the_shares_within_one_server(
        capacities in proptest::collection::vec(1..40_u32, 1..8),
        orders in 0..200_usize,
    ) {
        let mut fleet: Vec<_> = (1..).zip(&capacities).map(|(n, most)| fine(n, 0, *most)).collect();
        let room = usize::try_from(capacities.iter().sum::<u32>()).unwrap();
        for _ in 0..orders.min(room) {
            let chosen = choose(&Wish::default(), &fleet).unwrap();
            fleet.iter_mut().find(|one| one.cell == chosen).unwrap().count += 1;
        }
        let share = |count: u32, one: &Candidate<'_>| f64::from(count) / f64::from(one.capacity);
        for (one, other) in fleet.iter().flat_map(|one| fleet.iter().map(move |other| (one, other))) {
            // Before its last server came, no cell was fuller than any other is now.
            let before = one.count.saturating_sub(1);
            prop_assert!(share(before, one) <= share(other.count, other) + 2e-6);
        }
    }

    #[test]
    fn least_loaded_is_even_over_zones_too(cells in 1..5_u16, zones in 1..4_u16, orders in 0..120_u32) {
        let mut fleet: Vec<_> = (0..cells * zones).map(|index| Candidate {
            on: labels(&format!("zone={}", index % zones)),
            ..fine(index + 1, 0, 1_000)
        }).collect();
        for _ in 0..orders {
            let chosen = choose(&Wish::default(), &fleet).unwrap();
            fleet.iter_mut().find(|one| one.cell == chosen).unwrap().count += 1;
        }
        let counts = || fleet.iter().map(|one| one.count);
        prop_assert!(counts().max().unwrap() - counts().min().unwrap() <= 1);
        let in_zone = |zone: u16| (0..).zip(counts())
            .filter(move |(index, _)| index % zones == zone).map(|(_, count)| count).sum::<u32>();
        let sums = || (0..zones).map(in_zone);
        prop_assert!(sums().max().unwrap() - sums().min().unwrap() <= 1);
    }

    #[test]
    fn packing_opens_a_cell_only_when_the_others_are_full(
        capacities in proptest::collection::vec(1..20_u32, 1..6),
        orders in 0..60_usize,
    ) {
        let mut fleet: Vec<_> = (1..).zip(&capacities).map(|(n, most)| fine(n, 0, *most)).collect();
        let room = usize::try_from(capacities.iter().sum::<u32>()).unwrap();
        for _ in 0..orders.min(room) {
            let chosen = choose(&by(Policy::Packing), &fleet).unwrap();
            fleet.iter_mut().find(|one| one.cell == chosen).unwrap().count += 1;
            let begun = fleet.iter().filter(|one| one.count > 0 && one.count < one.capacity);
            prop_assert!(begun.count() <= 1);
        }
    }

    #[test]
    fn round_robin_reaches_every_cell_before_any_twice(fleet in 1..30_u16, last in proptest::option::of(1..40_u16)) {
        let cells: Vec<_> = (1..=fleet).map(|number| fine(number, 0, 1_000)).collect();
        let mut wish = Wish { last: last.map(cell), ..by(Policy::RoundRobin) };
        let mut met = std::collections::BTreeSet::new();
        for _ in 0..fleet {
            wish.last = choose(&wish, &cells);
            prop_assert!(met.insert(wish.last));
        }
    }
}
