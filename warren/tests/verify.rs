//! A directory that follows a directory, and `warren resolve --verify`, which believes neither.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{PATIENCE, Ports, Replica, Source, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

fn verify(replica: &Replica, name: &str, key: &str) -> Output {
    let https = format!("localhost:{}", replica.port("https"));
    Command::new(WARREN)
        .args(["resolve", name, "--verify", "--json", "--https", &https])
        .args(["--feed-key", key, "--ca-file"])
        .arg(&replica.cert)
        .output()
        .unwrap()
}

/// What is proven, once it is there.
fn proven(replica: &Replica, name: &str, key: &str) -> Value {
    let start = Instant::now();
    loop {
        let output = verify(replica, name, key);
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).unwrap();
        }
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(start.elapsed() < PATIENCE, "{name}: {said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_name_is_proven_through_directories_that_nobody_has_to_trust() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, ports) = (scratch.path().join("data"), Ports::reserve(20));
    std::fs::create_dir(&data).unwrap();
    let warren = Warren::start(WARREN, &data, &ports, &["--identity", "@alice"]);
    let registrar = Source::registrar(&warren.endpoints);
    let key = &registrar.feed_key;
    let (_first, source) = Replica::relay(WARREN, &scratch.path().join("1"), &registrar);
    let (second, _) = Replica::relay(WARREN, &scratch.path().join("2"), &source);

    let alice = proven(&second, "@alice", key);
    assert_eq!(alice["address"], format!("localhost:{}", ports.first));
    assert_eq!((&alice["verified"], &alice["epoch"]), (&Value::from(true), &Value::from(1)));

    // Who came later is proven as well, with the registrar gone by then.
    let (bob, _) = warren.register("@bob");
    assert_eq!(proven(&second, "@bob", key)["address"], bob);
    warren.kill();
    assert_eq!(proven(&second, "@bob", key)["address"], bob);

    let other = "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let refused = verify(&second, "@alice", other);
    assert_eq!(refused.status.code(), Some(4), "refused");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("not proven") && refused.stdout.is_empty(), "{said}");
    let unknown = verify(&second, "@nobody", key);
    assert_eq!(unknown.status.code(), Some(3));
}
