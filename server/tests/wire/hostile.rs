//! A hostile peer and hostile strangers: what they can make a server hold or do is bounded, they are
//! told so where the protocol has words for it, and its owner notices little.

use std::time::{Duration, Instant};

use server::Rate;

use super::lab::Lab;
use super::peer::Peer;

const SLOW: Rate = Rate { burst: 5, per_second: 20 };

/// How long so many commands take, one after the other.
async fn time_of(client: &mut super::client::Client, count: usize) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        assert_eq!(client.data("noop:0").await, "ok");
    }
    start.elapsed()
}

#[tokio::test]
async fn a_peer_that_floods_is_read_later_and_loses_nothing() {
    let lab = Lab::with(|limits| limits.peer_rate = SLOW).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut bob = Peer::connect(&lab, "@bob", "@alice").await;
    assert!(time_of(&mut bob, 15).await >= Duration::from_millis(450));
    for n in 0..5 {
        let answer = bob.data(&format!("notify:id:n{n}:@alice:k@bob:v")).await;
        assert_eq!(answer, "success");
    }
    assert_eq!(owner.json("notify:list").await.as_array().unwrap().len(), 5);
    assert!(time_of(&mut owner, 25).await < Duration::from_secs(1), "the owner is not held up");
}

#[tokio::test]
async fn a_stranger_that_floods_is_read_later_whichever_server_it_calls() {
    let lab = Lab::with(|limits| {
        limits.address_rate = SLOW;
        limits.spares_loopback = false;
    })
    .await;
    let (_alice, _bob) = (lab.start("@alice").await, lab.start("@bob").await);
    let mut first = lab.connect("@alice").await;
    assert!(time_of(&mut first, 25).await >= Duration::from_millis(900));
    let mut owner = lab.owner("@alice").await;
    assert!(time_of(&mut owner, 25).await < Duration::from_secs(1), "the owner is not held up");
}

#[tokio::test]
async fn long_commands_and_answers_without_memory_are_refused_and_short_ones_go_on() {
    let lab = Lab::with(|limits| limits.memory_max = 4 << 20).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let value = "v".repeat(900_000);
    owner.data(&format!("update:public:large@alice {value}")).await;
    let mut bob = Peer::connect(&lab, "@bob", "@alice").await;
    // Half a line is held, and so is the memory for all that it will take.
    bob.send(&format!("notify:id:n:@alice:k@bob:{value}")).await;
    let answer = loop {
        let mut other = lab.owner("@alice").await;
        let answer = other.ask_or_end(&format!("update:large@alice {value}")).await;
        if answer.starts_with("error:") {
            break answer;
        }
    };
    assert!(answer.starts_with("error:AT0005-"), "{answer:.200}");
    assert!(answer.contains("try again later"), "{answer:.200}");
    assert!(answer.ends_with("@alice@"), "told in order: {answer:.200}");
    assert!(owner.data("update:small@alice v").await.parse::<i64>().is_ok());
    bob.send("\n").await;
    assert_eq!(bob.answer().await, "data:success\n@bob@");
    owner.data(&format!("update:large@alice {value}")).await;
}

#[tokio::test]
async fn readers_that_do_not_read_hold_no_more_than_the_memory_there_is() {
    let lab = Lab::with(|limits| limits.memory_max = 24 << 20).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data(&format!("update:public:large@alice {}", "v".repeat(5_000_000))).await;
    let mut deaf = Vec::new();
    for _ in 0..6 {
        let mut client = lab.connect("@alice").await;
        client.send("lookup:large@alice\n").await;
        deaf.push(client);
    }
    // Four of the answers wait for their readers; there is no memory for more.
    let start = Instant::now();
    let mut honest = lab.connect("@alice").await;
    let answer = loop {
        let answer = honest.ask("lookup:large@alice").await;
        if answer.starts_with("error:") {
            break answer;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "it is never refused");
    };
    assert!(answer.starts_with("error:AT0005-"), "{answer:.200}");
    assert_eq!(honest.data("noop:0").await, "ok", "the connection goes on");
    drop(deaf);
    let start = Instant::now();
    while honest.ask("lookup:large@alice").await.starts_with("error:") {
        assert!(start.elapsed() < Duration::from_secs(20), "the memory does not come back");
    }
}

#[tokio::test]
async fn large_notifications_of_a_peer_make_no_list_too_large_and_the_newest_stay_in_it() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut bob = Peer::connect(&lab, "@bob", "@alice").await;
    let value = "v".repeat(5 << 20);
    for n in 0..5 {
        let answer = bob.data(&format!("notify:id:n{n}:@alice:k@bob:{value}")).await;
        assert_eq!(answer, "success");
    }
    let list = owner.json("notify:list").await;
    let ids: Vec<_> =
        list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["n2", "n3", "n4"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn monitors_that_do_not_read_are_dropped_when_memory_is_short_and_readers_go_on() {
    let lab = Lab::with(|limits| limits.memory_max = 12 << 20).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut deaf = Vec::new();
    for _ in 0..20 {
        let mut monitor = lab.owner("@alice").await;
        monitor.watch("monitor:strict .*").await;
        deaf.push(monitor);
    }
    let mut reader = lab.owner("@alice").await;
    reader.watch("monitor:strict .*").await;
    let value = "v".repeat(1_000_000);
    for n in 0..40 {
        assert_eq!(
            owner.data(&format!("notify:id:n{n}:@alice:k@alice:{value}")).await,
            format!("n{n}")
        );
        assert_eq!(reader.notification().await["id"], format!("n{n}"));
    }
}
