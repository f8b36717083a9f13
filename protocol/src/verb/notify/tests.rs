#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::limits::NOTIFICATION_ID_BYTES_MAX;
use crate::verb::{Command, NotifyList, Verb};
use crate::{ErrorCode, Patch, Timestamp};

fn parse(line: &str) -> Result<Command, VerbError> {
    Command::parse(Verb::select(line).unwrap(), line)
}

fn notify(line: &str) -> Notify {
    match parse(line) {
        Ok(Command::Notify(notify)) => *notify,
        other => panic!("{line:?} gives {other:?}"),
    }
}

fn name(text: &str) -> AtSign {
    AtSign::parse(text).unwrap()
}

fn code(line: &str) -> Option<ErrorCode> {
    parse(line).err().map(|error| error.code())
}

#[test]
fn a_short_notification_has_its_defaults() {
    let short = notify("notify:@bob:Phone.Wavi@alice");
    assert_eq!(short.subject(&name("alice")).unwrap(), "@bob:phone.wavi@alice");
    assert_eq!((short.operation, short.message_type()), (Operation::Update, MessageType::Key));
    assert_eq!((short.priority, short.strategy, short.latest_n), (Priority::Low, Strategy::All, 1));
    assert_eq!((short.id, short.notifier, short.ttln, short.patch.ttl), (None, None, None, None));
}

#[test]
fn options_and_metadata_come_in_any_order() {
    // Checklist 163, 164.
    for line in [
        "notify:id:a-1_B:delete:messageType:key:priority:high:strategy:latest:latestN:3:\
         notifier:n.1:ttln:9:ttl:1:ttb:2:ttr:-1:ccd:True:isEncrypted:false:@bob:k@alice:v",
        "notify:isEncrypted:FALSE:ccd:true:ttr:-1:ttb:2:ttl:1:ttln:9:notifier:n.1:latestN:3:\
         strategy:latest:priority:high:message_type:key:delete:id:a-1_B:@bob:k@alice:v",
    ] {
        let full = notify(line);
        assert_eq!(full.id.as_deref(), Some("a-1_B"));
        assert_eq!((full.operation, full.priority), (Operation::Delete, Priority::High));
        assert_eq!((full.strategy, full.latest_n), (Strategy::Latest, 3));
        assert_eq!((full.notifier.as_deref(), full.ttln), (Some("n.1"), Some(9)));
        assert_eq!((full.patch.ttl, full.patch.ttb, full.patch.ttr), (Some(1), Some(2), Some(-1)));
        assert_eq!((full.patch.ccd, full.patch.is_encrypted), (Some(true), Some(false)));
        assert_eq!(full.value(), Some("v"));
    }
}

#[test]
fn the_latest_none_means_the_latest_one() {
    assert_eq!(notify("notify:latestN:0:@bob:k@alice").latest_n, 1);
}

#[test]
fn a_key_ends_at_its_owner_and_the_value_is_the_rest() {
    for (line, subject, value) in [
        ("notify:@bob:k@alice:a:b@c d", "@bob:k@alice", Some("a:b@c d")),
        ("notify:@bob:k@alice:", "@bob:k@alice", None),
        ("notify:@bob:k@alice", "@bob:k@alice", None),
        ("notify:@bob:k", "@bob:k@alice", None),
        ("notify:@bob:k:v@w:x", "@bob:k@alice", Some("v@w:x")),
        ("notify:public:k@alice:v", "public:k@alice", Some("v")),
        ("notify:@alice:k@alice:v", "@alice:k@alice", Some("v")),
        ("notify:ttr:-1:@bob:k@al.ICE:+1 555 0100", "@bob:k@alice", Some("+1 555 0100")),
    ] {
        let parsed = notify(line);
        assert_eq!(parsed.subject(&name("alice")).unwrap(), subject, "{line}");
        assert_eq!(parsed.value(), value, "{line}");
    }
}

#[test]
fn a_text_is_everything_behind_its_recipient() {
    // Checklist 173.
    for (line, subject) in [
        ("notify:messageType:text:@bob:hello there", "@bob:hello there"),
        ("notify:messageType:text:@bob:Mail a@b.c: now", "@bob:Mail a@b.c: now"),
    ] {
        let text = notify(line);
        assert_eq!(text.message_type(), MessageType::Text);
        assert_eq!(text.subject(&name("alice")).unwrap(), subject);
        assert_eq!((text.value(), text.key(&name("alice")).unwrap()), (None, None));
    }
    assert_eq!(code("notify:messageType:text:@bob:"), Some(ErrorCode::InvalidSyntax));
}

#[test]
fn a_key_is_taken_as_encrypted_unless_it_says_not_and_a_text_only_if_it_says_so() {
    for (line, is_encrypted) in [
        ("notify:@bob:k@alice:v", true),
        ("notify:isEncrypted:false:@bob:k@alice:v", false),
        ("notify:isEncrypted:true:public:k@alice:v", false),
        ("notify:messageType:text:@bob:t", false),
        ("notify:messageType:text:isEncrypted:true:@bob:t", true),
    ] {
        assert_eq!(notify(line).is_encrypted(), is_encrypted, "{line}");
    }
}

#[test]
fn nobody_notifies_in_anothers_name() {
    // Checklist 175, 181.
    let (alice, bob, carol) = (name("alice"), name("bob"), name("carol"));
    let error = notify("notify:@bob:k@carol:v").check_sender(&alice).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unauthorized);
    assert_eq!(error.message(), "@carol is not authorized to send notification as @alice");
    let delivery = notify("notify:@bob:k@alice:v");
    assert_eq!(delivery.check_sender(&alice), Ok(()));
    assert_eq!(delivery.check_delivery(&alice, &bob), Ok(()));
    assert!(delivery.check_delivery(&carol, &bob).is_err(), "the key is not carol's");
    assert!(delivery.check_delivery(&alice, &carol).is_err(), "it is not for carol");
    assert!(notify("notify:public:k@alice:v").check_delivery(&alice, &bob).is_err());
    assert_eq!(notify("notify:messageType:text:@bob:t").check_delivery(&alice, &bob), Ok(()));
}

#[test]
fn what_is_wrong_is_refused_with_the_right_code() {
    // Checklist 176.
    for (line, code) in [
        ("notify:", ErrorCode::InvalidSyntax),
        ("notify:@bob", ErrorCode::InvalidSyntax),
        ("notify:@bob:", ErrorCode::InvalidSyntax),
        ("notify:@bob:@alice:v", ErrorCode::InvalidSyntax),
        ("notify:@bob:k@:v", ErrorCode::InvalidSyntax),
        ("notify:@:k@alice:v", ErrorCode::InvalidSyntax),
        ("notify:bob:k@alice:v", ErrorCode::InvalidSyntax),
        ("notify:remind:@bob:k@alice:v", ErrorCode::InvalidSyntax),
        ("notify:id:a b:@bob:k@alice:v", ErrorCode::InvalidSyntax),
        ("notify:priority:odd:@bob:k@alice:v", ErrorCode::InvalidSyntax),
        ("notify:ttln:-1:@bob:k@alice:v", ErrorCode::InvalidSyntax),
        ("notify:latestN:x:@bob:k@alice:v", ErrorCode::InvalidSyntax),
        ("notify:strategy:latest:@bob:k@alice:v", ErrorCode::InvalidSyntax),
        ("notify:@bob:a,b@alice:v", ErrorCode::InvalidKey),
        ("notify:@b!ob:k@alice:v", ErrorCode::InternalException),
    ] {
        assert_eq!(self::code(line), Some(code), "{line}");
    }
    let long = "x".repeat(crate::limits::NOTIFIER_BYTES_MAX + 1);
    let long = format!("notify:notifier:{long}:@bob:k@alice:v");
    assert_eq!(self::code(&long), Some(ErrorCode::InvalidSyntax));
    let error = parse("notify:strategy:latest:@bob:k@alice:v").unwrap_err();
    assert_eq!(error.message(), "For Strategy latest, notifier cannot be null");
}

#[test]
fn a_peers_line_is_a_notification_like_any_other() {
    let line = "notify:id:5f0c:update:messageType:key:notifier:system:ttln:900000:ttr:60:ccd:null:\
                isEncrypted:true:ivNonce:a+/=:@alice:phone.wavi@bob:+44";
    let delivery = notify(line);
    assert_eq!(delivery.subject(&name("bob")).unwrap(), "@alice:phone.wavi@bob");
    assert_eq!((delivery.patch.ttr, delivery.patch.ccd), (Some(60), None));
    assert_eq!(delivery.patch.iv_nonce, Some(Patch::Set("a+/=".into())));
}

#[test]
fn a_notification_is_asked_after_by_its_id() {
    for (line, command) in [
        ("notify:status:a-1", Command::NotifyStatus { id: "a-1".into() }),
        ("notify:fetch:A1", Command::NotifyFetch { id: "A1".into() }),
        ("notify:remove:a_1", Command::NotifyRemove { id: "a_1".into() }),
    ] {
        assert_eq!(parse(line), Ok(command));
    }
    let long = format!("notify:fetch:{}", "x".repeat(NOTIFICATION_ID_BYTES_MAX + 1));
    for line in ["notify:status", "notify:status:", "notify:remove:a b", &long] {
        assert_eq!(code(line), Some(ErrorCode::InvalidSyntax), "{line}");
    }
}

#[test]
fn a_list_may_be_narrowed_by_days_and_a_regular_expression() {
    // Checklist 171.
    let day = |text| Timestamp::from_day(text);
    let list = |from: Option<Timestamp>, to: Option<Timestamp>, regex: Option<&str>| NotifyList {
        from,
        before: to.map(|to| to.plus_millis(86_400_000)),
        regex: regex.map(str::to_owned),
    };
    let (first, last) = (day("2024-10-01"), day("2024-10-31"));
    for (line, expected) in [
        ("notify:list", list(None, None, None)),
        ("notify:list:.wavi", list(None, None, Some(".wavi"))),
        ("notify:list .wavi", list(None, None, Some(".wavi"))),
        ("notify:list:2024-10-01", list(first, None, None)),
        ("notify:list:2024-10-1:2024-10-31", list(first, last, None)),
        ("notify:list:2024-10-01:2024-10-01", list(first, first, None)),
        ("notify:list:2024-10-01:2024-10-31:@bob", list(first, last, Some("@bob"))),
    ] {
        assert_eq!(parse(line), Ok(Command::NotifyList(expected)), "{line}");
    }
    for (line, text) in [
        ("notify:list:2024-10-02:2024-10-01", "ToDate cannot be less than FromDate"),
        ("notify:list:2024-13-01", "Invalid date format"),
        ("notify:list:2024-10-", "Invalid date format"),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!((error.code(), error.message().as_str()), (ErrorCode::IllegalArguments, text));
    }
    assert_eq!(code("notify:list:a:b"), Some(ErrorCode::InvalidSyntax));
}
