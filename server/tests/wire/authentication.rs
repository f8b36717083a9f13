//! from, cram and pkam (section 4).

use std::time::{Duration, Instant};

use ring::signature::RSA_PKCS1_SHA512;

use super::client::{cram_digest, keys};
use super::lab::Lab;

const PKAM_FAILED: &str = "error:AT0401-Exception: pkam authentication failed\n@";

#[tokio::test]
async fn s055_s056_each_from_has_its_own_challenge_under_one_session() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    let first = client.ask("from:@alice").await;
    let second = client.ask("from:@alice").await;
    let parts = |answer: &str| {
        let text = answer.strip_prefix("data:_").unwrap().strip_suffix("\n@").unwrap();
        let (session, uuid) = text.split_once("@alice:").unwrap();
        assert_eq!((session.len(), uuid.len()), (36, 36), "{answer}");
        (session.to_owned(), uuid.to_owned())
    };
    let (first, second) = (parts(&first), parts(&second));
    assert_eq!(first.0, second.0);
    assert_ne!(first.1, second.1);
    assert_ne!(first.0, first.1);
}

#[tokio::test]
async fn s057_s058_names_are_normalised_or_refused() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    assert!(client.challenge("@al.ice").await.contains("@alice:"));
    assert!(client.challenge("ALICE").await.contains("@alice:"));
    assert!(client.ask("from:@a@b").await.starts_with("error:AT0003-"));
    client.send("from:@a!b\n").await;
    let answer = client.rest().await;
    assert!(answer.starts_with("error:AT0011-Exception: "), "a wrong name closes: {answer}");
}

#[tokio::test]
async fn s060_s061_cram_lets_in_who_knows_the_secret_and_nobody_else() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    let challenge = client.challenge("@alice").await;
    let wrong = cram_digest("@bob", &challenge);
    let failed = "error:AT0401-Exception: Authentication Failed\n@";
    assert_eq!(client.ask(&format!("cram:{wrong}")).await, failed);
    assert!(client.ask("update:x@alice v").await.starts_with("error:AT0401-"));
    client.cram("@alice").await;
    assert_eq!(client.data("update:privatekey:at_pkam_publickey x").await, "-1");
}

#[tokio::test]
async fn s062_s063_s144_a_deleted_secret_is_gone_for_good() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    assert_eq!(owner.ask("delete:privatekey:at_secret").await, "data:-1\n@alice@");
    drop(owner);
    alice.stop().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    let challenge = client.challenge("@alice").await;
    let answer = client.ask(&format!("cram:{}", cram_digest("@alice", &challenge))).await;
    assert!(answer.starts_with("error:AT0015-Exception: privatekey:at_secret"), "{answer}");
}

#[tokio::test]
async fn s020_s064_s065_s072_a_client_activates_with_cram_and_then_pkam_on_one_connection() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    client.cram("@alice").await;
    client.put_pkam_key().await;
    client.pkam("@alice").await;
    client.data("update:public:publickey@alice MIIB").await;
    assert_eq!(client.data("delete:privatekey:at_secret").await, "-1");
    let mut other = lab.connect("@alice").await;
    let challenge = other.challenge("alice").await;
    other.send(&format!("pkam:{}\n\n", keys().sign(&challenge))).await;
    let answer = other.within(Duration::from_millis(300)).await;
    assert_eq!(answer, "data:success\n@alice@", "one answer");
    assert_eq!(other.data("llookup:public:publickey@alice").await, "MIIB");
}

#[tokio::test]
async fn s066_pkam_takes_sha512_where_the_client_says_so() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.owner("@alice").await;
    client.put_pkam_key().await;
    let challenge = client.challenge("@alice").await;
    let signature = keys().sign_with(&RSA_PKCS1_SHA512, &challenge);
    let command = format!("pkam:signingAlgo:rsa2048:hashingAlgo:sha512:{signature}");
    assert_eq!(client.ask(&command).await, "data:success\n@alice@");
    let challenge = client.challenge("@alice").await;
    let signature = keys().sign_with(&RSA_PKCS1_SHA512, &challenge);
    assert_eq!(client.ask(&format!("pkam:{signature}")).await, PKAM_FAILED);
}

#[tokio::test]
async fn s068_s074_a_wrong_signature_ends_an_owners_rights_and_not_her_connection() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.owner("@alice").await;
    client.put_pkam_key().await;
    client.challenge("@alice").await;
    let signature = keys().sign("another challenge");
    assert_eq!(client.ask(&format!("pkam:{signature}")).await, PKAM_FAILED);
    assert!(client.ask("update:x@alice v").await.starts_with("error:AT0401-Exception: "));
    client.pkam("@alice").await;
    client.data("update:x@alice v").await;
}

#[tokio::test]
async fn s069_s071_without_a_fresh_challenge_no_signature_counts() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.put_pkam_key().await;
    let mut client = lab.connect("@alice").await;
    let unasked = client.ask(&format!("pkam:{}", keys().sign("x"))).await;
    assert!(unasked.starts_with("error:AT0015-Exception: "), "{unasked}");
    let challenge = client.challenge("@alice").await;
    let command = format!("pkam:{}", keys().sign(&challenge));
    assert_eq!(client.ask(&command).await, "data:success\n@alice@");
    let again = client.ask(&command).await;
    assert!(again.starts_with("error:AT0015-"), "a challenge is good once: {again}");
}

#[tokio::test]
async fn s070_a_challenge_is_good_for_a_minute() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    let challenge = client.challenge("@alice").await;
    lab.clock.advance(60_001);
    let answer = client.ask(&format!("cram:{}", cram_digest("@alice", &challenge))).await;
    assert!(answer.starts_with("error:AT0015-"), "{answer}");
    client.cram("@alice").await;
}

#[tokio::test]
async fn s073_ten_authentications_in_a_row_work_and_take_no_time() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.owner("@alice").await;
    client.put_pkam_key().await;
    for _ in 0..10 {
        let began = Instant::now();
        client.pkam("@alice").await;
        assert!(began.elapsed() < Duration::from_millis(1500));
    }
}

#[tokio::test]
async fn a_signature_that_is_not_base64_closes_the_connection() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.owner("@alice").await;
    client.put_pkam_key().await;
    client.challenge("@alice").await;
    client.send("pkam:%%%\n").await;
    assert!(client.rest().await.starts_with("error:AT0011-Exception: "));
}

#[tokio::test]
async fn s047_s048_a_client_without_a_certificate_or_with_a_strange_one_can_be_the_owner() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    lab.owner("@alice").await;
    lab.connect_as_stranger("@alice").await.cram("@alice").await;
}

#[tokio::test]
async fn s049_to_s052_another_identity_needs_the_certificate_of_its_own_host() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    lab.publish("@bob", "bob.example", 1);
    let failed = "error:AT0401-Exception: Certificate Verification Failed\n@";
    assert_eq!(lab.connect("@alice").await.ask("from:@bob").await, failed);
    for (hosts, is_bob) in [
        (&["bob.example"][..], true),
        (&["a.example", "bob.example"], true),
        (&["other.example"], false),
        (&["xbob.example"], false),
        (&["bob.example.org"], false),
        (&["example"], false),
    ] {
        let mut client = lab.connect_as_host("@alice", hosts).await;
        let answer = client.ask("from:@bob").await;
        assert_eq!(answer.starts_with("data:proof:_"), is_bob, "{hosts:?}: {answer}");
        assert!(is_bob || answer == failed, "{hosts:?}: {answer}");
        assert_eq!(client.ask("noop:0").await, "data:ok\n@");
    }
    let mut stranger = lab.connect_as_stranger("@alice").await;
    assert_eq!(stranger.ask("from:@bob").await, failed);
    let mut good = lab.connect_as_host("@alice", &["bob.example"]).await;
    assert!(good.ask("from:@nobody").await.starts_with("error:AT0007-Exception: "));
    assert_eq!(
        good.ask("from:@carol.of.bob.example").await.split('-').next(),
        Some("error:AT0007")
    );
}
