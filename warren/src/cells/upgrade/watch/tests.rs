#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

const LIMITS: Limits =
    Limits { settle: Duration::from_secs(20), patience: Duration::from_secs(90) };

pub fn cell(number: u16) -> CellId {
    format!("cell-{number}").parse().unwrap()
}

pub fn term(number: u32) -> Term {
    Term::from_number(number).unwrap()
}

/// A cell that is to run an image, and has just reported.
pub fn sight(image: &str, number: u32) -> Sight {
    Sight {
        image: image.to_owned(),
        term: Term::from_number(number),
        is_reporting: true,
        report_age: Some(Duration::ZERO),
        is_taken_back: false,
        drift: Vec::new(),
    }
}

pub fn look(at: u64, cells: impl IntoIterator<Item = (u16, Sight)>) -> Look {
    let cells = cells.into_iter().map(|(number, sight)| (cell(number), sight)).collect();
    Look { at: Duration::from_secs(at), is_led: true, cells }
}

fn silent(image: &str, number: u32) -> Sight {
    Sight { is_reporting: false, report_age: None, ..sight(image, number) }
}

fn before(number: u16, image: &str, of: u32) -> Before {
    Before {
        cell: cell(number),
        image: image.to_owned(),
        term: Term::from_number(of),
        was_reporting: true,
    }
}

/// The verdicts over a ring of cell-1 (term 5 before) and cell-2 (term 7), up to the first that ends it.
fn verdicts(looks: impl IntoIterator<Item = Look>) -> Vec<Verdict> {
    let ring = [before(1, "old", 5), before(2, "old", 7)];
    let mut rise = Rise::new(&ring, "new", LIMITS, Duration::ZERO);
    let mut verdicts = Vec::new();
    for look in looks {
        verdicts.push(rise.judge(&look));
        if matches!(verdicts.last(), Some(Verdict::Good | Verdict::Bad(..))) {
            break;
        }
    }
    verdicts
}

fn pair(at: u64, one: Sight, two: Sight) -> Look {
    look(at, [(1, one), (2, two)])
}

fn both(at: u64, one: u32, two: u32) -> Look {
    pair(at, sight("new", one), sight("new", two))
}

fn last(looks: impl IntoIterator<Item = Look>) -> Verdict {
    verdicts(looks).pop().unwrap()
}

#[test]
fn a_ring_is_good_once_all_run_anew_and_have_stayed_so() {
    let looks = [
        both(0, 5, 7),
        both(2, 6, 7),
        both(3, 6, 8),
        both(4, 6, 8),
        both(23, 6, 8),
        both(24, 6, 8),
    ];
    let [rising, settling] = [Verdict::Rising, |_| Verdict::Settling];
    let expected = [rising(0), rising(0), rising(1), settling(0), settling(0), Verdict::Good];
    assert_eq!(verdicts(looks), expected);
}

#[test]
fn the_report_of_the_start_before_is_not_the_new_ones() {
    let old_report =
        |number| Sight { report_age: Some(Duration::from_secs(8)), ..sight("new", number) };
    let looks = [pair(0, old_report(6), old_report(8)), pair(5, old_report(6), old_report(8))];
    assert_eq!(last(looks), Verdict::Rising(0));
}

#[test]
fn what_cannot_become_good_ends_the_ring_at_once() {
    let taken = Sight { is_taken_back: true, ..sight("new", 8) };
    let up = || [both(0, 6, 8), both(1, 6, 8)];
    let tables: [(&str, Look, Verdict); 5] = [
        (
            "restarted",
            both(2, 6, 9),
            Verdict::Bad(cell(2), Trouble::Restarted { from: term(8), to: term(9) }),
        ),
        (
            "restarted and silent",
            pair(2, silent("new", 7), sight("new", 8)),
            Verdict::Bad(cell(1), Trouble::Restarted { from: term(6), to: term(7) }),
        ),
        ("taken back", pair(2, sight("new", 6), taken), Verdict::Bad(cell(2), Trouble::TakenBack)),
        (
            "set by another",
            pair(2, sight("other", 6), sight("new", 8)),
            Verdict::Bad(cell(1), Trouble::Changed("other".into())),
        ),
        ("deleted", look(2, [(1, sight("new", 6))]), Verdict::Bad(cell(2), Trouble::Gone)),
    ];
    for (name, then, verdict) in tables {
        assert_eq!(last(up().into_iter().chain([then])), verdict, "{name}");
    }
}

#[test]
fn a_cell_that_runs_again_because_the_engine_took_it_back_is_not_up() {
    let back = Sight { is_taken_back: true, ..sight("new", 6) };
    let looks = [both(0, 5, 7), both(3, 6, 8), both(9, 6, 8), pair(14, back, sight("new", 8))];
    assert_eq!(last(looks), Verdict::Bad(cell(1), Trouble::TakenBack));
}

fn late(number: u16, after: u64, state: &'static str, drift: &[&str]) -> Verdict {
    let drift = drift.iter().map(|line| (*line).to_owned()).collect();
    Verdict::Bad(cell(number), Trouble::Late { after: Duration::from_secs(after), state, drift })
}

#[test]
fn who_does_not_come_up_is_late_and_what_was_seen_is_told() {
    let never = |at| both(at, 6, 7);
    let looks = [never(0), never(1), never(89), never(90)];
    assert_eq!(last(looks), late(2, 90, "no new process of it started", &[]));
    let idle = || Sight { drift: vec!["no such image".into()], ..silent("new", 6) };
    let looks = [0, 90].map(|at| pair(at, idle(), sight("new", 8)));
    assert_eq!(last(looks), late(1, 90, "its new process does not report", &["no such image"]));
    let never_ran = pair(90, Sight { term: None, ..silent("new", 6) }, sight("new", 8));
    assert_eq!(last([never_ran]), late(1, 90, "no new process of it started", &[]));
}

#[test]
fn silence_begins_the_settling_anew_but_not_for_ever() {
    let quiet = |at| pair(at, silent("new", 6), sight("new", 8));
    let looks = [both(0, 6, 8), both(1, 6, 8), both(10, 6, 8), quiet(15), both(16, 6, 8)];
    let then = [both(35, 6, 8)];
    assert_eq!(last(looks.clone().into_iter().chain(then)), Verdict::Settling);
    assert_eq!(last(looks.clone().into_iter().chain([both(36, 6, 8)])), Verdict::Good);
    let gone = [quiet(17), quiet(105), quiet(106)];
    let silent = late(1, 106, "its new process does not report", &[]);
    assert_eq!(last(looks.into_iter().chain(gone)), silent);
    let flapping = (0..).map(|at| if at % 10 == 9 { quiet(at) } else { both(at, 6, 8) });
    let flapping = last(flapping.take(1_000));
    assert_eq!(flapping, late(1, 229, "its new process does not report", &[]));
}

#[test]
fn without_an_agents_word_no_ring_is_good() {
    let blind = |at| Look { is_led: false, ..both(at, 6, 8) };
    let looks = [0, 1, 50, 89, 90].map(blind);
    let state = "no agent tells whether the engine kept the image";
    assert_eq!(last(looks), late(1, 90, state, &[]));
    assert_eq!(last([0, 1, 50].map(blind).into_iter().chain([both(51, 6, 8)])), Verdict::Settling);
}

#[test]
fn what_was_to_run_the_image_before_needs_no_new_start() {
    let ring = [before(1, "new", 5)];
    let mut rise = Rise::new(&ring, "new", LIMITS, Duration::ZERO);
    let same = |at| look(at, [(1, sight("new", 5))]);
    let verdicts = [0, 1, 21].map(|at| rise.judge(&same(at)));
    assert_eq!(verdicts, [Verdict::Rising(0), Verdict::Settling, Verdict::Good]);
}

#[test]
fn what_was_put_back_runs_when_it_started_anew_or_has_gone_on() {
    let mut never_ran = before(3, "old", 1);
    never_ran.was_reporting = false;
    let cells = [before(1, "old", 5), before(2, "old", 7), never_ran];
    let mut back = Return::new(&cells, &both(100, 6, 8), LIMITS.settle);
    let sights = |at, one: u32| pair(at, sight("old", one), sight("old", 8));
    let mut missing = |look: &Look| back.missing(look);
    assert_eq!(missing(&sights(100, 6)), [cell(1), cell(2)]);
    assert_eq!(missing(&sights(101, 7)), [cell(1), cell(2)], "it has not reported under it");
    assert_eq!(missing(&sights(102, 7)), [cell(2)]);
    assert_eq!(missing(&sights(119, 7)), [cell(2)]);
    assert!(missing(&sights(120, 7)).is_empty());
    assert_eq!(missing(&pair(121, silent("old", 7), sight("old", 8))), [cell(1)]);
}
