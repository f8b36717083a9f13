//! Several machines, one shared volume, and a registrar that hands out epochs: whatever is paused, cut
//! off or dies at whichever call, what was acknowledged is read by every later opening, and nobody
//! acknowledges into a history that went on without him.
//!
//! The machines run the real store, in threads of which one runs at a time as a seed says. Planted
//! bugs are the same store on a disk that does some calls in a wrong order.

mod mount;
mod run;
mod schedule;

use mount::Bug;
use run::run;

const SEEDS: u64 = 2500;

fn sound(seeds: std::ops::Range<u64>) {
    let (mut acks, mut takeovers) = (0, 0);
    for seed in seeds {
        let outcome = run(seed, Bug::None).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        acks += outcome.acks;
        takeovers += outcome.openings;
    }
    // A run in which nothing happens proves nothing.
    assert!(acks > SEEDS * 3 && takeovers > SEEDS * 2, "{acks} acks, {takeovers} openings");
}

/// The first seed at which a bug shows.
fn found(bug: Bug) {
    let shown = (0..4 * SEEDS).find_map(|seed| Some((seed, run(seed, bug).err()?)));
    let (seed, wrong) = shown.unwrap_or_else(|| panic!("{bug:?} is not found"));
    println!("{bug:?}: seed {seed}: {wrong}");
}

#[test]
fn whatever_was_acknowledged_is_read_by_every_later_epoch_1() {
    sound(0..SEEDS);
}

#[test]
fn whatever_was_acknowledged_is_read_by_every_later_epoch_2() {
    sound(SEEDS..2 * SEEDS);
}

#[test]
fn whatever_was_acknowledged_is_read_by_every_later_epoch_3() {
    sound(2 * SEEDS..3 * SEEDS);
}

#[test]
fn an_acknowledgement_without_a_look_is_found() {
    found(Bug::NoLook);
}

#[test]
fn an_acknowledgement_after_a_look_from_before_the_sync_is_found() {
    found(Bug::LookBeforeSync);
}

#[test]
fn reading_before_the_fence_is_durable_is_found() {
    found(Bug::FenceNotDurable);
}

#[test]
fn reading_before_the_fence_is_planted_is_found() {
    found(Bug::ReadBeforeFence);
}

/// The same seed is the same history, or no finding could be looked at twice.
#[test]
fn a_seed_is_a_history() {
    for seed in 0..20 {
        assert_eq!(run(seed, Bug::None), run(seed, Bug::None), "seed {seed}");
    }
}
