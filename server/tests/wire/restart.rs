//! What must be as it was after a start, and what happens when the disk fails.

use super::client::keys;
use super::lab::Lab;

#[tokio::test]
async fn a_restart_keeps_keys_metadata_ids_and_the_way_in() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.put_pkam_key().await;
    owner.data("update:ttl:100000:public:a.x@alice 日本").await;
    owner.data("update:gone@alice v").await;
    let last: i64 = owner.data("delete:gone@alice").await.parse().unwrap();
    let before = (owner.data("scan").await, owner.data("llookup:all:public:a.x@alice").await);
    drop(owner);
    alice.stop().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.connect("@alice").await;
    owner.pkam("@alice").await;
    let _ = keys();
    let after = owner.data("llookup:all:public:a.x@alice").await;
    assert_eq!(after, before.1);
    assert!(owner.ask("llookup:gone@alice").await.starts_with("error:AT0015-"));
    let next: i64 = owner.data("update:b@alice v").await.parse().unwrap();
    assert!(next > last, "no id is used twice");
    assert!(before.0.contains("public:a.x@alice"));
}

#[tokio::test]
async fn the_signing_pair_is_made_once() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.put_pkam_key().await;
    let first = owner.data("plookup:signing_publickey@alice").await;
    assert_eq!(owner.data("plookup:signing_publickey@alice").await, first);
    drop(owner);
    alice.stop().await;
    let _alice = lab.start("@alice").await;
    let mut open = lab.connect("@alice").await;
    assert_eq!(open.data("lookup:signing_publickey@alice").await, first, "statement 84");
}

#[tokio::test]
async fn nobody_has_a_pair_made_for_an_identity_that_is_not_activated() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut open = lab.connect("@alice").await;
    assert!(open.ask("lookup:signing_publickey@alice").await.starts_with("error:AT0015-"));
}

#[tokio::test]
async fn gap_18_a_disk_that_fails_is_told_to_the_client_and_to_the_host() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.put_pkam_key().await;
    owner.data("plookup:signing_publickey@alice").await;
    owner.data("update:kept@alice v").await;
    assert!(!alice.server.is_stopped());
    lab.disk().set_room(Some(0));
    owner.send("update:lost@alice v\n").await;
    let answer = owner.rest().await;
    assert!(answer.starts_with("error:AT0002-DataStore exception : "), "{answer}");
    assert!(alice.server.is_stopped());
    let mut reader = lab.connect("@alice").await;
    reader.challenge("@alice").await;
    let answer = reader.ask("pkam:AAAA").await;
    assert!(answer.starts_with("error:AT0401-"), "what was acknowledged is still read: {answer}");
}

#[tokio::test]
async fn a_stopped_server_is_idle_even_if_something_waits() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("notify:@nobody:k@alice:v").await;
    assert_eq!(alice.server.waiting(), 1);
    lab.disk().set_room(Some(0));
    owner.send("update:lost@alice v\n").await;
    owner.rest().await;
    for _ in 0..500 {
        if alice.server.is_idle() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("its host would never open it anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_costs_one_sync() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:x@alice 0").await;
    let before = lab.disk().syncs();
    for n in 0..20 {
        owner.data(&format!("update:x@alice {n}")).await;
        owner.data("llookup:x@alice").await;
    }
    assert_eq!(lab.disk().syncs() - before, 20);
}

/// Resident memory of this process in bytes.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[tokio::test]
async fn an_awake_server_without_connections_takes_little_memory() {
    const SERVERS: usize = 500;
    let lab = Lab::new().await;
    let first: Vec<_> = (0..20).map(|n| lab.open(&format!("@warm{n}"))).collect();
    let before = resident();
    let servers: Vec<_> = (0..SERVERS).map(|n| lab.open(&format!("@p{n}"))).collect();
    let each = (resident() - before) / SERVERS;
    // The simulated disk's files are in it, about 2 KiB a server.
    assert!(each < 10 * 1024, "{each} bytes a server");
    assert!(first.iter().chain(&servers).all(|server| server.is_idle()));
}
