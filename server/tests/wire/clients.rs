//! What the official SDKs for Java, C, Rust and Go write, byte for byte, and what they have to get
//! (section 9). The unmodified SDKs were seen to send these lines: docs/clients.md.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::client::{cram_digest, keys};
use super::lab::{Lab, Running};
use super::sdk::Sdk;

/// @alice and @bob, activated, with a public key each.
struct Pair {
    lab: Lab,
    _servers: [Running; 2],
}

impl Pair {
    async fn new() -> Self {
        let lab = Lab::new().await;
        let servers = [lab.start("@alice").await, lab.start("@bob").await];
        for name in ["@alice", "@bob"] {
            let mut owner = lab.owner(name).await;
            owner.put_pkam_key().await;
            owner.data(&format!("update:public:publickey{name} {}", keys().public)).await;
        }
        Self { lab, _servers: servers }
    }

    async fn java(&self, name: &str) -> Sdk {
        let mut java = Sdk::java(&self.lab, name).await;
        java_authenticates(&mut java, name, "@").await;
        java
    }

    async fn c(&self, name: &str) -> Sdk {
        let mut c = Sdk::c(&self.lab, name).await;
        let bare = &name[1..];
        let answer = c.with_buffer(1024).says(&format!("from:{bare}\r\n")).await;
        let challenge = answer.strip_prefix("data:").expect("at the very beginning");
        let pkam = format!("pkam:{}\r\n", keys().sign(challenge));
        assert_eq!(c.says(&pkam).await, "data:success");
        c
    }

    /// Both commands end with two line feeds.
    async fn rust(&self, name: &str) -> Sdk {
        let mut rust = Sdk::rust(&self.lab, name).await;
        let answer = rust.says(&format!("from:{}\n\n", &name[1..])).await;
        let challenge = answer.strip_prefix("@data:").expect("prompt and answer as one line");
        let pkam = format!("pkam:{}\n\n", keys().sign(challenge));
        assert_eq!(rust.says(&pkam).await, "data:success");
        rust
    }

    async fn go(&self, name: &str) -> Sdk {
        let mut go = Sdk::go(&self.lab, name).await;
        let answer = go.says(&format!("from:{name}\n")).await;
        let challenge = answer.strip_prefix("data:").and_then(|rest| rest.strip_suffix("\n@"));
        let pkam = format!("pkam:{}\n", keys().sign(challenge.unwrap()));
        assert_eq!(go.says(&pkam).await, format!("data:success\n{name}@"));
        go
    }
}

async fn java_authenticates(java: &mut Sdk, name: &str, prompt: &str) {
    let challenge = java_challenge(java, name, prompt).await;
    let pkam = format!("pkam:{}\n", keys().sign(&challenge));
    assert_eq!(java.says(&pkam).await, format!("{prompt}data:success"));
}

async fn java_challenge(java: &mut Sdk, name: &str, prompt: &str) -> String {
    let answer = java.says(&format!("from:{name}\n")).await;
    answer.strip_prefix(&format!("{prompt}data:")).expect(&answer).to_owned()
}

/// As long as a signature or a wrapped key is in base64.
fn base64_of_256_bytes() -> String {
    format!("{}==", "Zm9v+/Ab".repeat(43).split_at(342).0)
}

#[tokio::test]
async fn java_onboards_on_one_connection() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut java = Sdk::java(&lab, "@alice").await;
    let challenge = java_challenge(&mut java, "@alice", "@").await;
    let cram = format!("cram:{}\n", cram_digest("@alice", &challenge));
    assert_eq!(java.says(&cram).await, "@data:success");
    let public = &keys().public;
    let pkam_key = format!("update:privatekey:at_pkam_publickey {public}\n");
    assert_eq!(java.says(&pkam_key).await, "@alice@data:-1");
    java_authenticates(&mut java, "@alice", "@alice@").await;
    java.exchange(&[
        (&format!("update:public:publickey@alice {public}\n"), "@alice@data:…"),
        ("delete:privatekey:at_secret\n", "@alice@data:-1"),
    ])
    .await;
}

#[tokio::test]
async fn java_keeps_publishes_and_shares() {
    let pair = Pair::new().await;
    let (mut alice, mut bob) = (pair.java("@alice").await, pair.java("@bob").await);
    let (key, b64) = (base64_of_256_bytes(), "0OqmN1QxUj0lsDHI/dnDPA==");
    let about = format!("dataSignature:{key}:isBinary:false:isEncrypted");
    alice
        .exchange(&[
            (&format!("update:{about}:true:diary@alice {b64}\n"), "@alice@data:…"),
            (&format!("update:{about}:true:@alice:diary2@alice {b64}\n"), "@alice@data:…"),
            (&format!("update:{about}:false:public:colour@alice 日本 🦄\n"), "@alice@data:…"),
            (&format!("update:ttl:6000:ttb:1:{about}:false:public:b@alice v\n"), "@alice@data:…"),
            ("llookup:shared_key.bob@alice\n", "@alice@error:AT0015-key not found : …"),
            ("plookup:publickey@bob\n", &format!("@alice@data:{}", keys().public)),
            (&format!("update:shared_key.bob@alice {key}\n"), "@alice@data:…"),
            (&format!("update:ttr:86400000:@bob:shared_key@alice {key}\n"), "@alice@data:…"),
            (
                &format!(
                    "update:ttl:600000:ttr:1000:ccd:true:isBinary:false:isEncrypted:true:\
                     @bob:phone.tour@alice {b64}\n"
                ),
                "@alice@data:…",
            ),
            ("llookup:@bob:phone.tour@alice\n", &format!("@alice@data:{b64}")),
        ])
        .await;
    bob.exchange(&[
        ("lookup:shared_key@alice\n", &format!("@bob@data:{key}")),
        ("lookup:phone.tour@alice\n", &format!("@bob@data:{b64}")),
        ("plookup:all:colour@alice\n", "@bob@data:{\"key\":\"public:colour@alice\",…"),
        ("plookup:bypassCache:true:all:colour@alice\n", "@bob@data:{…\"日本 🦄\"…}"),
        ("plookup:all:nothing@alice\n", "@bob@error:AT0015-key not found : …"),
    ])
    .await;
    alice
        .exchange(&[
            ("delete:public:colour@alice\n", "@alice@data:…"),
            ("delete:diary@alice\n", "@alice@data:…"),
            ("delete:@bob:phone.tour@alice\n", "@alice@data:…"),
            ("llookup:all:diary@alice\n", "@alice@error:AT0015-key not found : …"),
        ])
        .await;
}

/// The SDK refuses a member that it does not know, and an integer beyond 32 bits.
#[tokio::test]
async fn java_reads_the_metadata_of_every_key_that_it_scans() {
    const KNOWN: [&str; 23] = [
        "ttl",
        "ttb",
        "ttr",
        "ccd",
        "createdBy",
        "updatedBy",
        "availableAt",
        "expiresAt",
        "refreshAt",
        "createdAt",
        "updatedAt",
        "status",
        "version",
        "dataSignature",
        "sharedKeyStatus",
        "isPublic",
        "isEncrypted",
        "isHidden",
        "namespaceAware",
        "isBinary",
        "isCached",
        "sharedKeyEnc",
        "pubKeyCS",
    ];
    let pair = Pair::new().await;
    let mut java = pair.java("@alice").await;
    let about = "ttl:600000:ttb:1:ttr:3600:ccd:true:dataSignature:c2ln:isBinary:false:\
                 isEncrypted:false";
    java.says(&format!("update:{about}:public:colour@alice blue\n")).await;
    pair.lab.clock.advance(2);
    java.says("plookup:publickey@bob\n").await;
    let scan = java.says("scan:showHidden:true .*\n").await;
    let list: Vec<String> = serde_json::from_str(&scan["@alice@data:".len()..]).unwrap();
    assert!(list.len() >= 3 && list.iter().all(|key| key.contains('@')), "{list:?}");
    for key in list {
        let answer = java.says(&format!("llookup:meta:{key}\n")).await;
        let metadata: Value = serde_json::from_str(&answer["@alice@data:".len()..]).unwrap();
        for (member, value) in metadata.as_object().unwrap() {
            assert!(KNOWN.contains(&member.as_str()), "{key}: {member}");
            assert!(!value.is_null(), "{key}: {member}");
            assert!(value.as_i64().is_none_or(|it| i32::try_from(it).is_ok()), "{key}: {member}");
            let is_date = member.ends_with("At");
            assert!(!is_date || value.as_str().unwrap().len() == "2026-11-21 12:43:41.175Z".len());
        }
    }
}

#[tokio::test]
async fn java_notifies_and_monitors() {
    let pair = Pair::new().await;
    let (mut alice, mut monitor) = (pair.java("@alice").await, pair.java("@bob").await);
    monitor.sends("monitor:0\n").await;
    monitor.sends("noop:0\n").await;
    // The prompt of the authentication still stands in front of what comes first.
    assert!(monitor.told().await.ends_with("data:ok"));
    let sent = alice.says("notify:messageType:text:@bob:hello bob\n").await;
    let id = sent.strip_prefix("@alice@data:").unwrap();
    let told = java_notification(&mut monitor).await;
    assert_eq!((&told["id"], &told["key"]), (&json!(id), &json!("@bob:hello bob")));
    let key = "@bob:phone.tour@alice";
    for (sent, operation, value) in [
        (format!("notify:update:messageType:key:ttr:1000:{key}:djE="), "update", json!("djE=")),
        (format!("notify:delete:messageType:key:{key}"), "delete", Value::Null),
    ] {
        alice.exchange(&[(&format!("{sent}\n"), "@alice@data:…")]).await;
        let told = java_notification(&mut monitor).await;
        assert_eq!((&told["key"], &told["operation"]), (&json!(key), &json!(operation)));
        assert_eq!(told["value"], value);
    }
    let status = format!("notify:status:{id}\n");
    let delivered = async { while alice.says(&status).await != "@alice@data:delivered" {} };
    timeout(Duration::from_secs(20), delivered).await.expect("it is not delivered");
    monitor.sends("noop:0\n").await;
    assert_eq!(monitor.told().await, "data:ok");
}

/// With the members that are read without a look whether they are there.
async fn java_notification(monitor: &mut Sdk) -> Value {
    let line = monitor.told().await;
    let told: Value = serde_json::from_str(line.strip_prefix("notification:").unwrap()).unwrap();
    assert!(told["id"].is_string() && told["operation"].is_string() && told["key"].is_string());
    assert!(told["epochMillis"].as_i64().unwrap() > i64::from(i32::MAX), "a long, not an int");
    assert!(told["metadata"].as_object().unwrap().contains_key("ivNonce"), "{told}");
    told
}

#[tokio::test]
async fn c_keeps_publishes_and_shares() {
    let pair = Pair::new().await;
    let (mut alice, mut bob) = (pair.c("@alice").await, pair.c("@bob").await);
    let (key, b64, iv) =
        (base64_of_256_bytes(), "sBCkB2FFXWz7kRZiL496Jg==", "V31KqxBpg2XgEstblgXRtg==");
    let about = "isBinary:false:isEncrypted";
    alice
        .with_buffer(256)
        .exchange(&[
            (&format!("update:ivNonce:{iv}:s.tests@alice {b64}\r\n"), "data:…"),
            (
                &format!("update:ttl:300000:{about}:true:ivNonce:{iv}:s.tests@alice {b64}\r\n"),
                "data:…",
            ),
            (
                &format!(
                    "update:ttl:300000:ttr:-1:ccd:true:{about}:false:public:p.t@alice v w\r\n"
                ),
                "data:…",
            ),
        ])
        .await;
    alice
        .with_buffer(1024)
        .exchange(&[
            // The words by which it knows that it has to make a key.
            ("llookup:shared_key.bob@alice\r\n", "error:AT0015-key not found…"),
            ("plookup:publickey@bob\r\n", "data:MII…"),
        ])
        .await;
    alice
        .with_buffer(256)
        .exchange(&[
            (&format!("update:shared_key.bob@alice {key}\r\n"), "data:…"),
            (&format!("update:@bob:shared_key@alice {key}\r\n"), "data:…"),
            (&format!("update:ttl:300000:ttr:-1:ivNonce:{iv}:@bob:x.t@alice {b64}\r\n"), "data:…"),
        ])
        .await;
    alice
        .with_buffer(8192)
        .exchange(&[
            ("llookup:all:s.tests@alice\r\n", "data:{\"key\":\"s.tests@alice\",\"data\":\"sBCk…"),
            ("plookup:all:p.t@alice\r\n", "data:{\"key\":\"public:p.t@alice\",\"data\":\"v w\",…"),
            ("llookup:all:@bob:x.t@alice\r\n", "data:{\"key\":\"@bob:x.t@alice\",\"data\":\"sBCk…"),
            ("scan\r\n", "data:[…\"@bob:x.t@alice\"…]"),
            ("scan:showHidden:true x\\.t\r\n", "data:[\"@bob:x.t@alice\"]"),
        ])
        .await;
    assert_eq!(bob.says("lookup:shared_key@alice\r\n").await, format!("data:{key}"));
    let all = bob.with_buffer(8192).says("lookup:all:x.t@alice\r\n").await;
    let all: Value = serde_json::from_str(all.strip_prefix("data:").unwrap()).unwrap();
    assert_eq!((&all["data"], &all["metaData"]["ivNonce"]), (&b64.into(), &iv.into()));
    for key in ["s.tests@alice", "public:p.t@alice", "@bob:x.t@alice"] {
        let delete = format!("delete:{key}\r\n");
        alice.with_buffer(256).exchange(&[(&delete, "data:…")]).await;
    }
    alice.with_buffer(64).exchange(&[("noop:0\r\n", "data:ok")]).await;
}

/// A monitor must be told lines that begin with the kind of the message.
#[tokio::test]
async fn c_notifies_and_monitors() {
    let pair = Pair::new().await;
    let (mut alice, mut monitor) = (pair.c("@alice").await, pair.c("@bob").await);
    monitor.sends("monitor .*\r\n").await;
    monitor.sends("noop:0\r\n").await;
    assert_eq!(monitor.told().await, "data:ok");
    let notify =
        "notify:update:ttln:5000:ivNonce:+PkdrzJhJZOa/bbgcDvAeg==:@bob:talk.tests@alice:M7Q=\r\n";
    let answer = alice.with_buffer(64).says(notify).await;
    let id = answer.strip_prefix("data:").unwrap();
    let told = monitor.told().await;
    assert!(told.starts_with(&format!("notification: {{\"id\":\"{id}\",")), "{told}");
    assert!(told.contains("\"ivNonce\":\"+PkdrzJhJZOa/bbgcDvAeg==\""), "{told}");
    monitor.sends("noop:0\r\n").await;
    assert_eq!(monitor.told().await, "data:ok");
    let long = format!("notify:update:@bob:talk.tests@alice:{}\r\n", "QUJD".repeat(2700));
    assert!(alice.says(&long).await.starts_with("data:"));
    assert!(monitor.told().await.contains("QUJDQUJD"));
}

#[tokio::test]
async fn rust_shares_and_reads() {
    let pair = Pair::new().await;
    let (mut alice, mut bob) = (pair.rust("@alice").await, pair.rust("@bob").await);
    let key = base64_of_256_bytes();
    alice
        .exchange(&[
            ("llookup:shared_key.bob@alice\n", "error:AT0015…"),
            (&format!("update:shared_key.bob@alice {key}\n"), "data:…"),
            ("plookup:publickey@bob\n", "data:MII…"),
            (&format!("update:ttr:86400:@alice:shared_key@alice {key}\n"), "data:…"),
            ("update:@bob:fresh.tour@alice i9ljiiZcH0Qcb8luf+5Sfw==\n", "data:…"),
            ("llookup:shared_key.bob@alice\n", &format!("data:{key}")),
            ("scan:showhidden:true\n", "data:[…\"@bob:fresh.tour@alice\"…]"),
        ])
        .await;
    bob.exchange(&[
        ("lookup:shared_key@alice\n", "error:AT0015…"),
        ("lookup:fresh.tour@alice\n", "data:i9ljiiZcH0Qcb8luf+5Sfw=="),
    ])
    .await;
}

#[tokio::test]
async fn go_scans_and_looks_up() {
    let pair = Pair::new().await;
    let mut go = pair.go("@alice").await;
    let public = format!("data:{}\n@alice@", keys().public);
    go.exchange(&[
        ("scan .*\n", "data:[…]\n@alice@"),
        ("llookup:meta:public:publickey@alice\n", "data:{\"createdBy\":…}\n@alice@"),
        ("llookup:public:publickey@alice\n", &public),
        ("plookup:publickey@bob\n", &public),
        ("lookup:nothing@bob\n", "error:AT0015-key not found : …\n@alice@"),
        ("delete:public:nothing@alice\n", "data:…\n@alice@"),
        ("noop:0\n", "data:ok\n@alice@"),
    ])
    .await;
}

/// Its example ends its own half of the connection before it reads.
#[tokio::test]
async fn go_asks_for_a_public_key_and_sends_no_more() {
    let pair = Pair::new().await;
    let mut go = Sdk::go(&pair.lab, "@alice").await;
    go.sends("lookup:publickey@alice\n").await;
    go.says_no_more().await;
    assert_eq!(go.answer().await, format!("data:{}\n@", keys().public));
}
