//! Notifications that wait when the process is killed: they are delivered after the next start, with
//! nobody connecting to their sender.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{LineClient, PATIENCE, Ports, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

struct Scratch {
    data: PathBuf,
    ports: Ports,
    _folder: tempfile::TempDir,
}

fn scratch() -> Scratch {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    Scratch { data, ports: Ports::reserve(20), _folder: folder }
}

fn received(owner: &mut LineClient) -> Vec<String> {
    let answer = owner.ask("notify:list");
    let list: Value = serde_json::from_str(answer.strip_prefix("data:").unwrap()).unwrap();
    let list = list.as_array().cloned().unwrap_or_default();
    list.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

fn awaited(owner: &mut LineClient, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let list = received(owner);
        if list.len() >= count {
            return list;
        }
        assert!(start.elapsed() < PATIENCE, "only {list:?} came");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_waits_when_the_process_is_killed_is_delivered_though_nobody_wakes_its_sender() {
    let scratch = scratch();
    let up = || Warren::start(WARREN, &scratch.data, &scratch.ports, &["--sleep-after", "1"]);
    let warren = up();
    let (address, secret) = warren.register("@alice");
    let mut alice = warren.owner("@alice", &address, &secret);
    let ids: Vec<String> = (0..5).map(|n| format!("n{n}")).collect();
    for id in &ids {
        let answer = alice.ask(&format!("notify:id:{id}:@bob:k@alice:v"));
        assert_eq!(answer, format!("data:{id}"));
    }
    // Nothing but the last answer comes before the kill.
    warren.kill();
    let warren = up();
    let (address, secret) = warren.register("@bob");
    let mut bob = warren.owner("@bob", &address, &secret);
    assert_eq!(awaited(&mut bob, ids.len()), ids);
    drop(bob);
    // In order, too: she sleeps, and the note that she must be woken goes.
    let start = Instant::now();
    while std::fs::read_dir(scratch.data.join("waiting")).unwrap().count() > 0 {
        assert!(start.elapsed() < PATIENCE, "the note stays");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(warren.terminate().code(), Some(0));
    let warren = up();
    let mut bob = warren.owner("@bob", &address, &secret);
    assert_eq!(received(&mut bob), ids, "once");
}

#[test]
fn an_orderly_end_does_not_wait_for_a_receiver_that_is_down() {
    let scratch = scratch();
    let warren = Warren::start(WARREN, &scratch.data, &scratch.ports, &[]);
    let (address, secret) = warren.register("@alice");
    let mut alice = warren.owner("@alice", &address, &secret);
    assert_eq!(alice.ask("notify:id:n:@bob:k@alice:v"), "data:n");
    let start = Instant::now();
    assert_eq!(warren.terminate().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let warren = Warren::start(WARREN, &scratch.data, &scratch.ports, &[]);
    let (address, secret) = warren.register("@bob");
    let mut bob = warren.owner("@bob", &address, &secret);
    assert_eq!(awaited(&mut bob, 1), ["n"]);
}
