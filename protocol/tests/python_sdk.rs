//! Every kind of command that the Python SDK's builders produce, as they produce it, is understood.

#![allow(clippy::unwrap_used, clippy::panic)]

use protocol::metadata::Patch;
use protocol::verb::{Command, Operation, Projection, Verb, VerbError};
use protocol::{AtSign, ErrorCode, KeyKind, Timestamp};

const NONCE: &str = "8PHy8/T19vf4+fr7/P3+/w==";

fn parse(line: &str) -> Result<Command, VerbError> {
    let verb = Verb::select(line).unwrap_or_else(|| panic!("no verb for {line:?}"));
    Command::parse(verb, line)
}

fn name(text: &str) -> AtSign {
    AtSign::parse(text).unwrap()
}

#[test]
fn activation_and_authentication_are_understood() {
    for line in [
        "from:@alice",
        "cram:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca7",
        "pkam:Qk1x+/8dGVzdA==",
        "update:privatekey:at_pkam_publickey MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A+/==",
        "update:public:publickey@alice MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A+/==",
        "delete:privatekey:at_secret",
        "noop:0",
    ] {
        assert!(parse(line).is_ok(), "{line}");
    }
}

#[test]
fn updates_carry_their_metadata_in_the_sdks_order() {
    let line = format!(
        "update:ttl:1000:ttln:7:ttb:5:ttr:86400:ccd:True:dataSignature:aB+/==:isEncrypted:true:\
         ivNonce:{NONCE}:@bob:phone.wavi@alice cipher+/="
    );
    let Ok(Command::Update(update)) = parse(&line) else { panic!("{line}") };
    assert_eq!(
        (update.key.as_str(), update.value.as_str()),
        ("@bob:phone.wavi@alice", "cipher+/=")
    );
    let patch = update.patch;
    assert_eq!((patch.ttl, patch.ttb, patch.ttr), (Some(1000), Some(5), Some(86_400)));
    assert_eq!((patch.ccd, patch.is_encrypted, patch.is_binary), (Some(true), Some(true), None));
    assert_eq!(patch.data_signature, Some(Patch::Set("aB+/==".into())));
    assert_eq!(patch.iv_nonce, Some(Patch::Set(NONCE.into())));
    for (line, key, value) in [
        (
            "update:dataSignature:s+/=:public:loc@alice Hello World",
            "public:loc@alice",
            "Hello World",
        ),
        (
            "update:sharedKeyEnc:x:pubKeyCS:y:isBinary:true:isEncrypted:true:encoding:base64:\
             ivNonce:AAAAAAAAAAAAAAAAAAAAAA==:note@alice c",
            "note@alice",
            "c",
        ),
        ("update:shared_key.bob@alice Zm9v", "shared_key.bob@alice", "Zm9v"),
        ("update:ttr:86400000:@bob:shared_key@alice Zm9v", "@bob:shared_key@alice", "Zm9v"),
        ("update:_public:__hid@alice v", "public:__hid@alice", "v"),
    ] {
        let Ok(Command::Update(update)) = parse(line) else { panic!("{line}") };
        assert_eq!((update.key.as_str(), update.value.as_str()), (key, value), "{line}");
    }
}

#[test]
fn an_update_of_a_cached_key_is_understood_and_refused() {
    for line in ["update:ttr:5:ccd:True:cached:@bob:x@alice c", "update:cached:public:x@alice c"] {
        assert_eq!(parse(line).unwrap_err().code(), ErrorCode::InvalidKey, "{line}");
    }
}

#[test]
fn lookups_scans_and_deletions_are_understood() {
    for (line, key, projection) in [
        ("llookup:shared_key.bob@alice", "shared_key.bob@alice", Projection::Value),
        ("llookup:all:@bob:phone.wavi@alice", "@bob:phone.wavi@alice", Projection::All),
        (
            "llookup:meta:cached:@bob:phone.wavi@alice",
            "cached:@bob:phone.wavi@alice",
            Projection::Meta,
        ),
        ("llookup:all:public:loc@alice", "public:loc@alice", Projection::All),
        ("llookup:all:_public:__hid@alice", "public:__hid@alice", Projection::All),
    ] {
        let Ok(Command::Llookup(llookup)) = parse(line) else { panic!("{line}") };
        assert_eq!((llookup.key.as_str(), llookup.projection), (key, projection), "{line}");
    }
    for (line, bypass) in [
        ("lookup:all:phone.wavi@bob", false),
        ("lookup:meta:phone.wavi@bob", false),
        ("lookup:shared_key@bob", false),
        ("plookup:publickey@bob", false),
        ("plookup:bypassCache:true:loc@bob", true),
        ("plookup:bypassCache:true:all:loc@bob", true),
    ] {
        let (owner, bypass_cache) = match parse(line) {
            Ok(Command::Lookup(lookup)) => (lookup.owner, lookup.bypass_cache),
            Ok(Command::Plookup(plookup)) => (plookup.owner, plookup.bypass_cache),
            other => panic!("{line} gives {other:?}"),
        };
        assert_eq!((owner, bypass_cache), (name("bob"), bypass), "{line}");
    }
    for line in ["delete:public:loc@alice", "delete:note@alice", "delete:cached:@bob:x.y@alice"] {
        assert!(matches!(parse(line), Ok(Command::Delete(_))), "{line}");
    }
    let Ok(Command::Scan(scan)) = parse("scan:showHidden:true wavi") else { panic!() };
    assert_eq!((scan.show_hidden, scan.regex.as_deref()), (true, Some("wavi")));
    let Ok(Command::Scan(scan)) = parse("scan:@bob") else { panic!() };
    assert_eq!(scan.of, Some(name("bob")));
}

#[test]
fn notifications_are_understood_with_and_without_an_operation() {
    for (word, operation) in
        [("update", Operation::Update), ("delete", Operation::Delete), ("", Operation::Update)]
    {
        let line = format!(
            "notify:id:1b671a64-40d5-491e-99b0-da01ff1f3341:{word}:ttl:1000:ttln:7:ttb:5:\
             ttr:86400:ccd:True:dataSignature:aB+/==:isEncrypted:true:ivNonce:{NONCE}:\
             @bob:phone.wavi@alice:val:ue@x"
        );
        let Ok(Command::Notify(notify)) = parse(&line) else { panic!("{line}") };
        assert_eq!(notify.id.as_deref(), Some("1b671a64-40d5-491e-99b0-da01ff1f3341"));
        assert_eq!((notify.operation, notify.ttln), (operation, Some(7)));
        assert_eq!(notify.value(), Some("val:ue@x"));
        let key = notify.key(&name("alice")).unwrap().unwrap();
        assert_eq!((key.as_str(), key.kind()), ("@bob:phone.wavi@alice", KeyKind::Shared));
        assert_eq!(notify.patch.iv_nonce, Some(Patch::Set(NONCE.into())));
    }
    let without_id = "notify:id:None:update:isEncrypted:true:@bob:phone.wavi@alice:v";
    assert!(matches!(parse(without_id), Ok(Command::Notify(_))));
}

#[test]
fn a_monitor_is_understood() {
    for (line, since, regex) in
        [("monitor:0 .*", 0, ".*"), ("monitor:17 @bob:\\S+", 17, "@bob:\\S+")]
    {
        let Ok(Command::Monitor(monitor)) = parse(line) else { panic!("{line}") };
        assert_eq!(monitor.since, Some(Timestamp(since)));
        assert_eq!(monitor.regex.as_deref(), Some(regex));
    }
}
