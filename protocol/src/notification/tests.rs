#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::verb::{Command, Verb};
use crate::{MetadataPatch, Patch};

const NOW: Timestamp = Timestamp(1_727_786_096_789);

fn name(text: &str) -> AtSign {
    AtSign::parse(text).unwrap()
}

fn parse(line: &str) -> Notify {
    match Command::parse(Verb::select(line).unwrap(), line) {
        Ok(Command::Notify(notify)) => *notify,
        other => panic!("{line:?} gives {other:?}"),
    }
}

fn sent(line: &str) -> Notification {
    let alice = name("alice");
    let envelope = Envelope { id: "1b67", from: &alice, at: NOW, ttln_default: 900_000 };
    Notification::sent(&parse(line), &envelope).unwrap()
}

/// What arrives where `sent` is delivered to.
fn delivered(sent: &Notification) -> Notification {
    let line = String::from_utf8(sent.delivery_line()).unwrap();
    let notify = parse(line.trim_end());
    let id = notify.id.clone().unwrap();
    let envelope = Envelope { id: &id, from: &sent.from, at: sent.at, ttln_default: 1 };
    Notification::received(&notify, &envelope, &sent.to).unwrap()
}

#[test]
fn the_line_between_servers_has_its_parts_in_order() {
    for (command, line) in [
        (
            "notify:@bob:k@alice",
            "notify:id:1b67:update:messageType:key:notifier:SYSTEM:ttln:900000:isEncrypted:true:\
             @bob:k@alice\n",
        ),
        (
            "notify:messageType:text:ttln:5:@bob:Hello: there@x",
            "notify:id:1b67:update:messageType:text:notifier:SYSTEM:ttln:5:isEncrypted:false:\
             @bob:Hello: there@x\n",
        ),
        (
            "notify:delete:ttr:-1:@bob:k@alice",
            "notify:id:1b67:delete:messageType:key:notifier:SYSTEM:ttln:900000:ttr:-1:ccd:null:\
             isEncrypted:true:@bob:k@alice\n",
        ),
        (
            "notify:skeEncAlgo:g:skeEncKeyName:f:ivNonce:e+/=:encAlgo:d:encKeyName:c:pubKeyCS:b:\
             sharedKeyEnc:a:ccd:true:ttr:3:ttb:2:ttl:1:@bob:k@alice:v:w",
            "notify:id:1b67:update:messageType:key:notifier:SYSTEM:ttln:900000:ttl:1:ttb:2:ttr:3:\
             ccd:true:isEncrypted:true:sharedKeyEnc:a:pubKeyCS:b:encKeyName:c:encAlgo:d:\
             ivNonce:e+/=:skeEncKeyName:f:skeEncAlgo:g:@bob:k@alice:v:w\n",
        ),
    ] {
        assert_eq!(String::from_utf8(sent(command).delivery_line()).unwrap(), line);
    }
}

#[test]
fn what_is_delivered_is_what_was_sent() {
    for command in [
        "notify:@bob:k@alice",
        "notify:@bob:k.wavi@alice:a:b@c",
        "notify:messageType:text:isEncrypted:true:ivNonce:x=:@bob:Hello: there@x",
        "notify:delete:ttl:1:ttr:5:ccd:false:@bob:k@alice",
    ] {
        let sent = sent(command);
        let arrived = delivered(&sent);
        let expected =
            Notification { kind: Kind::Received, status: Status::Delivered, ..sent.clone() };
        assert_eq!(arrived, expected, "{command}");
    }
}

#[test]
fn a_copy_is_announced_only_with_a_value_or_a_deletion() {
    for (command, ttr) in [
        ("notify:ttr:60:ccd:true:@bob:k@alice:v", Some(60)),
        ("notify:ttr:60:ccd:true:delete:@bob:k@alice", Some(60)),
        ("notify:ttr:60:ccd:true:@bob:k@alice", None),
    ] {
        let metadata = sent(command).metadata;
        assert_eq!((metadata.ttr, metadata.ccd), (ttr, ttr.map(|_| true)), "{command}");
    }
}

#[test]
fn a_notification_to_oneself_is_delivered_at_once() {
    // Checklist 180.
    let own = sent("notify:@alice:k@alice:v");
    assert_eq!((own.kind, own.status), (Kind::Received, Status::Delivered));
    let other = sent("notify:@bob:k@alice:v");
    assert_eq!((other.kind, other.status), (Kind::Sent, Status::Queued));
}

#[test]
fn a_notification_ends_after_its_time() {
    // Checklist 167.
    let short = sent("notify:ttln:1000:@bob:k@alice:v");
    assert_eq!(short.status_at(NOW.plus_millis(1000)).as_str(), "queued");
    assert_eq!(short.status_at(NOW.plus_millis(1001)).as_str(), "expired");
    assert_eq!(sent("notify:@bob:k@alice").expires_at, NOW.plus_millis(900_000));
}

#[test]
fn an_update_is_told_to_the_one_it_is_shared_with() {
    // Checklist 183.
    let alice = name("alice");
    let envelope = Envelope { id: "1", from: &alice, at: NOW, ttln_default: 900_000 };
    let patch = MetadataPatch {
        ttr: Some(60),
        is_encrypted: Some(true),
        iv_nonce: Some(Patch::Set("iv".into())),
        ..MetadataPatch::default()
    };
    let metadata = Metadata::created(&alice, NOW, &patch);
    let automatic = |key: &str| {
        let key = AtKey::parse(key).unwrap();
        Notification::automatic(&key, Operation::Update, Some("v"), Some(&metadata), &envelope)
    };
    let told = automatic("@bob:k.wavi@alice").unwrap();
    assert_eq!((&told.to, told.subject.as_str()), (&name("bob"), "@bob:k.wavi@alice"));
    assert_eq!((told.notifier.as_str(), told.is_encrypted), ("system", true));
    assert_eq!((told.metadata.ttr, told.metadata.iv_nonce.as_deref()), (Some(60), Some("iv")));
    assert_eq!(delivered(&told).metadata, told.metadata);
    for key in ["k@alice", "@alice:k@alice", "public:k@alice", "cached:@bob:k@alice"] {
        assert_eq!(automatic(key), None, "{key}");
    }
}

#[test]
fn monitors_get_one_line_with_the_members_in_order() {
    // Checklist 185.
    let line = String::from_utf8(sent("notify:@bob:k@alice:v \"é\"").monitor_line()).unwrap();
    assert_eq!(
        line,
        "notification: {\"id\":\"1b67\",\"from\":\"@alice\",\"to\":\"@bob\",\
         \"key\":\"@bob:k@alice\",\"value\":\"v \\\"é\\\"\",\"operation\":\"update\",\
         \"epochMillis\":1727786096789,\"messageType\":\"MessageType.key\",\"isEncrypted\":true,\
         \"metadata\":{\"encKeyName\":null,\"encAlgo\":null,\"ivNonce\":null,\
         \"skeEncKeyName\":null,\"skeEncAlgo\":null,\"sharedKeyEnc\":null}}\n"
    );
}

#[test]
fn a_list_has_dates_in_place_of_the_shared_key() {
    // Checklist 170.
    let with_nonce = sent("notify:ivNonce:iv=:messageType:text:@bob:hi");
    let list = "{\"id\":\"1b67\",\"from\":\"@alice\",\"to\":\"@bob\",\"key\":\"@bob:hi\",\
                \"value\":null,\"operation\":\"update\",\"epochMillis\":1727786096789,\
                \"messageType\":\"MessageType.text\",\"isEncrypted\":false,\
                \"metadata\":{\"encKeyName\":null,\"encAlgo\":null,\"ivNonce\":\"iv=\",\
                \"skeEncKeyName\":null,\"skeEncAlgo\":null,\"availableAt\":\"null\",\
                \"expiresAt\":\"2024-10-01 12:49:56.789Z\"}}";
    assert_eq!(with_nonce.list_json(), list);
    let replay = String::from_utf8(with_nonce.replay_line()).unwrap();
    assert_eq!(replay, format!("notification: {list}\n"));
    let born = sent("notify:ttb:0:@bob:k@alice:v").list_json();
    assert!(born.contains("\"availableAt\":\"null\""));
    let unborn = sent("notify:ttb:1000:@bob:k@alice:v").list_json();
    assert!(unborn.contains("\"availableAt\":\"2024-10-01 12:34:57.789Z\""));
}

#[test]
fn a_fetched_notification_has_nothing_but_texts() {
    // Checklist 168, 169.
    assert_eq!(
        sent("notify:ttl:5:ivNonce:iv=:@bob:k@alice:v").fetch_json(NOW),
        "{\"id\":\"1b67\",\"fromAtSign\":\"@alice\",\
         \"notificationDateTime\":\"2024-10-01 12:34:56.789Z\",\"toAtSign\":\"@bob\",\
         \"notification\":\"@bob:k@alice\",\"type\":\"NotificationType.sent\",\
         \"opType\":\"OperationType.update\",\"messageType\":\"MessageType.key\",\
         \"priority\":\"NotificationPriority.low\",\
         \"notificationStatus\":\"NotificationStatus.queued\",\"retryCount\":\"1\",\
         \"strategy\":\"all\",\"depth\":\"1\",\"notifier\":\"SYSTEM\",\
         \"expiresAt\":\"2024-10-01 12:49:56.789Z\",\"atValue\":\"v\",\
         \"atMetadata\":\"{ttl: 5, ivNonce: iv=}\",\"ttl\":\"900000\"}"
    );
    assert!(sent("notify:@bob:k@alice").fetch_json(NOW).contains("\"atValue\":\"null\""));
    assert_eq!(
        Notification::fetch_unknown_json("x\"y"),
        "{\"id\":\"x\\\"y\",\"notificationStatus\":\"NotificationStatus.expired\"}"
    );
}

#[test]
fn statistics_look_like_a_notification_to_oneself() {
    // Checklist 189.
    let line = stats_line(&name("alice"), 17, Operation::Update, NOW);
    assert_eq!(
        String::from_utf8(line).unwrap(),
        "notification: {\"id\":\"-1\",\"from\":\"@alice\",\"to\":\"@alice\",\
         \"key\":\"statsNotification.@alice\",\"value\":\"17\",\"operation\":\"update\",\
         \"epochMillis\":1727786096789,\"messageType\":\"MessageType.key\",\
         \"isEncrypted\":false,\"metadata\":null}\n"
    );
}

#[test]
fn a_stored_notification_is_read_back() {
    let stored = sent("notify:strategy:latest:notifier:n:latestN:2:ttr:1:ccd:true:@bob:k@alice:v");
    let json = serde_json::to_string(&stored).unwrap();
    assert_eq!(serde_json::from_str::<Notification>(&json).unwrap(), stored);
}
