//! `warren directory serve --parent`: own names here, the rest from above, and never "unknown" for a
//! parent that is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use testkit::{Replica, build_snapshot};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// A replica that says what a list says.
fn serve(dir: &Path, names: &str, more: &[&str]) -> Replica {
    let snapshot = build_snapshot(WARREN, dir, names);
    let file = ["--snapshot", snapshot.to_str().unwrap()];
    Replica::start(WARREN, dir, &[&file, more].concat())
}

#[test]
fn a_private_directory_asks_its_parent_and_says_when_it_cannot() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = |name: &str| scratch.path().join(name);
    let world = "far\tfar.example:64\nalice\timpostor.example:1\n";
    let mut parent = serve(&dir("parent"), world, &[]);
    let trust = parent.cert.to_str().unwrap().to_owned();
    let above = ["--parent", &parent.address(), "--parent-ca", &trust];
    let private = serve(&dir("private"), "alice\there.example:25000\n", &above);
    let found = |address: &str| (Some(0), address.to_owned());
    assert_eq!(private.resolve("@alice"), found("here.example:25000"));
    assert_eq!(private.resolve("@far"), found("far.example:64"));
    assert_eq!(private.resolve("@nobody").0, Some(3), "unknown to both");

    parent.kill();
    assert_eq!(private.resolve("@other").0, Some(6), "unavailable, not unknown");
    assert_eq!(private.resolve("@alice"), found("here.example:25000"));
}
