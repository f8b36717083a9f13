//! `warren up --registrar-store`: the names in a PostgreSQL, whoever is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use testkit::{Ports, PostgresServer, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

fn shown(data: &Path, identity: &str) -> (Option<i32>, String) {
    let asked =
        Command::new(WARREN).args(["resolve", identity, "--data-dir"]).arg(data).output().unwrap();
    (asked.status.code(), String::from_utf8(asked.stdout).unwrap().trim().to_owned())
}

#[test]
fn names_in_postgresql_outlive_a_kill_of_either() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, ports) = (scratch.path().join("data"), Ports::reserve(20));
    std::fs::create_dir(&data).unwrap();
    let mut server = PostgresServer::start();
    let (url, secret) = server.database_and_password();
    let password = scratch.path().join("password");
    std::fs::write(&password, format!("{secret}\n")).unwrap();
    let password = password.to_str().unwrap();
    let more = ["--registrar-store", &url, "--registrar-store-password-file", password];
    let warren = Warren::start(WARREN, &data, &ports, &more);
    let (alice, _) = warren.register("@alice");
    server.restart(&[]);
    let (bob, _) = warren.register("@bob");
    warren.kill();

    let warren = Warren::start(WARREN, &data, &ports, &more);
    for (name, address) in [("@alice", &alice), ("@bob", &bob)] {
        assert_eq!(shown(&data, name), (Some(0), address.clone()));
    }
    // What another registrar does that takes over.
    server.ask("test0", "UPDATE warren_registrar SET writer_epoch = writer_epoch + 1");
    let ended = warren.ended();
    assert_eq!(ended.code(), Some(5), "a registrar that was replaced ends");
    assert!(testkit::log_of(&data).contains("taken over"));
    assert!(!testkit::log_of(&data).contains(secret));
}

#[test]
fn a_data_directory_with_names_of_its_own_and_a_wrong_url_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let warren = Warren::start(WARREN, scratch.path(), &ports, &["--identity", "@alice"]);
    assert!(warren.terminate().success());
    for (url, code, words) in [
        ("postgres://warren@127.0.0.1:1/names", 5, "keeps its names in it"),
        ("mysql://warren@127.0.0.1/names", 2, "a PostgreSQL URL has the form"),
    ] {
        let mut command = testkit::up_command(WARREN, scratch.path(), &ports);
        let output = command.args(["--registrar-store", url]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{url}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(words), "{said}");
    }
}
