//! What a server does by itself: stale copies (section 6.5), a caller's public key (4.5), names that
//! are no keys (4.4).

use std::time::{Duration, Instant};

use super::client::Client;
use super::lab::{Lab, Running, name};
use super::peer::Peer;

const DAY_MILLIS: i64 = 86_400_000;

/// Two identities whose changes are not notified, so that copies go stale.
async fn two() -> (Lab, [Running; 2], Client, Client) {
    let lab = Lab::with(|limits| {
        limits.sweep_interval = Duration::from_millis(50);
        limits.auto_notify = false;
    })
    .await;
    let running = [lab.start("@alice").await, lab.start("@bob").await];
    let (mut alice, mut bob) = (lab.owner("@alice").await, lab.owner("@bob").await);
    for (client, name) in [(&mut alice, "@alice"), (&mut bob, "@bob")] {
        client.put_pkam_key().await;
        client.data(&format!("update:public:publickey{name} key of {name}")).await;
        client.data(&format!("plookup:signing_publickey{name}")).await;
    }
    (lab, running, alice, bob)
}

/// Asks until the answer begins so.
async fn reaches(client: &mut Client, command: &str, beginning: &str) {
    let began = Instant::now();
    loop {
        let answer = client.ask(command).await;
        if answer.starts_with(beginning) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{command}: {answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn stale_copies_are_fetched_again_once_a_day() {
    let (lab, _running, mut alice, mut bob) = two().await;
    for command in [
        "update:ttr:60:@alice:phone@bob 1",
        "update:ttr:60:public:loc@bob 1",
        "update:ttr:-1:@alice:ever@bob 1",
        "update:ttr:60:@alice:gone@bob 1",
    ] {
        bob.data(command).await;
    }
    for command in ["lookup:phone@bob", "plookup:loc@bob", "lookup:ever@bob", "lookup:gone@bob"] {
        assert_eq!(alice.data(command).await, "1", "{command}");
    }
    for key in ["@alice:phone@bob", "public:loc@bob", "@alice:ever@bob"] {
        bob.data(&format!("update:{key} 2")).await;
    }
    bob.data("delete:@alice:gone@bob").await;
    assert_eq!(alice.data("llookup:cached:@alice:phone@bob").await, "1");
    lab.clock.advance(DAY_MILLIS + 61_000);
    reaches(&mut alice, "llookup:cached:@alice:phone@bob", "data:2\n").await;
    reaches(&mut alice, "llookup:cached:public:loc@bob", "data:2\n").await;
    reaches(&mut alice, "llookup:cached:@alice:gone@bob", "error:AT0015-").await;
    assert_eq!(alice.data("llookup:cached:@alice:ever@bob").await, "1", "it never goes stale");
    let meta = alice.json("llookup:meta:cached:@alice:phone@bob").await;
    assert_eq!(meta["ttr"], 60);
}

#[tokio::test]
async fn a_server_that_slept_refreshes_when_it_wakes_and_lives_with_a_silent_peer() {
    let (lab, [alice, bob], mut owner, mut bobs) = two().await;
    bobs.data("update:ttr:60:@alice:phone@bob 1").await;
    assert_eq!(owner.data("lookup:phone@bob").await, "1");
    bobs.data("update:@alice:phone@bob 2").await;
    drop((owner, bobs));
    alice.stop().await;
    bob.stop().await;
    lab.clock.advance(DAY_MILLIS);
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    assert_eq!(owner.data("llookup:cached:@alice:phone@bob").await, "1", "@bob is not there");
    drop(owner);
    alice.stop().await;
    let _bob = lab.start("@bob").await;
    lab.clock.advance(DAY_MILLIS);
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    reaches(&mut owner, "llookup:cached:@alice:phone@bob", "data:2\n").await;
}

#[tokio::test]
async fn a_caller_that_proved_itself_has_its_public_key_refreshed() {
    let (_lab, _running, mut alice, mut bob) = two().await;
    bob.data("update:@alice:phone@bob 1").await;
    assert_eq!(alice.data("lookup:phone@bob").await, "1");
    reaches(&mut bob, "llookup:cached:public:publickey@alice", "data:key of @alice\n").await;
}

#[tokio::test]
async fn a_caller_without_a_public_key_is_believed_all_the_same() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut bob = Peer::connect(&lab, "@bob", "@alice").await;
    assert_eq!(bob.data("scan").await, "[]");
    let mut owner = lab.owner("@alice").await;
    assert_eq!(owner.data("scan").await, "[]");
}

#[tokio::test]
async fn names_that_are_no_keys_are_removed_at_the_start() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:public:publickey@alice kept").await;
    drop(owner);
    alice.stop().await;
    let store = lab.store(&name("@alice"));
    let good = store.get(b"kpublic:publickey@alice").unwrap().unwrap().bytes;
    let mut batch = storage::Batch::new();
    batch.put(b"kpublic:publickey", &good).put(b"kpublic:cached:x@alice", &good);
    store.commit_blocking(batch).unwrap();
    store.close().unwrap();
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let all = serde_json::json!(["public:publickey@alice"]);
    assert_eq!(owner.json("scan").await, all);
    assert_eq!(owner.data("llookup:public:publickey@alice").await, "kept");
    drop(owner);
    alice.stop().await;
    let store = lab.store(&name("@alice"));
    assert_eq!(store.keys(b"kpublic:").len(), 1);
}
