//! What somebody tries who has too few rights, or none.

use std::time::{Duration, Instant};

use super::client::{Client, keys};
use super::enrolment::{about, approve, ask_for, enrol, enrolled, request};
use super::lab::Lab;
use super::tap::relay;

/// A connection that comes from another address of this machine.
async fn connect_from(lab: &Lab, source: [u8; 4]) -> Client {
    let port = lab.port("@alice");
    lab.publish("@alice", "localhost", relay(source, port).await);
    let client = lab.connect("@alice").await;
    lab.publish("@alice", "localhost", port);
    client
}

/// Gap 4.
#[tokio::test]
async fn s214_keys_reaches_nothing_but_the_callers_own() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.put_pkam_key().await;
    owner.data("plookup:signing_publickey@alice").await;
    owner.data("update:x.wavi@alice v").await;
    let (one, two) = (
        enrol(&lab, &mut owner, "one", r#"{"wavi":"rw"}"#).await,
        enrol(&lab, &mut owner, "two", r#"{"*":"rw","__manage":"rw"}"#).await,
    );
    let (mut victim, mut thief) = (enrolled(&lab, &one).await, enrolled(&lab, &two).await);
    let put = "keys:put:self:namespace:__global:appName:a:deviceName:d:keyType:t:keyName:k mine";
    victim.data(put).await;
    let name = "a.d.k.__self_keys.__global@alice";
    for target in [
        "privatekey:at_secret",
        "privatekey:at_pkam_publickey",
        "@alice:signing_privatekey@alice",
        "x.wavi@alice",
        "unknown.wavi@alice",
        &format!("{one}.default_enc_private_key.__manage@alice"),
        &format!("{one}.default_self_enc_key.__manage@alice"),
        &format!("{one}.new.enrollments.__manage@alice"),
        &format!("{two}.new.enrollments.__manage@alice"),
        name,
    ] {
        for operation in ["get", "delete"] {
            let answer = thief.ask(&format!("keys:{operation}:keyName:{target}")).await;
            assert!(answer.starts_with("error:AT0009-"), "{operation} {target}: {answer}");
        }
    }
    for nothing in ["no key", "@", "privatekey:nonsense", "a@b@c"] {
        let answer = thief.ask(&format!("keys:get:keyName:{nothing}")).await;
        assert!(answer.starts_with("error:AT00"), "{nothing}: {answer}");
    }
    let over = thief.ask(&put.replace("mine", "thine")).await;
    assert!(over.starts_with("error:AT0009-"), "{over}");
    assert_eq!(victim.json(&format!("keys:get:keyName:{name}")).await["value"], "mine");
    let foreign = "keys:put:public:namespace:buzz:keyType:t:keyName:k v";
    assert!(victim.ask(foreign).await.starts_with("error:AT0009-"));
    let manage = "keys:put:public:namespace:__manage:keyType:t:keyName:k v";
    assert!(victim.ask(manage).await.starts_with("error:AT0009-"));
    assert_eq!(thief.data(manage).await, "-1");
    let public = "keys:get:keyName:public:k.__public_keys.__manage@alice";
    assert_eq!(victim.json(public).await["enrollmentId"], two, "what is public may be read");
}

/// Gap 5.
#[tokio::test]
async fn enrolments_are_shown_denied_and_deleted_only_by_who_may() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("otp:put:passcode").await;
    let plain = enrol(&lab, &mut owner, "plain", r#"{"wavi":"rw"}"#).await;
    let narrow = enrol(&lab, &mut owner, "narrow", r#"{"__manage":"rw"}"#).await;
    let victim = enrol(&lab, &mut owner, "victim", r#"{"wavi":"r"}"#).await;
    let mut stranger = lab.connect("@alice").await;
    let ask = request("waits", r#"{"wavi":"r"}"#, Some("passcode"));
    let waits = ask_for(&mut stranger, &ask, "pending").await;
    let (mut plain, mut narrow) = (enrolled(&lab, &plain).await, enrolled(&lab, &narrow).await);
    for operation in ["fetch", "deny", "revoke", "unrevoke", "delete"] {
        let answer = plain.ask(&about(operation, &victim)).await;
        let text =
            format!("Failed to {operation} enrollment id: {victim}. The approving enrollment");
        assert!(answer.starts_with("error:AT0011-") && answer.contains(&text), "{answer}");
    }
    for operation in ["deny", "revoke", "delete"] {
        let answer = narrow.ask(&about(operation, &waits)).await;
        let text = "Client is not authorized for namespaces in the enrollment request";
        assert!(answer.starts_with("error:AT0011-") && answer.contains(text), "{answer}");
    }
    let answer = owner.ask(&about("deny", &victim)).await;
    let text = format!(
        "error:AT0011-Internal server exception : Failed to deny enrollment id: {victim}. Cannot \
         deny a approved enrollment. Only pending enrollments can be denied\n@alice@"
    );
    assert_eq!(answer, text);
    enrolled(&lab, &victim).await;
    let answer = owner.ask(&approve(&victim)).await;
    assert!(answer.contains("Cannot approve a approved enrollment"), "{answer}");
}

/// Gap 8.
#[tokio::test]
async fn who_guesses_passcodes_slows_nobody_at_another_address() {
    let step = Duration::from_millis(500);
    let lab = Lab::with(|limits| limits.passcode_step = step).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let wrong = |app: &str| request(app, r#"{"a":"rw"}"#, Some("guess1"));
    let guess = async || {
        let mut attacker = connect_from(&lab, [127, 0, 0, 2]).await;
        let began = Instant::now();
        let answer = attacker.ask(&wrong("a")).await;
        assert!(answer.contains("invalid otp"), "{answer}");
        began.elapsed()
    };
    assert!(guess().await >= step);
    assert!(guess().await >= step * 2, "a new connection does not help");
    assert!(guess().await >= step * 3);
    let mut attacker = connect_from(&lab, [127, 0, 0, 2]).await;
    attacker.send(&format!("{}\n", wrong("b"))).await;
    let otp = owner.data("otp:get").await;
    let mut device = lab.connect("@alice").await;
    let began = Instant::now();
    ask_for(&mut device, &request("real", r#"{"a":"rw"}"#, Some(&otp)), "pending").await;
    assert!(device.ask(&wrong("c")).await.contains("invalid otp"));
    let waited = began.elapsed();
    assert!(waited < step * 5, "its first wrong one is late by one step: {waited:?}");
    assert!(attacker.answer().await.contains("invalid otp"));
}

/// Gap 9.
#[tokio::test]
async fn new_connections_are_no_way_around_the_limit_of_requests() {
    let lab = Lab::with(|limits| limits.enrol_requests_per_address_max = 7).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("otp:put:passcode").await;
    let ask = |n: u32| request(&format!("app{n}"), r#"{"a":"rw"}"#, Some("passcode"));
    for n in 0..7 {
        ask_for(&mut lab.connect("@alice").await, &ask(n), "pending").await;
    }
    let limit = "Enrollment requests have exceeded the limit within the specified time frame";
    let answer = lab.connect("@alice").await.ask(&ask(7)).await;
    assert!(answer.starts_with("error:AT0011-") && answer.contains(limit), "{answer}");
    let mut elsewhere = connect_from(&lab, [127, 0, 0, 3]).await;
    ask_for(&mut elsewhere, &ask(8), "pending").await;
    let mut own = lab.owner("@alice").await;
    ask_for(&mut own, &request("own", "{}", None), "approved").await;
    lab.clock.advance(3_600_000);
    ask_for(&mut lab.connect("@alice").await, &ask(9), "pending").await;
}

/// Gap 11.
#[tokio::test]
async fn metadata_may_be_written_where_values_may() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let id = enrol(&lab, &mut owner, "a", r#"{"wavi":"rw"}"#).await;
    let mut device = enrolled(&lab, &id).await;
    device.data("update:x.wavi@alice v").await;
    device.data("update:meta:x.wavi@alice:ttr:60").await;
    assert_eq!(device.json("llookup:meta:x.wavi@alice").await["ttr"], 60);
}

#[tokio::test]
async fn one_passcode_lets_in_one_of_many_who_use_it_at_the_same_time() {
    let lab = Lab::with(|limits| limits.passcode_step = Duration::from_millis(1)).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let otp = owner.data("otp:get").await;
    let mut strangers = Vec::new();
    for _ in 0..6 {
        strangers.push(lab.connect("@alice").await);
    }
    for (n, stranger) in strangers.iter_mut().enumerate() {
        let ask = request(&format!("app{n}"), r#"{"a":"rw"}"#, Some(&otp));
        stranger.send(&format!("{ask}\n")).await;
    }
    let mut pending = 0;
    for stranger in &mut strangers {
        pending += usize::from(stranger.answer().await.contains("pending"));
    }
    assert_eq!(pending, 1);
}

#[tokio::test]
async fn no_enrolment_makes_itself_the_owner() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.put_pkam_key().await;
    for (app, namespaces) in [("one", r#"{"wavi":"rw"}"#), ("two", r#"{"*":"rw"}"#)] {
        let id = enrol(&lab, &mut owner, app, namespaces).await;
        let mut device = enrolled(&lab, &id).await;
        for command in [
            "update:privatekey:at_pkam_publickey MIIB",
            "delete:privatekey:at_secret",
            "update:public:publickey@alice MIIB",
        ] {
            let answer = device.ask(command).await;
            assert!(answer.starts_with("error:AT0009-"), "{namespaces} {command}: {answer}");
        }
        let own = device.ask(&request("more", r#"{"*":"rw","__manage":"rw"}"#, None)).await;
        assert!(own.contains("pending"), "its request waits as any other: {own}");
        let asked: serde_json::Value =
            serde_json::from_str(own[5..].split('\n').next().unwrap()).unwrap();
        let answer = device.ask(&approve(asked["enrollmentId"].as_str().unwrap())).await;
        assert!(answer.starts_with("error:AT0011-"), "{answer}");
        owner.data(&about("deny", asked["enrollmentId"].as_str().unwrap())).await;
    }
    lab.connect("@alice").await.pkam("@alice").await;
}

#[tokio::test]
async fn a_reference_leads_nobody_to_what_it_may_not_read() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:@alice:secret.buzz@alice hidden").await;
    owner.data("update:@alice:other.buzz@alice hidden").await;
    owner.data("update:public:other.buzz@alice open").await;
    owner.data("update:@alice:more.wavi@alice granted").await;
    let id = enrol(&lab, &mut owner, "a", r#"{"wavi":"rw"}"#).await;
    let mut device = enrolled(&lab, &id).await;
    for (key, target) in [("s", "secret.buzz"), ("o", "other.buzz"), ("m", "more.wavi")] {
        device.data(&format!("update:@alice:{key}.wavi@alice atsign://{target}@alice")).await;
    }
    let refused = device.ask("lookup:s.wavi@alice").await;
    assert!(refused.starts_with("error:AT0015-"), "{refused}");
    assert_eq!(device.data("lookup:o.wavi@alice").await, "open");
    assert_eq!(device.data("lookup:m.wavi@alice").await, "granted");
    assert_eq!(owner.data("lookup:s.wavi@alice").await, "hidden");
}

#[tokio::test]
async fn nobody_takes_back_the_notifications_of_another_namespace() {
    let lab = Lab::new().await;
    let alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let id = enrol(&lab, &mut owner, "a", r#"{"wavi":"rw"}"#).await;
    let mut device = enrolled(&lab, &id).await;
    let latest = "strategy:latest:notifier:n:@nobody";
    owner.data(&format!("notify:id:foreign:{latest}:x.buzz@alice:v")).await;
    device.data(&format!("notify:id:old:{latest}:x.wavi@alice:v")).await;
    device.data(&format!("notify:id:new:{latest}:y.wavi@alice:v")).await;
    assert_eq!(alice.server.waiting(), 2, "the foreign one and the new one");
    owner.data(&format!("notify:id:newest:{latest}:y.wavi@alice:v")).await;
    assert_eq!(alice.server.waiting(), 1, "the owner takes back any");
}

#[tokio::test]
async fn nothing_is_written_after_a_revocation_is_answered() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    for round in 0..3 {
        let id = enrol(&lab, &mut owner, &format!("a{round}"), r#"{"wavi":"rw"}"#).await;
        let mut device = enrolled(&lab, &id).await;
        let writes: String =
            (0..200).map(|n| format!("update:k{round}-{n}.wavi@alice v\n")).collect();
        device.send(&writes).await;
        owner.data(&about("revoke", &id)).await;
        let scan = format!("scan:showHidden:false k{round}-");
        let written = owner.data(&scan).await;
        device.rest().await;
        assert_eq!(owner.data(&scan).await, written);
    }
}

#[tokio::test]
async fn an_enrolments_key_opens_no_other_enrolment_and_not_the_owners_door() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("otp:put:passcode").await;
    let mut stranger = lab.connect("@alice").await;
    let ask = request("other", r#"{"*":"rw"}"#, Some("passcode"))
        .replace(&keys().public, "bm90IHRoaXMga2V5");
    let id = ask_for(&mut stranger, &ask, "pending").await;
    owner.data(&approve(&id)).await;
    let failed = "error:AT0401-Exception: pkam authentication failed\n@";
    assert_eq!(stranger.pkam_as(&id).await, failed);
    let challenge = stranger.challenge("@alice").await;
    let legacy = stranger.ask(&format!("pkam:{}", keys().sign(&challenge))).await;
    assert!(legacy.starts_with("error:AT0015-"), "there is no owner's key: {legacy}");
}

#[tokio::test]
async fn who_proves_to_be_another_is_no_monitor_any_more() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let wide = enrol(&lab, &mut owner, "wide", r#"{"*":"rw"}"#).await;
    let narrow = enrol(&lab, &mut owner, "narrow", r#"{"wavi":"rw"}"#).await;
    let mut device = enrolled(&lab, &wide).await;
    device.watch("monitor:strict .*").await;
    let challenge = device.ask_line("from:@alice").await;
    let signature = keys().sign(challenge.strip_prefix("data:").unwrap());
    device.send(&format!("pkam:enrollmentId:{narrow}:{signature}\n")).await;
    assert_eq!(device.answer().await, "data:success\n@alice@", "the prompt is back");
    owner.data("notify:@alice:x.buzz@alice:v").await;
    owner.data("notify:@alice:x.wavi@alice:v").await;
    assert_eq!(device.ask("noop:100").await, "data:ok\n@alice@", "and nothing else came");
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_connection_lives_on() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut open = lab.connect("@alice").await;
    for (command, code) in [
        ("enroll:request:{", "AT0011"),
        ("enroll:request:[]", "AT0011"),
        ("enroll:request:{\"appName\":\"a\",\"appName\":\"b\"}", "AT0011"),
        ("enroll:request:{\"namespaces\":{\"a\":\"x\"}}", "AT0011"),
        ("enroll:request:{\"appName\":{}}", "AT0011"),
        ("enroll:request", "AT0022"),
        ("enroll:bless:{}", "AT0003"),
        ("enroll:", "AT0003"),
        ("keys:get:self", "AT0401"),
    ] {
        let answer = open.ask(command).await;
        assert!(answer.starts_with(&format!("error:{code}-")), "{command}: {answer}");
    }
    let long = format!("enroll:request:{{\"appName\":\"{}\"}}", "a".repeat(20_000));
    open.send(&format!("{long}\n")).await;
    assert!(open.rest().await.starts_with("error:AT0005-"));
}
