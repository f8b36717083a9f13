//! `cargo xtask bench`: builds the program and the benchmarks with optimisation, then measures.
//!
//! The benchmarks are a crate of their own (`bench`): their peers are heavy to compile, and this
//! program starts everything else. `host` alone is here: it measures on a lab, from outside.

use crate::command::{self, Failure, program, succeeds};
use crate::lab;
use crate::place::Place;

/// Runs the benchmark `name` with options of its own.
///
/// # Errors
/// [`Failure`] where something does not build or the benchmark fails.
pub fn run(place: &Place, name: &str, rest: &[String]) -> Result<(), Failure> {
    if name == "host" {
        return lab::bench::run(place, rest);
    }
    let build = ["build", "--release", "--package", "warren", "--package", "bench"];
    command::run(&mut program(&place.root, "cargo", build))?;
    if name == "wake" && succeeds(&mut program(&place.root, "docker", ["--version"])) {
        build_static(place)?;
    }
    let release = place.target.join("release");
    let mut bench = program::<&str>(&place.root, release.join("bench"), []);
    bench.arg("--warren").arg(release.join("warren"));
    bench.arg("--dir").arg(place.target.join("bench"));
    command::run(bench.arg(name).args(rest))
}

/// The container that is measured beside us has nothing in it but the program, so that one is
/// linked statically.
fn build_static(place: &Place) -> Result<(), Failure> {
    let target = "x86_64-unknown-linux-gnu";
    let build = ["build", "--release", "--package", "warren", "--target", target];
    let mut cargo = program(&place.root, "cargo", build);
    command::run(cargo.env("RUSTFLAGS", "-C target-feature=+crt-static"))
}
