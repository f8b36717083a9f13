//! A renewed certificate is shown without a restart, and ends no connection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use testkit::{LineClient, PATIENCE};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// A new certificate in these files, and a copy of it for those who shall trust it.
fn renew(folder: &Path, copy: &str) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("chain.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join(copy), made.cert.pem()).unwrap();
}

#[test]
fn s053_a_new_certificate_is_shown_after_a_hangup_and_connections_live_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("names.tsv"), "alice\ttwo.example:25000\n").unwrap();
    let mut build = Command::new(WARREN);
    build.args(["directory", "snapshot", "build", "--from"]).arg(file("names.tsv"));
    assert!(build.arg("--out").arg(file("made")).output().unwrap().status.success());
    renew(folder.path(), "old.pem");
    let mut serve = Command::new(WARREN);
    serve.args(["directory", "serve", "--port", "0", "--snapshot"]).arg(file("made"));
    serve.arg("--tls-cert").arg(file("chain.pem")).arg("--tls-key").arg(file("key.pem"));
    let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = line.split_whitespace().nth(1).unwrap().rsplit_once(':').unwrap().1;
    let address = format!("localhost:{port}");
    let mut kept = LineClient::connect(&address, &file("old.pem")).unwrap();
    assert!(LineClient::connect(&address, &file("old.pem")).is_ok());

    renew(folder.path(), "new.pem");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    let start = Instant::now();
    while LineClient::connect(&address, &file("new.pem")).is_err() {
        assert!(start.elapsed() < PATIENCE, "the new certificate is not shown");
    }
    let with_old = LineClient::connect(&address, &file("old.pem"));
    let answer = kept.try_ask("alice").unwrap();
    // What is no certificate changes nothing.
    std::fs::write(file("chain.pem"), "rubbish").unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    let mut still = LineClient::connect(&address, &file("new.pem")).unwrap();
    let again = still.try_ask("alice").unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(with_old.is_err(), "the old certificate is shown no more");
    assert_eq!(answer.trim_end(), "two.example:25000");
    assert_eq!(again.trim_end(), "two.example:25000");
}
