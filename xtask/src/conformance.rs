//! `cargo xtask conformance`: builds the program and the checker, then runs the checker.

use crate::command::{self, Failure, program};
use crate::place::Place;

/// Runs the numbered statements of the protocol with options of the checker's own.
///
/// # Errors
/// [`Failure`] where something does not build or a statement fails.
pub fn run(place: &Place, rest: &[String]) -> Result<(), Failure> {
    let build = ["build", "--quiet", "--package", "warren", "--package", "conformance"];
    command::run(&mut program(&place.root, "cargo", build))?;
    let debug = place.target.join("debug");
    let mut checker = program::<&str>(&place.root, debug.join("conformance"), []);
    command::run(checker.arg("--warren").arg(debug.join("warren")).args(rest))
}
