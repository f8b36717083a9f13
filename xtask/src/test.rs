//! `cargo xtask test`: what the tests need, then the tests, in nextest's own words.

use crate::command::{self, Failure, program, succeeds};
use crate::place::Place;
use crate::python;
use crate::{image, lab};

/// The runner's version is pinned, so that its flags and its summary stay the same.
const NEXTEST_VERSION: &str = "0.9.151";

/// Tells the end-to-end tests which interpreter has the Python SDK.
const PYTHON_VARIABLE: &str = "WARREN_TEST_PYTHON";

/// Tells the tests on a real swarm the image's archive and the program, with a colon between.
const IMAGE_VARIABLE: &str = "WARREN_TEST_IMAGE";

/// What the lab deploys where nothing else is named.
const TEST_IMAGE: &str = "warren:lab";

/// Runs the tests; the runner's summary is the last thing printed.
///
/// # Errors
/// [`Failure`] where a tool cannot be brought or a test fails.
pub fn run(place: &Place, profile: Option<&str>) -> Result<(), Failure> {
    let interpreter = python::interpreter(place)?;
    ensure_nextest(place)?;
    let mut nextest =
        program(&place.root, "cargo", ["nextest", "run", "--workspace", "--exclude", "bench"]);
    if let Some(profile) = profile {
        nextest.args(["--profile", profile]);
    }
    // Tests that load the machine are about the program as it is shipped: cargo has a profile of the
    // same name for them.
    if profile == Some("slow") {
        nextest.args(["--cargo-profile", "slow"]);
    }
    match lab_filter(profile) {
        Some(filter) => drop(nextest.args(["-E", filter])),
        None if profile == Some("quick") => {}
        None => drop(nextest.env(IMAGE_VARIABLE, image(place)?)),
    }
    command::run(nextest.env(PYTHON_VARIABLE, interpreter))
}

/// A test that passes without having looked would be a lie: what can't run here is left out, loudly,
/// and the runner counts it as skipped.
fn lab_filter(profile: Option<&str>) -> Option<&'static str> {
    const NO_LAB: &str = "not (binary(lab) | binary(swarm))";
    if profile == Some("quick") {
        return None;
    }
    let (what, reason, filter) = match (lab::check(false), lab::check(true)) {
        (Err(reason), _) => ("all tests on a real Docker Swarm", reason, NO_LAB),
        (_, Err(reason)) if profile == Some("slow") => {
            ("the test of the lab's network volume", reason, "not test(network_volume)")
        }
        // It has the programs; whether it lets us use them is seen by using them.
        _ => ("all tests on a real Docker Swarm", lab::try_out().err()?, NO_LAB),
    };
    eprintln!("xtask: LEFT OUT: {what}: {reason}");
    Some(filter)
}

/// The image that the tests put on their swarms, and the program in it.
fn image(place: &Place) -> Result<String, Failure> {
    let (archive, program) = image::build(place, true, TEST_IMAGE)?;
    Ok(format!("{}:{}", archive.display(), program.display()))
}

fn ensure_nextest(place: &Place) -> Result<(), Failure> {
    if succeeds(&mut program(&place.root, "cargo", ["nextest", "--version"])) {
        return Ok(());
    }
    let args = ["install", "cargo-nextest", "--locked", "--version", NEXTEST_VERSION];
    command::run(&mut program(&place.root, "cargo", args))
}
