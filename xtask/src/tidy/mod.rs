//! `cargo xtask tidy`: the format, the lints, and the structure as a test.
//!
//! The structural rules also run as a test of this crate, so that `cargo xtask test` holds them.

mod arrows;
mod crates;
mod documents;
mod finding;
mod sources;

use std::path::Path;

use crate::command::{self, Failure, program};
use crate::place::Place;
use finding::Finding;

/// Checks everything; findings of the structure are printed one to a line.
///
/// # Errors
/// [`Failure`] where a tool fails or a rule is broken.
pub fn run(place: &Place) -> Result<(), Failure> {
    report(&structure(&place.root)?)?;
    command::run(&mut program(&place.root, "cargo", ["fmt", "--all", "--check"]))?;
    let fuzz = place.root.join("fuzz");
    if fuzz.is_dir() {
        command::run(&mut program(&fuzz, "cargo", ["fmt", "--check"]))?;
    }
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    command::run(&mut program(&place.root, "cargo", clippy))?;
    eprintln!("xtask: tidy");
    Ok(())
}

fn structure(root: &Path) -> Result<Vec<Finding>, Failure> {
    let members = crates::members(root)?;
    let mut findings = arrows::check(&members);
    findings.extend(crates::check(&members));
    findings.extend(sources::check(root, &members)?);
    findings.extend(documents::check(root)?);
    Ok(findings)
}

fn report(findings: &[Finding]) -> Result<(), Failure> {
    for finding in findings {
        eprintln!("{finding}");
    }
    match findings.iter().filter(|finding| finding.is_rule).count() {
        0 => Ok(()),
        count => Err(Failure::Untidy { count }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn the_workspace_keeps_its_own_structure() {
        let place = Place::find().expect("cargo says where the workspace is");
        let findings = structure(&place.root).expect("the workspace can be read");
        let broken: Vec<_> =
            findings.iter().filter(|f| f.is_rule).map(ToString::to_string).collect();
        assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    }
}
