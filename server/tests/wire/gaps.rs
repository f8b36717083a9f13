//! Gaps of another server that are not to be here (section 12): each test tries the attack. The
//! numbers are those of that section; some are tried beside what they are about, in other files.

use std::time::{Duration, Instant};

use super::client::{cram_digest, keys};
use super::lab::Lab;
use super::peer::Peer;

const NEEDS_OWNER: &str = "error:AT0401-Exception: Command cannot be executed without auth\n@";

#[tokio::test]
async fn gap_2_nobody_but_the_owner_learns_how_a_notification_fares() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("notify:id:n1:@alice:k@alice:v").await;
    let mut challenged = lab.connect("@alice").await;
    challenged.challenge("@alice").await;
    let mut strangers =
        [lab.connect("@alice").await, challenged, Peer::connect(&lab, "@bob", "@alice").await];
    for client in &mut strangers {
        for verb in ["status", "fetch", "remove", "Status", "FETCH"] {
            assert_eq!(client.ask(&format!("notify:{verb}:n1")).await, NEEDS_OWNER, "{verb}");
        }
        assert_eq!(client.data("notify:list").await, "null");
    }
    assert_eq!(owner.data("notify:status:n1").await, "delivered");
}

#[tokio::test]
async fn gap_3_a_peer_cannot_poison_the_copy_of_anothers_key() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut carol = Peer::connect(&lab, "@carol", "@alice").await;
    let real = "notify:id:c:update:ttr:-1:ccd:true:isEncrypted:false:@alice:x@carol:real";
    assert_eq!(carol.data(real).await, "success");
    let mut bob = Peer::connect(&lab, "@bob", "@alice").await;
    for attack in [
        "notify:id:1:update:ttr:-1:@alice:x@carol:poison",
        "notify:id:2:update:ttr:-1:@alice:x@CAROL:poison",
        "notify:id:3:update:ttr:-1:@alice:x@c.arol:poison",
        "notify:id:4:delete:ccd:true:@alice:x@carol",
        "notify:id:5:update:ttl:1:@alice:x@carol",
        "notify:id:6:update:ttr:-1:public:x@carol:poison",
        "notify:id:7:update:ttr:-1:@carol:x@carol:poison",
        "notify:id:8:update:ttr:-1:@alice:publickey@alice:poison",
    ] {
        let answer = bob.ask(attack).await;
        assert!(answer.starts_with("error:AT0009-"), "{attack}: {answer}");
    }
    for attack in [
        "notify:id:9:update:ttr:-1:@alice:cached:@alice:x@carol:poison",
        "notify:id:10:messageType:text:ttr:-1:@alice:x@carol:poison",
        "notify:id:11:update:ttr:-1:@alice:x@carol@bob:poison",
        "notify:id:c:update:ttr:-1:@alice:y@bob:another's id",
    ] {
        bob.ask(attack).await;
    }
    lab.clock.advance(5);
    let copy = owner.json("llookup:all:cached:@alice:x@carol").await;
    assert_eq!((&copy["data"], &copy["metaData"]["version"]), (&"real".into(), &0.into()));
    let copies = owner.json("scan ^cached:").await;
    let foreign =
        copies.as_array().unwrap().iter().filter(|key| {
            !key.as_str().unwrap().ends_with("@bob") && *key != "cached:@alice:x@carol"
        });
    assert_eq!(foreign.count(), 0, "{copies}");
    assert_eq!(owner.json("notify:fetch:c").await["fromAtSign"].as_str(), Some("@carol"));
}

#[tokio::test]
async fn gap_6_a_certificate_that_merely_contains_the_host_proves_nothing() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    lab.publish("@bob", "localhost", 1);
    for hosts in [
        &["xlocalhost"][..],
        &["localhost.example.org"],
        &["local"],
        &["not-localhost", "example.org"],
    ] {
        let mut client = lab.connect_as_host("@alice", hosts).await;
        let text = "error:AT0401-Exception: Certificate Verification Failed\n@";
        assert_eq!(client.ask("from:@bob").await, text, "{hosts:?}");
    }
    let mut good = lab.connect_as_host("@alice", &["example.org", "localhost"]).await;
    assert!(good.data("from:@bob").await.starts_with("proof:_"));
}

#[tokio::test]
async fn gap_7_a_challenge_is_spent_by_its_first_answer() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.put_pkam_key().await;
    let mut client = lab.connect("@alice").await;
    let challenge = client.challenge("@alice").await;
    let (digest, signature) = (cram_digest("@alice", &challenge), keys().sign(&challenge));
    assert_eq!(client.ask(&format!("cram:{digest}")).await, "data:success\n@alice@");
    for replay in [format!("cram:{digest}"), format!("pkam:{signature}")] {
        let answer = client.ask(&replay).await;
        assert!(answer.starts_with("error:AT0015-"), "{answer}");
        assert_eq!(client.ask("llookup:x@alice").await, NEEDS_OWNER, "and the rights are gone");
        client.challenge("@alice").await;
        assert!(client.ask(&replay).await.starts_with("error:AT0401-"), "not for another one");
    }
    let mut other = lab.connect("@alice").await;
    other.challenge("@alice").await;
    assert!(other.ask(&format!("pkam:{signature}")).await.starts_with("error:AT0401-"));
    let mut wrong = lab.connect("@alice").await;
    let challenge = wrong.challenge("@alice").await;
    assert!(wrong.ask("pkam:AAAA").await.starts_with("error:AT0401-"));
    let right = format!("pkam:{}", keys().sign(&challenge));
    assert!(wrong.ask(&right).await.starts_with("error:AT0015-"), "a failed try spends it too");
}

#[tokio::test]
async fn gap_10_what_is_protected_does_not_depend_on_the_first_deletion() {
    let lab = Lab::new().await;
    let (_alice, _bob) = (lab.start("@alice").await, lab.start("@bob").await);
    for name in ["@alice", "@bob"] {
        let mut owner = lab.owner(name).await;
        owner.data(&format!("delete:first{name}")).await;
        owner.data(&format!("delete:cached:public:publickey{name}")).await;
        for key in ["public:publickey", "public:signing_publickey", "publickey"] {
            let answer = owner.ask(&format!("delete:{key}{name}")).await;
            assert!(answer.starts_with("error:AT0009-"), "{key}{name}: {answer}");
        }
        let private = format!("delete:{name}:signing_privatekey{name}");
        assert!(owner.ask(&private).await.starts_with("error:AT0009-"));
        let other = format!("delete:@carol:publickey{name}");
        assert!(owner.ask(&other).await.starts_with("error:AT0009-"), "scopes do not count");
    }
}

#[tokio::test]
async fn gap_12_a_word_somewhere_in_a_command_does_not_change_its_key() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    for (key, value) in [
        ("public:publickey@alice", "the key"),
        ("public.cached@alice", "self"),
        ("@bob:public.x@alice", "shared"),
        ("@cached:x@alice", "shared with @cached"),
        ("@public:x@alice", "shared with @public"),
        ("public:cached@alice", "public"),
        ("x@alice", "plain"),
    ] {
        owner.data(&format!("update:{key} {value}")).await;
        assert_eq!(owner.data(&format!("llookup:{key}")).await, value);
    }
    owner.data("delete:cached:public:publickey@alice").await;
    assert_eq!(owner.data("llookup:public:publickey@alice").await, "the key");
    for attack in [
        "delete:public:publickey@alice cached:",
        "delete:priority:cached:public:publickey@alice",
        "delete:priority:low:public:publickey@alice",
        "delete:@cached:publickey@alice",
        "delete:public:cached:publickey@alice",
        "delete:cached:cached:publickey@alice",
        "delete:publickey@alice@cached:",
    ] {
        let answer = owner.ask(attack).await;
        assert!(answer.starts_with("error:AT00"), "{attack}: {answer}");
    }
    owner.data("delete:@cached:x@alice").await;
    owner.data("delete:@public:x@alice").await;
    owner.data("delete:public:cached@alice").await;
    assert_eq!(owner.data("llookup:x@alice").await, "plain");
    assert_eq!(owner.data("llookup:public.cached@alice").await, "self");
    assert_eq!(owner.data("llookup:public:publickey@alice").await, "the key");
}

#[tokio::test]
async fn gap_13_a_value_that_looks_like_an_answer_comes_unchanged() {
    let lab = Lab::new().await;
    let (_alice, _bob) = (lab.start("@alice").await, lab.start("@bob").await);
    let (mut alice, mut bob) = (lab.owner("@alice").await, lab.owner("@bob").await);
    for (client, name) in [(&mut alice, "@alice"), (&mut bob, "@bob")] {
        client.put_pkam_key().await;
        client.data(&format!("plookup:signing_publickey{name}")).await;
    }
    for value in [
        "data:data:x data:",
        "error:AT0015-key not found",
        "null",
        "@bob@",
        "notification: {\"data:\":\"data:\"}",
        "proof:_s@alice:x",
    ] {
        bob.data(&format!("update:@alice:odd@bob {value}")).await;
        bob.data(&format!("update:public:odd@bob {value}")).await;
        assert_eq!(alice.data("lookup:odd@bob").await, value);
        assert_eq!(alice.json("lookup:all:odd@bob").await["data"], value);
        assert_eq!(alice.data("plookup:odd@bob").await, value);
    }
}

#[tokio::test]
async fn gap_14_gap_15_commands_of_one_read_are_done_one_after_the_other() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let began = Instant::now();
    owner
        .send(
            "noop:300\nupdate:x@alice 1\nllookup:x@alice\nupdate:x@alice 2\nllookup:x@alice\n\
             delete:x@alice\nllookup:x@alice\nnoop:0\n",
        )
        .await;
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(owner.answer().await);
    }
    assert!(began.elapsed() >= Duration::from_millis(300));
    let told: Vec<_> = answers.iter().map(|answer| answer.split('\n').next().unwrap()).collect();
    assert_eq!(
        told,
        [
            "data:ok",
            "data:0",
            "data:1",
            "data:1",
            "data:2",
            "data:2",
            "error:AT0015-key not found : x@alice does not exist in keystore",
            "data:ok"
        ]
    );
    let mut open = lab.connect("@alice").await;
    let challenge = open.challenge("@alice").await;
    let digest = cram_digest("@alice", &challenge);
    open.send(&format!("update:y@alice 1\ncram:{digest}\nupdate:y@alice 1\n")).await;
    assert_eq!(open.answer().await, NEEDS_OWNER, "rights count from their own command on");
    assert_eq!(open.answer().await, "data:success\n@alice@");
    assert!(open.answer().await.starts_with("data:"));
}

#[tokio::test]
async fn gap_16_no_expression_of_a_client_takes_long() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let entity = "a".repeat(200);
    for n in 0..50 {
        owner.data(&format!("update:{entity}{n}@alice v")).await;
        owner.data(&format!("notify:@alice:{entity}{n}@alice:v")).await;
    }
    let began = Instant::now();
    for regex in ["(a*)*(a*)*(a*)*b$", "(a|aa)+c", "(.*)(.*)(.*)(.*)(.*)x$", "((a+)+)+!"] {
        assert_eq!(owner.data(&format!("scan {regex}")).await, "[]", "{regex}");
        assert_eq!(owner.data(&format!("sync:from:-1:limit:25:{regex}")).await, "[]", "{regex}");
        assert_eq!(owner.data(&format!("notify:list:{regex}")).await, "null", "{regex}");
        assert!(owner.ask(&format!("stats:3:{regex}")).await.contains("\"null\""), "{regex}");
        let mut monitor = lab.owner("@alice").await;
        monitor.send(&format!("monitor:strict:0 {regex}\n")).await;
        assert_eq!(monitor.ask_line("noop:0").await, "data:ok", "{regex}");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    for regex in ["(a{1000}){1000}", "(?<=x)y", "[", "\\p{Nonsense}", "(?:(?:a{99}){99}){99}"] {
        for command in ["scan ", "sync:from:-1:limit:5:", "stats:15:", "monitor:0 "] {
            let answer = owner.ask(&format!("{command}{regex}")).await;
            assert!(answer.starts_with("error:AT0003-"), "{command}{regex}: {answer}");
        }
    }
    let long = "x".repeat(5_000);
    for command in ["scan ", "sync:from:-1:limit:5:", "stats:3:", "monitor ", "notify:list:"] {
        let answer = owner.ask(&format!("{command}{long}")).await;
        assert!(answer.starts_with("error:AT0003-"), "{command}: {answer}");
    }
}
