//! What an enrolled connection reaches, and what it does not (section 4.8), and what it keeps for
//! itself (section 5.20).

use serde_json::{Value, json};

use super::client::Client;
use super::enrolment::{about, enrol, enrolled};
use super::lab::{Lab, Running};

/// An owner and a device with these namespaces.
struct Pair {
    lab: Lab,
    _alice: Running,
    owner: Client,
    device: Client,
    id: String,
}

impl Pair {
    async fn new(namespaces: &str) -> Self {
        let lab = Lab::new().await;
        let alice = lab.start("@alice").await;
        let mut owner = lab.owner("@alice").await;
        let id = enrol(&lab, &mut owner, "app", namespaces).await;
        let device = enrolled(&lab, &id).await;
        Self { lab, _alice: alice, owner, device, id }
    }

    async fn refused(&mut self, command: &str, words: &str) {
        let answer = self.device.ask(command).await;
        let text = format!(
            "error:AT0009-UnAuthorized client in request : Connection with enrollment ID {} is not \
             authorized to {words}\n@alice@",
            self.id
        );
        assert_eq!(answer, text, "{command}");
    }
}

#[tokio::test]
async fn s209_who_may_read_may_not_write_and_a_foreign_namespace_is_closed() {
    let mut pair = Pair::new(r#"{"wavi":"r"}"#).await;
    for key in ["x.wavi@alice", "@alice:y.wavi@alice", "x.buzz@alice", "public:x.buzz@alice"] {
        pair.owner.data(&format!("update:{key} v")).await;
    }
    for read in [
        "llookup:x.wavi@alice",
        "lookup:y.wavi@alice",
        "llookup:public:x.buzz@alice",
        "plookup:x.buzz@alice",
    ] {
        assert_eq!(pair.device.data(read).await, "v", "{read}");
    }
    pair.device.json("llookup:all:x.wavi@alice").await;
    pair.refused("update:x.wavi@alice w", "update key: x.wavi@alice").await;
    pair.refused("update:meta:x.wavi@alice:ttl:5", "update key: x.wavi@alice").await;
    pair.refused("delete:x.wavi@alice", "delete key: x.wavi@alice").await;
    pair.refused("llookup:x.buzz@alice", "llookup key: x.buzz@alice").await;
    pair.refused("llookup:meta:x.buzz@alice", "llookup key: x.buzz@alice").await;
    pair.refused("llookup:unknown.buzz@alice", "llookup key: unknown.buzz@alice").await;
    pair.refused("lookup:x.buzz@alice", "lookup key: @alice:x.buzz@alice").await;
    pair.refused("lookup:x.buzz@bob", "lookup key: @alice:x.buzz@bob").await;
    pair.refused("update:public:x.buzz@alice w", "update key: public:x.buzz@alice").await;
    pair.refused("update:phone@alice w", "update key: phone@alice").await;
    assert_eq!(pair.owner.data("llookup:x.wavi@alice").await, "v");
}

#[tokio::test]
async fn s210_a_namespace_of_two_words_is_the_end_of_a_name() {
    let mut pair = Pair::new(r#"{"orders.shop":"rw"}"#).await;
    pair.device.data("update:a.orders.shop@alice v").await;
    assert_eq!(pair.device.data("llookup:a.orders.shop@alice").await, "v");
    pair.refused("update:a.shop@alice v", "update key: a.shop@alice").await;
    pair.refused("update:a.myorders.shop@alice v", "update key: a.myorders.shop@alice").await;
    assert_eq!(pair.device.json("scan shop").await, json!(["a.orders.shop@alice"]));
}

#[tokio::test]
async fn s211_a_list_contains_no_foreign_namespaces() {
    let mut pair = Pair::new(r#"{"wavi":"r"}"#).await;
    for key in [
        "x.wavi@alice",
        "x.buzz@alice",
        "phone@alice",
        "_hidden.wavi@alice",
        "_hidden.buzz@alice",
        "public:x.buzz@alice",
        "@bob:x.wavi@alice",
        "@bob:x.buzz@alice",
        "shared_key.bob@alice",
    ] {
        pair.owner.data(&format!("update:{key} v")).await;
    }
    let names = |list: Value| {
        let names: Vec<String> = serde_json::from_value(list).unwrap();
        names.into_iter().filter(|name| !name.starts_with("public:app.pixel.")).collect::<Vec<_>>()
    };
    let seen = names(pair.device.json("scan").await);
    let expected =
        ["@bob:x.wavi@alice", "public:x.buzz@alice", "shared_key.bob@alice", "x.wavi@alice"];
    let published = "public:signing_publickey@alice".to_owned();
    assert_eq!(seen.into_iter().filter(|n| *n != published).collect::<Vec<_>>(), expected);
    let hidden = names(pair.device.json("scan:showHidden:true _hidden").await);
    assert_eq!(hidden, ["_hidden.wavi@alice"]);
    let all = enrol(&pair.lab, &mut pair.owner, "all", r#"{"*":"r"}"#).await;
    let mut all = enrolled(&pair.lab, &all).await;
    assert_eq!(all.data("scan").await, pair.owner.data("scan").await, "nothing is left out");
}

#[tokio::test]
async fn s211_what_others_share_is_listed_by_namespace_too() {
    let mut pair = Pair::new(r#"{"wavi":"r"}"#).await;
    let _bob = pair.lab.start("@bob").await;
    let mut bob = pair.lab.owner("@bob").await;
    for key in ["x.wavi", "x.buzz", "shared_key"] {
        bob.data(&format!("update:@alice:{key}@bob from-bob")).await;
    }
    assert_eq!(pair.owner.json("scan:@bob").await.as_array().unwrap().len(), 3);
    let seen = pair.device.json("scan:@bob").await;
    assert_eq!(seen, json!(["shared_key@bob", "x.wavi@bob"]));
    assert_eq!(pair.device.data("lookup:x.wavi@bob").await, "from-bob");
    assert_eq!(pair.device.data("lookup:shared_key@bob").await, "from-bob");
    pair.refused("lookup:x.buzz@bob", "lookup key: @alice:x.buzz@bob").await;
}

#[tokio::test]
async fn s212_data_verbs_do_not_reach_what_manages() {
    let mut pair = Pair::new(r#"{"__manage":"rw","*":"rw"}"#).await;
    let id = pair.id.clone();
    for name in [
        format!("{id}.new.enrollments.__manage@alice"),
        format!("{id}.default_enc_private_key.__manage@alice"),
        "x.__manage@alice".to_owned(),
        "a.d.k.__self_keys.wavi@alice".to_owned(),
    ] {
        pair.refused(&format!("update:{name} v"), &format!("update key: {name}")).await;
        pair.refused(&format!("update:meta:{name}:ttl:1"), &format!("update key: {name}")).await;
        pair.refused(&format!("delete:{name}"), &format!("delete key: {name}")).await;
        pair.refused(&format!("llookup:{name}"), &format!("llookup key: {name}")).await;
        let notified = format!("@bob:{name}");
        pair.refused(&format!("notify:{notified}:v"), &format!("notify key: {notified}")).await;
    }
    assert!(pair.owner.data(&about("fetch", &id)).await.contains("approved"));
}

#[tokio::test]
async fn s213_what_enrolments_rest_on_is_in_no_commit_log() {
    let mut pair = Pair::new(r#"{"wavi":"rw"}"#).await;
    pair.owner.put_pkam_key().await;
    pair.owner.data("plookup:signing_publickey@alice").await;
    let first: i64 = pair.owner.data("update:a@alice v").await.parse().unwrap();
    let id = enrol(&pair.lab, &mut pair.owner, "other", r#"{"wavi":"rw"}"#).await;
    pair.owner.data("otp:put:abcdef").await;
    let parts = "namespace:__global:appName:a:deviceName:d:keyType:t:encryptionKeyName:e:keyName:k";
    for visibility in ["public", "private", "self"] {
        assert_eq!(pair.device.data(&format!("keys:put:{visibility}:{parts} v")).await, "-1");
    }
    let name = "a.d.k.__self_keys.__global@alice";
    assert_eq!(pair.device.data(&format!("keys:delete:keyName:{name}")).await, "-1");
    pair.owner.data(&about("revoke", &id)).await;
    pair.owner.data(&about("delete", &id)).await;
    pair.lab.clock.advance(3_600_000);
    let next: i64 = pair.owner.data("update:a@alice v").await.parse().unwrap();
    assert_eq!(next, first + 1);
}

#[tokio::test]
async fn s214_an_enrolment_keeps_keys_and_lists_its_own() {
    let mut pair = Pair::new(r#"{"wavi":"rw"}"#).await;
    let other = enrol(&pair.lab, &mut pair.owner, "other", r#"{"wavi":"rw"}"#).await;
    let mut other_device = enrolled(&pair.lab, &other).await;
    let put = "keys:put:self:namespace:__global:appName:a:deviceName:d:keyType:aes256:\
               encryptionKeyName:e:keyName:k a value";
    assert_eq!(pair.device.data(put).await, "-1");
    let others = put.replace("deviceName:d", "deviceName:other");
    assert_eq!(other_device.data(&others).await, "-1");
    let name = "a.d.k.__self_keys.__global@alice";
    let default = |kind: &str, id: &str| format!("{id}.default_{kind}_key.__manage@alice");
    let id = pair.id.clone();
    let own = pair.device.json("keys:get:self").await;
    assert_eq!(own, json!([name, default("self_enc", &id)]));
    let private = pair.device.json("keys:get:private").await;
    assert_eq!(private, json!([default("enc_private", &id)]));
    assert_eq!(pair.device.json("keys:get:public").await, json!([]));
    let kept = pair.device.json(&format!("keys:get:keyName:{name}")).await;
    let expected = json!({
        "value": "a value", "keyType": "aes256", "enrollmentId": id, "encryptionKeyName": "e",
    });
    assert_eq!(kept, expected);
    let value = pair.device.json(&format!("keys:get:keyName:{}", default("self_enc", &id))).await;
    assert_eq!(value, json!({ "value": format!("self for {id}") }));
    assert_eq!(pair.device.data(&format!("keys:delete:keyName:{name}")).await, "-1");
    let missing = pair.device.ask(&format!("keys:get:keyName:{name}")).await;
    let text = format!("error:AT0015-key not found : key {name} not found in keystore\n@alice@");
    assert_eq!(missing, text);
}

#[tokio::test]
async fn a_device_tells_and_is_told_only_of_its_namespaces() {
    let mut pair = Pair::new(r#"{"wavi":"rw","read":"r"}"#).await;
    let mut monitor = enrolled(&pair.lab, &pair.id).await;
    monitor.watch("monitor").await;
    for (id, message) in [
        ("n1", "@alice:x.buzz@alice:v"),
        ("n2", "messageType:text:@alice:psst x.wavi"),
        ("n3", "@alice:phone@alice:v"),
        ("n4", "@alice:x.wavi@alice:v"),
        ("n5", "@alice:x.read@alice:v"),
    ] {
        pair.owner.data(&format!("notify:id:{id}:{message}")).await;
    }
    assert_eq!(monitor.notification().await["id"], "n4");
    assert_eq!(monitor.notification().await["id"], "n5");
    let mut late = enrolled(&pair.lab, &pair.id).await;
    late.send("monitor:0\n").await;
    assert_eq!(late.notification().await["id"], "n4");
    assert_eq!(late.notification().await["id"], "n5");
    let ids = |list: Value| {
        let ids = list.as_array().unwrap().iter().map(|one| one["id"].clone());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(pair.device.json("notify:list").await), ["n4", "n5"]);
    assert_eq!(ids(pair.owner.json("notify:list").await).len(), 5);
    pair.device.json("notify:fetch:n4").await;
    assert_eq!(pair.device.data("notify:status:n5").await, "delivered");
    pair.refused("notify:fetch:n1", "fetch notify key: @alice:x.buzz@alice").await;
    pair.refused("notify:status:n2", "fetch notify key: @alice:psst x.wavi").await;
    pair.refused("notify:remove:n1", "remove notify key: @alice:x.buzz@alice").await;
    pair.refused("notify:remove:n5", "remove notify key: @alice:x.read@alice").await;
    assert_eq!(pair.device.data("notify:remove:n4").await, "success");
    pair.device.data("notify:id:own:@alice:y.wavi@alice:v").await;
    pair.refused("notify:@bob:x.buzz@alice:v", "notify key: @bob:x.buzz@alice").await;
    pair.refused("notify:@bob:x.read@alice:v", "notify key: @bob:x.read@alice").await;
    pair.refused("notify:messageType:text:@bob:hello", "notify key: @bob:hello").await;
    assert!(pair.device.data("notify:fetch:unknown").await.contains("unknown"));
}

#[tokio::test]
async fn a_set_passcode_is_for_managers() {
    let mut pair = Pair::new(r#"{"wavi":"rw"}"#).await;
    pair.device.data("otp:get").await;
    pair.device.send("otp:put:abcdef\n").await;
    let refused = pair.device.rest().await;
    assert!(refused.starts_with("error:AT0011-Internal server exception : "), "{refused}");
    let manager = enrol(&pair.lab, &mut pair.owner, "manager", r#"{"__manage":"rw"}"#).await;
    assert_eq!(enrolled(&pair.lab, &manager).await.data("otp:put:abcdef").await, "ok");
}
