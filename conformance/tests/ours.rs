//! Our own directory and servers, seen from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use conformance::{How, World, report, run, statements};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The program lies where cargo puts it: beside the folder of this test.
fn warren() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let program = this.ancestors().nth(2).unwrap().join("warren");
    assert!(program.exists(), "build it first: cargo build --package warren");
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_fails_against_our_own_servers() {
    let all = statements::all();
    let world = Arc::new(World::ours(&warren()).await.unwrap());
    let rows = run::run(&world, &all, |_| {}).await;
    assert!(report::is_good(&rows), "\n{}", report::table(&rows));
    let numbers: Vec<u16> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, (1..=217).collect::<Vec<_>>(), "each statement has its row");
    let not_seen: Vec<_> = rows
        .iter()
        .filter(|row| matches!(row.outcome, conformance::Outcome::NotApplicable { .. }))
        .map(|row| (row.number, &row.outcome))
        .collect();
    assert!(not_seen.is_empty(), "here everything can be seen: {not_seen:?}");
}

#[test]
fn each_number_has_one_statement_and_what_is_seen_inside_names_tests_that_exist() {
    let all = statements::all();
    let numbers: Vec<u16> = all.iter().map(|statement| statement.number).collect();
    assert_eq!(numbers, (1..=217).collect::<Vec<_>>());
    for statement in all {
        let How::Inside(tests) = statement.how else { continue };
        assert!(!tests.is_empty(), "{} is shown nowhere", statement.number);
        for test in tests {
            assert!(is_test(test), "{}: there is no test {test}", statement.number);
        }
    }
}

/// Whether the file has a function of this name right behind a test attribute.
fn is_test(path: &str) -> bool {
    let (file, name) = path.split_once("::").unwrap_or_else(|| panic!("{path}: file::name"));
    let text = std::fs::read_to_string(Path::new(WORKSPACE).join(file)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.windows(2).any(|pair| {
        let is_function =
            ["fn", "async fn"].iter().any(|kind| pair[1].starts_with(&format!("{kind} {name}(")));
        is_function && ["#[test]", "#[tokio::test"].iter().any(|start| pair[0].starts_with(start))
    })
}

#[test]
fn a_test_that_does_not_exist_is_not_taken_for_one() {
    let this = "conformance/tests/ours.rs";
    assert!(is_test(&format!("{this}::a_test_that_does_not_exist_is_not_taken_for_one")));
    assert!(is_test(&format!("{this}::no_statement_fails_against_our_own_servers")));
    assert!(!is_test(&format!("{this}::is_test")), "a helper");
    assert!(!is_test(&format!("{this}::nothing")));
    assert!(!is_test("conformance/tests/nowhere.rs::nothing"));
}
