//! `cargo xtask test`: what the tests need, then the tests, in nextest's own words.

use crate::command::{self, Failure, program, succeeds};
use crate::lab;
use crate::place::Place;
use crate::python;

/// The runner's version is pinned, so that its flags and its summary stay the same.
const NEXTEST_VERSION: &str = "0.9.151";

/// Tells the end-to-end tests which interpreter has the Python SDK.
const PYTHON_VARIABLE: &str = "WARREN_TEST_PYTHON";

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
    if let Some(filter) = without_lab() {
        nextest.args(["-E", filter]);
    }
    command::run(nextest.env(PYTHON_VARIABLE, interpreter))
}

/// A test that passes without having looked would be a lie: what can't run here is left out, loudly,
/// and the runner counts it as skipped.
fn without_lab() -> Option<&'static str> {
    let (what, reason, filter) = match (lab::check(false), lab::check(true)) {
        (Err(reason), _) => {
            ("all tests of the lab, a real Docker Swarm", reason, "not binary(lab)")
        }
        (_, Err(reason)) => {
            ("the test of the lab's network volume", reason, "not test(network_volume)")
        }
        _ => return None,
    };
    eprintln!("xtask: LEFT OUT: {what}: {reason}");
    Some(filter)
}

fn ensure_nextest(place: &Place) -> Result<(), Failure> {
    if succeeds(&mut program(&place.root, "cargo", ["nextest", "--version"])) {
        return Ok(());
    }
    let args = ["install", "cargo-nextest", "--locked", "--version", NEXTEST_VERSION];
    command::run(&mut program(&place.root, "cargo", args))
}
