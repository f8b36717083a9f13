//! Statements of the checklist that no larger test is about.

use super::lab::Lab;
use super::peer::Peer;

#[tokio::test]
async fn s026_the_prompt_of_a_peer_is_its_name_and_after_an_error_none() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut bob = Peer::connect(&lab, "@bob", "@alice").await;
    assert_eq!(bob.ask("scan").await, "data:[]\n@bob@");
    assert!(bob.ask("lookup:x@alice").await.ends_with("keystore\n@"));
    assert_eq!(bob.ask("noop:0").await, "data:ok\n@bob@");
}

#[tokio::test]
async fn s032_s039_unknown_verbs_are_refused_and_odd_line_ends_belong_to_a_value() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:x@alice a\u{2028}b\u{2029}c\u{85}d").await;
    let text = "error:AT0003-Invalid syntax : invalid command\n@alice@";
    assert_eq!(owner.ask("deete:x@alice").await, text);
    assert_eq!(owner.data("llookup:x@alice").await, "a\u{2028}b\u{2029}c\u{85}d");
}

#[tokio::test]
async fn s059_a_client_may_say_what_it_is() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut client = lab.connect("@alice").await;
    let config =
        r#"{"version":"3.0.38","clientId":"c","appName":"a","appVersion":"1","platform":"p"}"#;
    let answer = client.ask(&format!("from:@alice:clientConfig:{config}")).await;
    let text = answer.strip_prefix("data:_").unwrap().strip_suffix("\n@").unwrap();
    let (session, challenge) = text.split_once("@alice:").unwrap();
    assert_eq!((session.len(), challenge.len()), (36, 36));
}

#[tokio::test]
async fn s084_anybody_reads_the_key_that_peers_check_signatures_with() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.put_pkam_key().await;
    let mut open = lab.connect("@alice").await;
    let key = open.data("lookup:signing_publickey@alice").await;
    assert_eq!(owner.data("llookup:public:signing_publickey@alice").await, key);
    assert!(open.ask("lookup:signing_privatekey@alice").await.starts_with("error:AT0015-"));
}

#[tokio::test]
async fn s103_s117_s126_s136_small_rules_of_keys() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    assert!(owner.ask("update:ttl:-1:x@alice v").await.starts_with("error:AT0003-"));
    assert!(owner.ask("plookup:x@alice@bob").await.starts_with("error:AT0003-"));
    owner.data("update:@alice:x@alice own").await;
    owner.data("update:x@alice other").await;
    assert_eq!(owner.data("lookup:x@alice").await, "own");
    owner.data("update:ttl:1000:short@alice v").await;
    owner.data("update:ttb:5000:late@alice v").await;
    assert_eq!(owner.json("scan short|late").await, serde_json::json!(["short@alice"]));
    lab.clock.advance(1_001);
    assert_eq!(owner.json("scan short|late").await, serde_json::json!([]));
    lab.clock.advance(4_000);
    assert_eq!(owner.json("scan short|late").await, serde_json::json!(["late@alice"]));
}

#[tokio::test]
async fn s169_what_is_fetched_about_a_notification_is_all_texts() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("notify:id:n1:update:ttr:60:@alice:k@alice:v").await;
    let fetched = owner.json("notify:fetch:n1").await;
    let values = fetched.as_object().unwrap();
    assert!(values.values().all(serde_json::Value::is_string), "{fetched}");
    for (member, text) in [
        ("notificationStatus", "NotificationStatus.delivered"),
        ("opType", "OperationType.update"),
        ("messageType", "MessageType.key"),
        ("type", "NotificationType.received"),
        ("priority", "NotificationPriority.low"),
        ("retryCount", "1"),
    ] {
        assert_eq!(values[member], text, "{member}");
    }
}

#[tokio::test]
async fn s195_s196_anybody_asks_for_the_version_and_for_a_short_wait() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut clients = [
        lab.connect("@alice").await,
        lab.owner("@alice").await,
        Peer::connect(&lab, "@bob", "@alice").await,
    ];
    for client in &mut clients {
        let info = client.json("info").await;
        assert_eq!(info["version"], "3.0.52");
        assert!(info["uptimeAsWords"].as_str().unwrap().ends_with(" seconds"), "{info}");
        let brief = client.json("info:brief").await;
        assert!(brief["uptimeAsMillis"].is_u64(), "{brief}");
        assert_eq!((info.as_object().unwrap().len(), brief.as_object().unwrap().len()), (2, 2));
        assert_eq!(client.data("noop:1").await, "ok");
        let answer = client.ask("noop:5001").await;
        assert!(answer.starts_with("error:AT0022-"), "{answer}");
        assert!(answer.contains("noop:<durationInMillis> where the duration maximum is 5000"));
        assert!(client.ask("noop:x").await.starts_with("error:AT0003-"));
    }
}
