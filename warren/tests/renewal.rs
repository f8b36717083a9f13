//! A renewed certificate is shown without a restart, and ends no connection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::time::Instant;

use rustix::process::Signal;
use testkit::{Certificate, LineClient, PATIENCE, Replica, build_snapshot};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

#[test]
fn s053_a_new_certificate_is_shown_after_a_hangup_and_connections_live_on() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let snapshot = build_snapshot(WARREN, dir, "alice\ttwo.example:25000\n");
    let replica = Replica::start(WARREN, dir, &["--snapshot", snapshot.to_str().unwrap()]);
    // Those who shall trust it keep a copy of their own.
    let keep = |name: &str| -> PathBuf {
        std::fs::copy(&replica.cert, dir.join(name)).unwrap();
        dir.join(name)
    };
    let (address, old) = (replica.address(), keep("old.pem"));
    let mut kept = LineClient::connect(&address, &old).unwrap();
    assert!(LineClient::connect(&address, &old).is_ok());

    Certificate::make(dir);
    let new = keep("new.pem");
    replica.signal(Signal::HUP);
    let start = Instant::now();
    while LineClient::connect(&address, &new).is_err() {
        assert!(start.elapsed() < PATIENCE, "the new certificate is not shown");
    }
    let with_old = LineClient::connect(&address, &old);
    let answer = kept.try_ask("alice").unwrap();
    // What is no certificate changes nothing.
    std::fs::write(&replica.cert, "rubbish").unwrap();
    replica.signal(Signal::HUP);
    let mut still = LineClient::connect(&address, &new).unwrap();
    let again = still.try_ask("alice").unwrap();
    assert!(with_old.is_err(), "the old certificate is shown no more");
    assert_eq!(answer.trim_end(), "two.example:25000");
    assert_eq!(again.trim_end(), "two.example:25000");
}
