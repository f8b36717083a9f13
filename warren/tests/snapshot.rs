//! `warren directory snapshot …`, and a replica that has nothing but such a file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output};

use testkit::{Certificate, Replica};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

const LIST: &str = "# whom we knew\nbob🛠\tone.example:2\r\n\n@Al.ice\ttwo.example:25000\n";

fn snapshot(args: &[&str], file: &Path) -> Output {
    let mut command = Command::new(WARREN);
    command.args(["directory", "snapshot"]).args(args).arg(file).output().unwrap()
}

fn build(folder: &Path, list: &str) -> Output {
    let from = folder.join("names.tsv");
    std::fs::write(&from, list).unwrap();
    snapshot(&["build", "--from", from.to_str().unwrap(), "--out"], &folder.join("made"))
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

#[test]
fn a_list_becomes_a_file_that_shows_verifies_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("made");
    let built = build(folder.path(), LIST);
    assert_eq!(built.status.code(), Some(0), "{built:?}");
    assert!(stdout(&built).contains("identities  2"), "{}", stdout(&built));
    for verb in ["show", "verify"] {
        let shown = snapshot(&[verb, "--json"], &file);
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!(shown["identities"], 2, "{verb}");
    }
    let dumped = snapshot(&["dump"], &file);
    assert_eq!(stdout(&dumped), "alice\ttwo.example:25000\nbob🛠\tone.example:2\n");
    let again = build(folder.path(), stdout(&dumped));
    assert_eq!(again.status.code(), Some(0));
    assert_eq!(stdout(&snapshot(&["dump"], &file)), stdout(&dumped));
}

#[test]
fn what_is_wrong_with_a_list_or_a_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (list, says) in [
        ("alice\tone.example:1\nbob one.example:2\n", "line 2 is not a name"),
        ("a b\tone.example:1\n", "line 1: an atSign cannot contain"),
        ("alice\tone.example\n", "line 1: an address has the form host:port"),
        ("alice\tone:1\nbob\tone:2\nALICE\tone:3\n", "@alice stands on line 1 and again on line 3"),
        (&"x".repeat(5000), "longer than 1024 bytes"),
    ] {
        let built = build(folder.path(), list);
        let error = String::from_utf8_lossy(&built.stderr);
        assert_eq!(built.status.code(), Some(2), "{error}");
        assert!(error.contains(says), "{error}");
    }
    let missing = snapshot(&["show"], &folder.path().join("nothing"));
    assert_eq!(missing.status.code(), Some(3));
    let file = folder.path().join("made");
    assert_eq!(build(folder.path(), LIST).status.code(), Some(0));
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let verified = snapshot(&["verify"], &file);
    assert_eq!(verified.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&verified.stderr).contains("is damaged"));
}

#[test]
fn a_replica_answers_from_a_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(build(folder.path(), LIST).status.code(), Some(0));
    let file = folder.path().join("made");
    let replica = Replica::start(WARREN, folder.path(), &["--snapshot", file.to_str().unwrap()]);
    assert_eq!(replica.resolve("@alice"), (Some(0), "two.example:25000".to_owned()));
    assert_eq!(replica.resolve("@nobody").0, Some(3));
}

#[test]
fn a_replica_of_a_file_that_is_not_there_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let Certificate { chain, key } = Certificate::make(folder.path());
    let mut serve = Command::new(WARREN);
    serve.args(["directory", "serve", "--port", "0", "--snapshot"]);
    serve.arg(folder.path().join("nothing")).arg("--tls-cert").arg(chain);
    let output = serve.arg("--tls-key").arg(key).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
}
