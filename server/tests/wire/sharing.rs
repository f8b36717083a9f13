//! Two identities and their servers: pol, lookup, plookup, the cache (sections 4.5, 5.6, 5.7).

use std::time::{Duration, Instant};

use super::client::Client;
use super::lab::{Lab, Running};
use super::peer::play;

/// @alice and @bob, activated, with a public key each.
struct Pair {
    lab: Lab,
    _alice: Running,
    bob: Option<Running>,
    alices: Client,
    bobs: Client,
}

impl Pair {
    async fn new() -> Self {
        let lab = Lab::new().await;
        let (alice, bob) = (lab.start("@alice").await, lab.start("@bob").await);
        let (mut alices, mut bobs) = (lab.owner("@alice").await, lab.owner("@bob").await);
        for (client, name) in [(&mut alices, "@alice"), (&mut bobs, "@bob")] {
            client.put_pkam_key().await;
            client.data(&format!("update:public:publickey{name} key of {name}")).await;
            // The pair is made now, so that no test waits for it.
            client.data(&format!("plookup:signing_publickey{name}")).await;
        }
        Self { lab, _alice: alice, bob: Some(bob), alices, bobs }
    }

    /// A connection to @alice's server as @bob's server would have it, up to its `from`.
    async fn pol_begun(&self) -> (Client, String) {
        let mut peer = self.lab.connect_as_host("@alice", &["localhost"]).await;
        let data = peer.data("from:@bob").await;
        let proof = data.strip_prefix("proof:").expect("a proof is asked for").to_owned();
        (peer, proof)
    }
}

#[tokio::test]
async fn s076_s078_s085_what_is_shared_is_read_through_the_servers() {
    let mut pair = Pair::new().await;
    pair.bobs.data("update:@alice:phone.wavi@bob +44").await;
    let began = Instant::now();
    assert_eq!(pair.alices.ask("lookup:phone.wavi@bob").await, "data:+44\n@alice@");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(pair.alices.data("llookup:cached:public:publickey@bob").await, "key of @bob");
    let text = "error:AT0015-key not found : @alice:other@bob does not exist in keystore\n@alice@";
    assert_eq!(pair.alices.ask("lookup:other@bob").await, text);
    assert_eq!(pair.alices.json("scan:@bob").await, serde_json::json!(["phone.wavi@bob"]));
    assert_eq!(pair.alices.json("scan:@bob nothing").await, serde_json::json!([]));
}

#[tokio::test]
async fn s077_pol_without_from_is_refused_and_closed() {
    let pair = Pair::new().await;
    for before in ["", "from:@alice\n"] {
        let mut client = pair.lab.connect("@alice").await;
        client.send(&format!("{before}pol\n")).await;
        let rest = client.rest().await;
        let last = rest.trim_start_matches(|c| c != '\n').trim_start_matches("\n@");
        let answer = if before.is_empty() { &*rest } else { last };
        assert!(answer.starts_with("error:AT0011-Exception: "), "{before:?}: {rest}");
    }
}

#[tokio::test]
async fn s080_who_did_not_sign_is_not_believed() {
    let pair = Pair::new().await;
    let (mut peer, _) = pair.pol_begun().await;
    // @bob's server knows nothing of this session, so its owner's name is not borrowed.
    let text = "error:AT0401-Exception: Pol Authentication Failed\n@";
    assert_eq!(peer.ask("pol").await, text);
    assert!(peer.ask("lookup:x@alice").await.starts_with("error:AT0015-Exception: public:x@alice"));
    let again = peer.ask("pol").await;
    assert!(again.starts_with("error:AT0011-"), "the challenge is spent: {again}");
}

#[tokio::test]
async fn s080_a_signature_of_something_else_is_not_believed() {
    let mut pair = Pair::new().await;
    let (mut peer, proof) = pair.pol_begun().await;
    let (session, _) = proof.split_once("@bob").unwrap();
    // Readable at @bob's server under the right name, and wrong.
    pair.bobs.data(&format!("update:public:{session}@bob c2lnbmF0dXJl")).await;
    let text = "error:AT0401-Exception: Pol Authentication Failed\n@";
    assert_eq!(peer.ask("pol").await, text);
}

#[tokio::test]
async fn s118_to_s122_copies_are_kept_as_long_as_their_owner_allows() {
    let mut pair = Pair::new().await;
    pair.bobs.data("update:ttr:60:ccd:true:@alice:phone@bob 1").await;
    pair.bobs.data("update:ttr:-1:@alice:ever@bob 1").await;
    pair.bobs.data("update:@alice:never@bob 1").await;
    let (fetched, cached) = ("@alice:phone@bob", "cached:@alice:phone@bob");
    let forgotten = pair.alices.ask("delete:cached:@alice:phone@bob").await;
    assert!(forgotten.starts_with("data:"));
    assert_eq!(pair.alices.json("lookup:bypassCache:true:all:phone@bob").await["key"], fetched);
    pair.bobs.data("update:@alice:never@bob 2").await;
    assert_eq!(pair.alices.data("lookup:never@bob").await, "2");
    let copy = pair.alices.json("lookup:all:phone@bob").await;
    assert_eq!((&copy["key"], &copy["data"]), (&cached.into(), &"1".into()));
    assert!(copy["metaData"]["refreshAt"].is_string());
    assert!(pair.alices.data("scan").await.contains(cached));
    assert!(pair.alices.ask("llookup:cached:@alice:never@bob").await.starts_with("error:AT0015"));
    pair.lab.clock.advance(61_000);
    assert_eq!(pair.alices.json("lookup:all:phone@bob").await["key"], fetched, "it was stale");
    assert_eq!(pair.alices.json("lookup:all:phone@bob").await["key"], cached);
    pair.alices.data("lookup:bypassCache:true:ever@bob").await;
    pair.lab.clock.advance(1_000_000_000);
    assert_eq!(pair.alices.json("lookup:all:ever@bob").await["key"], "cached:@alice:ever@bob");
}

#[tokio::test]
async fn s123_s125_s128_what_is_not_there_is_said_to_be_missing() {
    let mut pair = Pair::new().await;
    pair.bobs.data("update:ttr:-1:public:loc@bob here").await;
    assert_eq!(pair.alices.data("plookup:loc@bob").await, "here");
    assert_eq!(pair.alices.json("plookup:all:loc@bob").await["key"], "cached:public:loc@bob");
    pair.bobs.data("delete:public:loc@bob").await;
    let text = "error:AT0015-key not found : public:loc@bob does not exist in keystore\n@alice@";
    assert_eq!(pair.alices.ask("plookup:bypassCache:true:loc@bob").await, text);
    let copy = pair.alices.ask("llookup:cached:public:loc@bob").await;
    assert!(copy.starts_with("error:AT0015-"), "{copy}");
    let unknown = pair.alices.ask("lookup:x@doesnotexist").await;
    assert!(unknown.starts_with("error:AT0007-"), "{unknown}");
    assert!(pair.alices.ask("plookup:x@doesnotexist").await.starts_with("error:AT0007-"));
    assert!(pair.alices.ask("scan:@doesnotexist").await.starts_with("error:AT0007-"));
}

#[tokio::test]
async fn s124_s131_public_values_of_others_come_unchanged() {
    let mut pair = Pair::new().await;
    let value = "data:x data:y {\"data:\":1}";
    pair.bobs.data(&format!("update:public:loc@bob {value}")).await;
    assert_eq!(pair.alices.data("plookup:loc@bob").await, value);
    assert_eq!(pair.alices.json("plookup:all:loc@bob").await["key"], "public:loc@bob");
    let again = pair.alices.json("plookup:all:loc@bob").await;
    assert_eq!(again["key"], "public:loc@bob", "kept for a day, but not served from the copy");
    let meta = pair.alices.json("llookup:meta:cached:public:loc@bob").await;
    assert_eq!(meta["ttl"], 86_400_000);
    assert_eq!(pair.alices.data("plookup:publickey@bob").await, "key of @bob");
    assert_eq!(pair.alices.json("plookup:all:publickey@bob").await["metaData"]["ttr"], -1);
}

#[tokio::test]
async fn s130_a_new_public_key_of_another_puts_the_shared_key_aside() {
    let mut pair = Pair::new().await;
    pair.alices.data("plookup:publickey@bob").await;
    pair.alices.data("update:shared_key.bob@alice cut for the first").await;
    pair.bobs.data("update:public:publickey@bob second key").await;
    assert_eq!(pair.alices.data("plookup:publickey@bob").await, "key of @bob", "the copy");
    assert_eq!(pair.alices.data("plookup:bypassCache:true:publickey@bob").await, "second key");
    assert!(pair.alices.ask("llookup:shared_key.bob@alice").await.starts_with("error:AT0015-"));
    let name = format!("shared_key.bob.until.{}@alice", net::clock::Clock::now(&*pair.lab.clock).0);
    assert_eq!(pair.alices.data(&format!("llookup:{name}")).await, "cut for the first");
}

#[tokio::test]
async fn a_peer_that_is_gone_is_told_apart_from_one_that_has_nothing() {
    let mut pair = Pair::new().await;
    pair.bobs.data("update:@alice:phone@bob 1").await;
    assert_eq!(pair.alices.data("lookup:phone@bob").await, "1");
    drop(pair.bobs);
    pair.bob.take().unwrap().stop().await;
    let answer = pair.alices.ask("lookup:phone@bob").await;
    assert!(answer.starts_with("error:AT0004-Socket error : "), "{answer}");
    pair.bob = Some(pair.lab.start("@bob").await);
    assert_eq!(pair.alices.data("lookup:phone@bob").await, "1", "the dead connection is replaced");
}

#[tokio::test]
async fn s081_s082_s083_a_peer_reads_what_is_shared_with_it_and_writes_nothing() {
    // @bob's own side of the conversation is scripted: his server holds the signature.
    let mut pair = Pair::new().await;
    for command in [
        "update:@bob:shared@alice for bob",
        "update:@carol:other@alice for carol",
        "update:own@alice mine",
        "update:public:all@alice everybody's",
    ] {
        pair.alices.data(command).await;
    }
    let mut peer = super::peer::Peer::connect(&pair.lab, "@bob", "@alice").await;
    assert_eq!(peer.ask("lookup:shared@alice").await, "data:for bob\n@bob@");
    for key in ["other", "own", "all", "at_secret"] {
        let answer = peer.ask(&format!("lookup:{key}@alice")).await;
        assert!(answer.starts_with("error:AT0015-Exception: @bob:"), "{key}: {answer}");
        assert!(answer.ends_with("\n@"), "{answer}");
    }
    assert_eq!(peer.ask("scan").await, "data:[\"shared@alice\"]\n@bob@");
    for command in [
        "update:x@alice v",
        "delete:@bob:shared@alice",
        "llookup:own@alice",
        "monitor",
        "notify:status:x",
        "plookup:x@alice",
        "sync:from:-1:limit:1",
        "stats",
        "config:block:show",
        "batch:[]",
    ] {
        let text = "error:AT0401-Exception: Command cannot be executed without auth\n@";
        assert_eq!(peer.ask(command).await, text, "{command}");
    }
    assert_eq!(pair.alices.data("llookup:@bob:shared@alice").await, "for bob");
}

#[tokio::test]
async fn what_goes_wrong_with_a_peer_has_a_code_of_its_own() {
    let mut pair = Pair::new().await;
    let no = || "error:AT0015-Exception: no\n@".to_owned();
    let says = |from: &'static str| {
        move |line: &str| Some(if line.starts_with("from:") { from.to_owned() } else { no() })
    };
    for (name, port, code) in [
        ("@c1", play(&pair.lab, says("error:AT0401-Exception: no\n@")).await, "AT0008"),
        ("@c2", play(&pair.lab, says("data:proof:_s@mallory:x\n@")).await, "AT0008"),
        ("@c3", play(&pair.lab, says("data:proof:_s@alice:x\n@")).await, "AT0008"),
        ("@c4", play(&pair.lab, |_| Some("hello\n@".to_owned())).await, "AT0011"),
        ("@c5", play(&pair.lab, |_| None).await, "AT0023"),
    ] {
        pair.lab.publish(name, "localhost", port);
        let answer = pair.alices.ask(&format!("lookup:x{name}")).await;
        assert!(answer.starts_with(&format!("error:{code}-")), "{name}: {answer}");
        assert!(answer.ends_with("\n@alice@"), "{answer}");
    }
    assert_eq!(pair.alices.data("noop:0").await, "ok");
}

#[tokio::test]
async fn a_refusal_of_a_peer_is_passed_on_and_cut() {
    let mut pair = Pair::new().await;
    let text = format!("error:AT0022-Exception: {}\n@", "x".repeat(5000));
    let port = play(&pair.lab, move |_| Some(text.clone())).await;
    pair.lab.publish("@carol", "localhost", port);
    let answer = pair.alices.ask("plookup:x@carol").await;
    assert!(answer.starts_with("error:AT0022-Illegal arguments : Exception: xxx"), "{answer}");
    assert!(answer.len() < 400);
}
