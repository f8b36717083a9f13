//! `warren directory serve`: a replica that follows over HTTPS and needs nobody to answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::time::{Duration, Instant};

use testkit::{PATIENCE, Ports, Replica, Source, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// A warren beside the replica's files.
fn with_alice(scratch: &Path, ports: &Ports) -> Warren {
    let data = scratch.join("data");
    std::fs::create_dir(&data).unwrap();
    Warren::start(WARREN, &data, ports, &["--identity", "@alice"])
}

#[test]
fn a_replica_follows_the_registrar_and_answers_without_it() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let warren = with_alice(scratch.path(), &ports);
    let source = Source::registrar(&warren.endpoints);
    let replica = Replica::follow(WARREN, scratch.path(), &source, &[]);
    let alice = format!("localhost:{}", ports.first);
    replica.resolves_to("@alice", Some(&alice));
    replica.resolves_to("@nobody", None);

    let (bob, _) = warren.register("@bob");
    replica.resolves_to("@bob", Some(&bob));
    let deleted = warren.command(&["identity", "delete", "@bob", "--yes"]);
    assert!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
    replica.resolves_to("@bob", None);

    // Its snapshot is on the disk some seconds later; until then a start without a registrar
    // would know nothing, and say so.
    let file = scratch.path().join("replica/directory.snapshot");
    let start = Instant::now();
    while !file.exists() {
        assert!(start.elapsed() < PATIENCE, "no snapshot file was written");
        std::thread::sleep(Duration::from_millis(50));
    }
    warren.kill();
    replica.resolves_to("@alice", Some(&alice));
    drop(replica);
    let alone = Replica::follow(WARREN, scratch.path(), &source, &[]);
    alone.resolves_to("@alice", Some(&alice));
    alone.resolves_to("@nobody", None);
}

#[test]
fn a_replica_that_knows_nothing_yet_never_says_unknown() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let warren = with_alice(scratch.path(), &ports);
    let source = Source::registrar(&warren.endpoints);
    warren.kill();
    let replica = Replica::follow(WARREN, scratch.path(), &source, &[]);
    let (code, said) = replica.resolve("@alice");
    assert_eq!(code, Some(6), "unavailable, not unknown: {said}");
}
