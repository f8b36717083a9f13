//! Directories that follow a directory, and clients that believe none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::https::https;
use common::{Registrar, Running, SOON, address, change, name, signed, the_feed, the_key};
use directory::{Directory, FeedAnswer, FeedSource, RelayToken};
use feed::{Evidence, Signed, SigningKey};
use net::drain::Drain;
use protocol::control::feed::Batch;

fn registrar() -> Registrar {
    Registrar::new(vec![change(1, "alice", Some("a.example:1"), 1)])
}

/// One that follows this source.
fn follower(folder: &tempfile::TempDir, file: &str, source: Arc<dyn FeedSource>) -> Arc<Directory> {
    let directory = Directory::open(folder.path().join(file)).unwrap();
    tokio::spawn(Arc::clone(&directory).follow(source, the_key().public(), Drain::new()));
    directory
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_directories_tells_what_the_registrar_told() {
    let (folder, registrar) = (tempfile::tempdir().unwrap(), registrar());
    let first = follower(&folder, "1", Arc::new(registrar.clone()));
    let second = follower(&folder, "2", Arc::clone(&first) as Arc<dyn FeedSource>);
    let third = follower(&folder, "3", Arc::clone(&second) as Arc<dyn FeedSource>);
    assert!(third.reached(1, Duration::from_secs(600)).await);
    for number in 2..40 {
        registrar.publish(change(number, "alice", Some(&format!("a.example:{number}")), number));
    }
    assert!(third.reached(39, Duration::from_secs(600)).await);
    assert_eq!(third.lookup(&name("alice")), Some(address("a.example:39")));
    // With the registrar gone, one that begins now still learns all of it.
    tokio::time::sleep(Duration::from_secs(600)).await;
    registrar.set_away(true);
    let late = follower(&folder, "4", Arc::clone(&third) as Arc<dyn FeedSource>);
    assert!(late.reached(39, Duration::from_secs(600)).await);
    assert_eq!(late.lookup(&name("alice")), Some(address("a.example:39")));
    assert_eq!(late.status().checkpoint, Some(39), "the checkpoint has come down the chain");
}

#[tokio::test(start_paused = true)]
async fn a_relay_says_how_old_the_registrars_word_is_not_how_old_its_own() {
    let (folder, registrar) = (tempfile::tempdir().unwrap(), registrar());
    let first = follower(&folder, "1", Arc::new(registrar.clone()));
    assert!(first.reached(1, SOON).await);
    let word = |answer| match answer {
        FeedAnswer::Batch(signed) => signed.open::<Batch>(&the_key().public()).unwrap(),
        FeedAnswer::SnapshotNeeded => panic!("it has that change"),
    };
    tokio::time::sleep(Duration::from_secs(60)).await;
    let nothing = word(first.after(the_feed(), 1, Duration::ZERO).await.unwrap());
    assert_eq!((nothing.changes.len(), nothing.newest), (0, 1), "the registrar's own word");
}

#[tokio::test]
async fn evidence_is_had_from_anybody_and_holds_only_with_the_registrars_key() {
    let registrar = registrar();
    let running = https(Running::following(&registrar).await).await;
    registrar.publish(change(2, "bob🛠", Some("b.example:2"), 1));
    registrar.publish(change(3, "carol", Some("c.example:3"), 1));
    registrar.publish(change(4, "carol", None, 1));
    assert!(running.directory.reached(4, SOON).await);
    let forger = SigningKey::from_seed(&[66; 32]).unwrap().public();
    for (who, path, at, number) in [
        ("alice", "alice", Some("a.example:1"), 1),
        ("bob🛠", "bob%F0%9F%9B%A0", Some("b.example:2"), 2),
        ("carol", "@carol", None, 4),
    ] {
        let answer = running.get(&format!("/v1/identities/{path}/proof")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let evidence: Evidence = serde_json::from_str(&answer.body).unwrap();
        let proven = evidence.check(&the_key().public(), &name(who)).unwrap();
        assert_eq!((proven.address, proven.number), (at.map(address), number));
        assert!(evidence.check(&forger, &name(who)).is_err());
    }
    let nobody = running.get("/v1/identities/nobody/proof").await;
    assert_eq!(nobody.problem(), (404, "unknown-identity".to_owned()));
}

#[tokio::test]
async fn the_feed_is_handed_on_for_a_token_only() {
    let registrar = registrar();
    let running = Running::following(&registrar).await;
    registrar.publish(change(2, "alice", Some("a.example:2"), 2));
    assert!(running.directory.reached(2, SOON).await);
    assert!(RelayToken::parse("short").is_err());
    let token = RelayToken::parse("a-token-of-the-tests").unwrap();
    assert!(!format!("{token:?}").contains("tests"));
    let front = common::https::https_with(running, Some(token)).await;
    let feed = the_feed();
    let after = format!("/v1/feed?feed={feed}&after=1&wait=0");
    for path in [after.as_str(), "/v1/feed/snapshot", "/v1/feed/checkpoint"] {
        assert_eq!(front.get(path).await.problem(), (401, "no-token".to_owned()), "{path}");
        for wrong in ["Bearer a-token-of-the-test", "Basic a-token-of-the-tests", "Bearer"] {
            let header = format!("authorization: {wrong}");
            let refused = front.request("GET", path, &[&header], b"").await;
            assert_eq!(refused.problem(), (401, "no-token".to_owned()), "{path} {wrong}");
        }
        let header = "authorization: Bearer a-token-of-the-tests";
        assert_eq!(front.request("GET", path, &[header], b"").await.status, 200, "{path}");
    }
    let header = "authorization: Bearer a-token-of-the-tests";
    for (query, problem) in [
        ("feed=x&after=1", (400, "bad-position")),
        ("", (400, "bad-position")),
        ("feed=00000000000000000000000000000000&after=1", (410, "snapshot-needed")),
    ] {
        let refused = front.request("GET", &format!("/v1/feed?{query}"), &[header], b"").await;
        assert_eq!(refused.problem(), (problem.0, problem.1.to_owned()), "{query}");
    }
    let without = https(Running::following(&registrar).await).await;
    let absent = without.request("GET", "/v1/feed/snapshot", &[header], b"").await;
    assert_eq!(absent.problem(), (404, "no-such-path".to_owned()));
}

#[test]
fn a_word_of_the_registrar_is_the_same_whoever_hands_it_on() {
    let batch = Registrar::new(vec![change(1, "alice", Some("a:1"), 1)]).batch_after(0);
    let one = signed(&batch);
    assert_eq!(Signed::from_bytes(&one.to_bytes()), Ok(one));
}
