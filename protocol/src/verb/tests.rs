#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::response::ErrorShape;
use crate::{AtSign, ErrorCode, Patch, Timestamp};

fn parse(line: &str) -> Result<Command, VerbError> {
    let verb = Verb::select(line).unwrap_or_else(|| panic!("no verb for {line:?}"));
    Command::parse(verb, line)
}

fn name(text: &str) -> AtSign {
    AtSign::parse(text).unwrap()
}

/// The code of the error that a line gives.
fn code(line: &str) -> Option<ErrorCode> {
    parse(line).err().map(|error| error.code())
}

fn message(line: &str) -> String {
    parse(line).unwrap_err().message()
}

macro_rules! parsed {
    ($line:expr, $variant:ident) => {
        match parse($line) {
            Ok(Command::$variant(command)) => command,
            other => panic!("{:?} gives {other:?}", $line),
        }
    };
}

#[test]
fn the_first_word_chooses_the_verb() {
    // Checklist 22, 23, 32, 159.
    for (line, verb) in [
        ("from:@alice", Some(Verb::From)),
        ("  FROM:alice\r", Some(Verb::From)),
        ("f r o m:alice", Some(Verb::From)),
        ("cram:x", Some(Verb::Cram)),
        ("pkam:x", Some(Verb::Pkam)),
        ("pol", Some(Verb::Pol)),
        ("POL", Some(Verb::Pol)),
        ("pol:", None),
        ("update:x@alice v", Some(Verb::Update)),
        ("update:ttl:1:meta@alice v", Some(Verb::Update)),
        ("update:meta:x@alice:ttl:1", Some(Verb::UpdateMeta)),
        ("Update:META:x@alice:ttl:1", Some(Verb::UpdateMeta)),
        ("update:json:{}", Some(Verb::Update)),
        ("update x", None),
        ("llookup:x@alice", Some(Verb::Llookup)),
        ("plookup:x@alice", Some(Verb::Plookup)),
        ("lookup:x@alice", Some(Verb::Lookup)),
        ("scan", Some(Verb::Scan)),
        ("SCAN", Some(Verb::Scan)),
        ("Scan:showHidden:true x", Some(Verb::Scan)),
        ("scan @bob:x", Some(Verb::Scan)),
        ("scanner", None),
        ("delete:x@alice", Some(Verb::Delete)),
        ("sync:from:-1:limit:5", Some(Verb::SyncFrom)),
        ("Sync:From", Some(Verb::SyncFrom)),
        ("sync:5", None),
        ("deete:x@alice", None),
        ("notify:@bob:x@alice", Some(Verb::Notify)),
        ("notify:list", Some(Verb::NotifyList)),
        ("notify:list:.wavi", Some(Verb::NotifyList)),
        ("notify:list .wavi", Some(Verb::NotifyList)),
        ("notify:status:1", Some(Verb::NotifyStatus)),
        ("notify:fetch:1", Some(Verb::NotifyFetch)),
        ("notify:remove:1", Some(Verb::NotifyRemove)),
        ("notify:all:@bob:x", Some(Verb::NotifyAll)),
        ("monitor", Some(Verb::Monitor)),
        ("Monitor:0 .*", Some(Verb::Monitor)),
        ("monitor @bob:x", Some(Verb::Monitor)),
        ("info", Some(Verb::Info)),
        ("info:brief", Some(Verb::Info)),
        ("info:long", None),
        ("noop:0", Some(Verb::Noop)),
        ("noop", None),
        ("config:block:show", Some(Verb::Config)),
        ("batch:[]", Some(Verb::Batch)),
        ("stats", Some(Verb::Stats)),
        ("Stats:3", Some(Verb::Stats)),
        ("stats 3", None),
        ("enroll:list", Some(Verb::Enroll)),
        ("Enroll:request:{}", Some(Verb::Enroll)),
        ("otp:get", Some(Verb::Otp)),
        ("keys:get:self", Some(Verb::Keys)),
        ("enroll", None),
        ("sync:5", None),
        ("", None),
        ("@exit", None),
        (":", None),
    ] {
        assert_eq!(Verb::select(line), verb, "{line:?}");
    }
}

#[test]
fn only_some_verbs_are_the_owners_alone() {
    // Checklist 33, 82.
    for verb in [
        Verb::Update,
        Verb::UpdateMeta,
        Verb::Llookup,
        Verb::Plookup,
        Verb::Delete,
        Verb::Stats,
        Verb::Config,
        Verb::Batch,
        Verb::NotifyAll,
        Verb::SyncFrom,
        Verb::NotifyStatus,
        Verb::NotifyFetch,
        Verb::NotifyRemove,
        Verb::Monitor,
        Verb::Otp,
        Verb::Keys,
    ] {
        assert!(verb.needs_owner(), "{verb:?}");
    }
    for verb in [
        Verb::From,
        Verb::Cram,
        Verb::Pkam,
        Verb::Pol,
        Verb::Lookup,
        Verb::Scan,
        Verb::Notify,
        Verb::NotifyList,
        Verb::Info,
        Verb::Noop,
        Verb::Enroll,
    ] {
        assert!(!verb.needs_owner(), "{verb:?}");
    }
}

#[test]
fn from_names_an_identity_with_or_without_at() {
    // Checklist 21, 57, 58.
    for line in ["from:@alice", "from:alice", "from:@ALICE", "from:@al.ice\r", " from:alice "] {
        assert_eq!(parsed!(line, From).name, name("alice"), "{line:?}");
    }
    for line in ["from:", "from:@", "from:@a@b", "from:a b", "from:alice:x", "from:@alice:"] {
        assert_eq!(code(line), Some(ErrorCode::InvalidSyntax), "{line:?}");
    }
    let error = parse("from:@a!b").unwrap_err();
    assert_eq!((error.code(), error.closes()), (ErrorCode::InternalException, true));
}

#[test]
fn the_clients_version_decides_how_errors_look() {
    // Checklist 40 to 43, 59.
    for (config, shape) in [
        ("{\"version\":\"3.0.38\"}", ErrorShape::Json),
        ("{\"version\":\"3.1.0\"}", ErrorShape::Json),
        ("{\"version\":\"4.0.0-beta.1\"}", ErrorShape::Json),
        ("{\"version\":\"3.0.37\"}", ErrorShape::Classic),
        ("{\"version\":\"3.0.9\"}", ErrorShape::Classic),
        ("{\"version\":\"new\"}", ErrorShape::Classic),
        ("{\"version\":38}", ErrorShape::Classic),
        ("{\"appName\":\"a:b\"}", ErrorShape::Classic),
    ] {
        let from = parsed!(&format!("from:@alice:clientConfig:{config}"), From);
        assert_eq!((from.name, from.error_shape), (name("alice"), shape), "{config}");
    }
    let broken = parse("from:@alice:clientConfig:{").unwrap_err();
    assert_eq!((broken.code(), broken.closes()), (ErrorCode::InternalException, false));
}

#[test]
fn a_signature_may_name_its_algorithms_and_its_enrolment() {
    // Checklist 66, 67.
    let plain = |signature: &str| Pkam {
        signing_algo: SigningAlgo::Rsa2048,
        hashing_algo: HashingAlgo::Sha256,
        enrollment_id: None,
        signature: signature.to_owned(),
    };
    for (line, pkam) in [
        ("pkam:aB+/=", plain("aB+/=")),
        ("pkam:signingAlgo:rsa2048:hashingAlgo:sha256:s", plain("s")),
        (
            "pkam:signingAlgo:ecc_secp256r1:hashingAlgo:sha512:s",
            Pkam {
                signing_algo: SigningAlgo::EccSecp256r1,
                hashing_algo: HashingAlgo::Sha512,
                ..plain("s")
            },
        ),
        (
            "pkam:enrollmentId:17:s",
            Pkam { enrollment_id: crate::EnrollmentId::parse("17"), ..plain("s") },
        ),
        ("pkam:signingAlgo:rsa2047:s", plain("signingAlgo:rsa2047:s")),
        ("pkam:enrollmentId:17", plain("enrollmentId:17")),
    ] {
        assert_eq!(parsed!(line, Pkam), pkam, "{line}");
    }
    assert_eq!(parse("cram:ab01"), Ok(Command::Cram { digest: "ab01".into() }));
    let unknown = parse("pkam:enrollmentId:1:7:s").unwrap_err();
    assert_eq!(unknown, VerbError::NoEnrollment("1:7".into()));
    for line in ["pkam:", "cram:", "pkam:enrollmentId:17:"] {
        assert_eq!(code(line), Some(ErrorCode::InvalidSyntax), "{line}");
    }
    assert_eq!(parse("pol"), Ok(Command::Pol));
}

#[test]
fn update_takes_metadata_a_key_and_everything_behind_one_blank() {
    // Checklist 39, 64, 86 to 88, 94, 96, 113, 114, 162.
    for (line, key, value) in [
        ("update:x@alice v", "x@alice", "v"),
        ("update:x@alice  v", "x@alice", " v"),
        ("update:Phone.Wavi@ALICE A b:c@d \"e\" ~NL~", "phone.wavi@alice", "A b:c@d \"e\" ~NL~"),
        ("update:public:🦄🦄@al.ice a\u{2028}b", "public:🦄🦄@alice", "a\u{2028}b"),
        ("update:@bob:phone@alice 日本", "@bob:phone@alice", "日本"),
        ("update:ttl:60000:@bob:p.wavi@alice +1 555", "@bob:p.wavi@alice", "+1 555"),
        ("update:hash:x:algo:y:ccd:True:ttr:5:TTL:1:x@alice v", "x@alice", "v"),
        ("update:privatekey:at_pkam_publickey MIIB", "privatekey:at_pkam_publickey", "MIIB"),
        ("update:encoding:public:x@alice v", "x@alice", "v"),
        ("update:ttl@alice v", "ttl@alice", "v"),
        ("update:_hidden@alice v", "_hidden@alice", "v"),
    ] {
        let update = parsed!(line, Update);
        assert_eq!((update.key.as_str(), update.value.as_str()), (key, value), "{line}");
        assert_eq!(update.check_owner(&name("alice")), Ok(()));
    }
}

#[test]
fn update_refuses_what_is_wrong_with_the_right_code() {
    // Checklist 89 to 93, 95, 98, 103, 104.
    let long = format!("update:{}@alice v", "x".repeat(243));
    for (line, code) in [
        ("update:x@alice", ErrorCode::InvalidSyntax),
        ("update:x@alice ", ErrorCode::InvalidSyntax),
        ("update: v", ErrorCode::InvalidSyntax),
        ("update:@alice v", ErrorCode::InvalidSyntax),
        ("update:public:@bob:x@alice v", ErrorCode::InvalidSyntax),
        ("update:x@alice@alice v", ErrorCode::InvalidSyntax),
        ("update:@:x@alice v", ErrorCode::InvalidSyntax),
        ("update:ttl:-1:x@alice v", ErrorCode::InvalidSyntax),
        ("update:ttl:a:x@alice v", ErrorCode::InvalidSyntax),
        ("update:ttr:-2:x@alice v", ErrorCode::InvalidSyntax),
        ("update:nosuch:1:x@alice v", ErrorCode::InvalidSyntax),
        ("update:private:x@alice v", ErrorCode::InvalidSyntax),
        ("update:privatekey:at_secret v", ErrorCode::InvalidSyntax),
        ("update:country,current@alice v", ErrorCode::InvalidKey),
        ("update:cached:@bob:x@alice v", ErrorCode::InvalidKey),
        ("update:cached:public:x@alice v", ErrorCode::InvalidKey),
        ("update:phone v", ErrorCode::InvalidKey),
        (long.as_str(), ErrorCode::InvalidKey),
        ("update:x@a!b v", ErrorCode::InternalException),
    ] {
        assert_eq!(self::code(line), Some(code), "{line}");
    }
    assert_eq!(message(&long), "key length 249 is greater than max allowed 248 chars");
    assert_eq!(
        message("update:country,current@alice v"),
        "You may not update keys of type KeyType.invalidKey"
    );
    assert_eq!(
        message("update:cached:@bob:x@alice v"),
        "You may not update keys of type KeyType.cachedSharedKey"
    );
    assert_eq!(
        parsed!("update:phone@bob x", Update).check_owner(&name("alice")).unwrap_err().message(),
        "Invalid update command - sharedBy atsign @bob should be same as current atsign @alice"
    );
}

#[test]
fn update_may_come_as_json() {
    // Checklist 110.
    let update = parsed!(
        "update:json:{\"atKey\":\"Phone.wavi\",\"value\":\"x y\",\"sharedBy\":\"@alice\",\
         \"sharedWith\":\"@bob\",\"metadata\":{\"ttl\":5,\"isPublic\":false,\"isBinary\":false,\
         \"isEncrypted\":true,\"ivNonce\":\"a+/=\",\"encoding\":null,\"isHidden\":false}}",
        Update
    );
    assert_eq!((update.key.as_str(), update.value.as_str()), ("@bob:phone.wavi@alice", "x y"));
    assert_eq!((update.patch.ttl, update.patch.is_encrypted), (Some(5), Some(true)));
    assert_eq!(update.patch.iv_nonce, Some(Patch::Set("a+/=".into())));
    let public = "update:json:{\"atKey\":\"x\",\"value\":1,\"sharedBy\":\"alice\",\
                  \"metadata\":{\"isPublic\":true}}";
    assert_eq!(parsed!(public, Update).key.as_str(), "public:x@alice");
    for (json, code) in [
        ("{", ErrorCode::InternalException),
        ("{\"value\":\"x\"}", ErrorCode::InternalException),
        ("{\"atKey\":\"x\",\"value\":{},\"sharedBy\":\"@alice\"}", ErrorCode::InternalException),
        ("{\"atKey\":\"x\",\"value\":\"a\\nb\",\"sharedBy\":\"@alice\"}", ErrorCode::InvalidSyntax),
        ("{\"atKey\":\"x@alice\",\"value\":\"v\",\"sharedBy\":\"@bob\"}", ErrorCode::InvalidSyntax),
        (
            "{\"atKey\":\"x\",\"value\":\"v\",\"sharedBy\":\"@alice\",\"metadata\":{\"ttl\":-1}}",
            ErrorCode::InvalidSyntax,
        ),
        (
            "{\"atKey\":\"x\",\"value\":\"v\",\"sharedBy\":\"@bob\",\
             \"metadata\":{\"isCached\":true,\"isPublic\":true}}",
            ErrorCode::InvalidKey,
        ),
    ] {
        assert_eq!(self::code(&format!("update:json:{json}")), Some(code), "{json}");
    }
}

#[test]
fn update_meta_takes_its_metadata_behind_the_key() {
    // Checklist 109.
    let update = parsed!("update:meta:@bob:phone.wavi@alice:ttr:86400:ccd:true", UpdateMeta);
    assert_eq!(update.key.as_str(), "@bob:phone.wavi@alice");
    assert_eq!((update.patch.ttr, update.patch.ccd), (Some(86_400), Some(true)));
    let update = parsed!("update:meta:public:x@alice:isEncrypted:False:ttl:0", UpdateMeta);
    assert_eq!((update.key.as_str(), update.patch.ttl), ("public:x@alice", Some(0)));
    assert!(update.check_owner(&name("bob")).is_err());
    parsed!("update:meta:x@alice", UpdateMeta);
    for line in [
        "update:meta:x",
        "update:meta:@alice:ttl:1",
        "update:meta:x@alice:ttl",
        "update:meta:x@alice:nosuch:1",
        "update:meta:x@alice:ttl:1:",
        "update:meta:a@b@alice:ttl:1",
    ] {
        assert_eq!(code(line), Some(ErrorCode::InvalidSyntax), "{line}");
    }
    assert_eq!(code("update:meta:cached:public:x@alice:ttl:1"), Some(ErrorCode::InvalidKey));
}

#[test]
fn llookup_names_exactly_one_key() {
    for (line, key, projection) in [
        ("llookup:phone.wavi@alice", "phone.wavi@alice", Projection::Value),
        ("llookup:meta:@bob:x@alice", "@bob:x@alice", Projection::Meta),
        ("llookup:all:public:X@alice", "public:x@alice", Projection::All),
        ("llookup:cached:@alice:x@bob", "cached:@alice:x@bob", Projection::Value),
        ("llookup:all:cached:public:x@bob", "cached:public:x@bob", Projection::All),
        ("llookup:all@alice", "all@alice", Projection::Value),
        ("llookup:all:_public:__hid@alice", "public:__hid@alice", Projection::All),
        ("llookup:_cached:public:_hid@bob", "cached:public:_hid@bob", Projection::Value),
        ("llookup:shared_key.bob@alice", "shared_key.bob@alice", Projection::Value),
    ] {
        let llookup = parsed!(line, Llookup);
        assert_eq!((llookup.key.as_str(), llookup.projection), (key, projection), "{line}");
    }
    for (line, code) in [
        ("llookup:x", ErrorCode::InvalidSyntax),
        ("llookup:@alice", ErrorCode::InvalidSyntax),
        ("llookup:x@", ErrorCode::InvalidSyntax),
        ("llookup:a@b@alice", ErrorCode::InvalidSyntax),
        ("llookup:privatekey:at_secret", ErrorCode::InvalidSyntax),
        ("llookup:a,b@alice", ErrorCode::KeyNotFound),
        ("llookup:@bob:a,b@alice", ErrorCode::KeyNotFound),
        ("llookup:private:x@alice", ErrorCode::KeyNotFound),
        ("llookup:private:blocklist@alice", ErrorCode::KeyNotFound),
        ("llookup:private:@bob:x@alice", ErrorCode::InvalidSyntax),
        ("llookup:local:x@alice", ErrorCode::KeyNotFound),
        ("llookup:_public:x@alice", ErrorCode::KeyNotFound),
    ] {
        assert_eq!(self::code(line), Some(code), "{line}");
    }
    assert_eq!(message("llookup:a,b@alice"), "a,b@alice does not exist in keystore");
}

#[test]
fn lookup_and_plookup_name_what_and_whose() {
    // Checklist 115 to 117, 126.
    let lookup = parsed!("lookup:bypassCache:true:all:Phone.Wavi@BOB", Lookup);
    assert_eq!((lookup.entity.as_str(), lookup.owner), ("phone.wavi", name("bob")));
    assert_eq!((lookup.projection, lookup.bypass_cache), (Projection::All, true));
    for line in ["lookup:x@alice", "lookup:bypassCache:false:x@alice"] {
        let lookup = parsed!(line, Lookup);
        assert_eq!((lookup.projection, lookup.bypass_cache), (Projection::Value, false));
    }
    assert_eq!(parsed!("lookup:_9c2f-1@alice", Lookup).entity.as_str(), "_9c2f-1");
    let plookup = parsed!("plookup:bypassCache:TRUE:meta:location@bob", Plookup);
    assert_eq!((plookup.projection, plookup.bypass_cache), (Projection::Meta, true));
    assert_eq!((plookup.entity.as_str(), plookup.owner), ("location", name("bob")));
    for (line, code) in [
        ("lookup:x", ErrorCode::InvalidSyntax),
        ("lookup:@alice", ErrorCode::InvalidSyntax),
        ("lookup:all:@alice", ErrorCode::InvalidSyntax),
        ("lookup:x@", ErrorCode::InvalidSyntax),
        ("lookup::x@alice", ErrorCode::InvalidSyntax),
        ("lookup:bypassCache:maybe:x@alice", ErrorCode::InvalidSyntax),
        ("lookup:@bob:x@alice", ErrorCode::KeyNotFound),
        ("lookup:public:x@alice", ErrorCode::KeyNotFound),
        ("plookup:mobile@alice@bob", ErrorCode::InvalidSyntax),
        ("plookup:a b@bob", ErrorCode::InvalidSyntax),
        ("plookup:x", ErrorCode::InvalidSyntax),
    ] {
        assert_eq!(self::code(line), Some(code), "{line}");
    }
}

#[test]
fn scan_takes_options_and_a_regular_expression() {
    // Checklist 133, 135.
    let scan = |show_hidden, of: Option<&str>, regex: Option<&str>| Scan {
        show_hidden,
        of: of.map(name),
        regex: regex.map(str::to_owned),
    };
    for (line, expected) in [
        ("scan", scan(false, None, None)),
        ("scan ", scan(false, None, None)),
        ("scan wavi", scan(false, None, Some("wavi"))),
        ("scan .Wavi\\S\\\\S", scan(false, None, Some(".wavi\\S\\\\s"))),
        ("scan:showHidden:true .Wavi", scan(true, None, Some(".Wavi"))),
        ("scan:showhidden:false", scan(false, None, None)),
        ("scan:@bob x", scan(false, Some("bob"), Some("x"))),
        ("scan:showHidden:TRUE:@bob:page:2", scan(true, Some("bob"), None)),
        ("scan ^@bob:.*", scan(false, None, Some("^@bob:.*"))),
    ] {
        assert_eq!(parsed!(line, Scan), expected, "{line}");
    }
    let long = format!("scan {}", "x".repeat(crate::limits::REGEX_BYTES_MAX + 1));
    for line in ["scan:@bob:@carol", "scan:@bob:@carol:x"] {
        assert_eq!(code(line), Some(ErrorCode::InvalidSyntax), "{line}");
    }
    for line in ["scan:", "scan:showHidden", "scan:x:y", "scan:page:x", "scan a b", &long] {
        assert_eq!(code(line), Some(ErrorCode::InvalidSyntax), "{line}");
    }
}

#[test]
fn delete_names_one_key_and_knows_the_secret() {
    // Checklist 139, 142, 144.
    for (line, key) in [
        ("delete:X@alice", "x@alice"),
        ("delete:@bob:x@alice", "@bob:x@alice"),
        ("delete:priority:low:public:x@alice", "public:x@alice"),
        ("delete:cached:public:publickey@bob", "cached:public:publickey@bob"),
        ("delete:privatekey:at_secret", "privatekey:at_secret"),
    ] {
        let delete = parsed!(line, Delete);
        assert_eq!(delete.key.as_str(), key, "{line}");
        assert_eq!(delete.is_activation_secret(), key == "privatekey:at_secret");
        assert_eq!(delete.check_owner(&name("alice")), Ok(()));
    }
    assert!(parsed!("delete:x@bob", Delete).check_owner(&name("alice")).is_err());
    for (line, code) in [
        ("delete:", ErrorCode::InvalidSyntax),
        ("delete:priority:odd:x@alice", ErrorCode::InvalidSyntax),
        ("delete:privatekey:at_pkam_publickey", ErrorCode::InvalidSyntax),
        ("delete:x y@alice", ErrorCode::InvalidSyntax),
        ("delete:phone", ErrorCode::InvalidKey),
        ("delete:a,b@alice", ErrorCode::InvalidKey),
    ] {
        assert_eq!(self::code(line), Some(code), "{line}");
    }
}

#[test]
fn monitor_folds_its_regular_expression_where_the_command_counts_as_lower_case() {
    // Checklist 185 to 188.
    let since = |millis| Some(Timestamp(millis));
    let regex = |text: &str| Some(text.to_owned());
    for (line, expected) in [
        ("monitor", Monitor::default()),
        ("monitor .Wavi\\S", Monitor { regex: regex(".wavi\\S"), ..Monitor::default() }),
        ("monitor:0 .W", Monitor { since: since(0), regex: regex(".W"), ..Monitor::default() }),
        ("monitor @bob:x \\S", Monitor { regex: regex("@bob:x \\S"), ..Monitor::default() }),
        ("monitor:0 .*", Monitor { since: since(0), regex: regex(".*"), ..Monitor::default() }),
        (
            "monitor:strict:selfNotifications:multiplexed:1727786096789 a:b",
            Monitor {
                strict: true,
                self_notifications: true,
                multiplexed: true,
                since: since(1_727_786_096_789),
                regex: regex("a:b"),
            },
        ),
        ("MONITOR:STRICT", Monitor { strict: true, ..Monitor::default() }),
    ] {
        assert_eq!(parsed!(line, Monitor), expected, "{line}");
    }
    let long = format!("monitor {}", "x".repeat(crate::limits::REGEX_BYTES_MAX + 1));
    for line in ["monitor:", "monitor:-1", "monitor:lax", "monitor:99999999999999999999", &long] {
        assert_eq!(code(line), Some(ErrorCode::InvalidSyntax), "{line}");
    }
}

#[test]
fn info_and_noop_take_almost_nothing() {
    // Checklist 24, 195, 196.
    assert_eq!(parse("info"), Ok(Command::Info { brief: false }));
    assert_eq!(parse("info:Brief"), Ok(Command::Info { brief: true }));
    assert_eq!(parse("noop:0"), Ok(Command::Noop { millis: 0 }));
    assert_eq!(parse("noop:5000"), Ok(Command::Noop { millis: 5_000 }));
    for line in ["noop:5001", "noop:99999999999999999999999"] {
        assert_eq!(code(line), Some(ErrorCode::IllegalArguments), "{line}");
    }
    for line in ["noop:", "noop:-1", "noop:x"] {
        assert_eq!(code(line), Some(ErrorCode::InvalidSyntax), "{line}");
    }
}

#[test]
fn a_command_is_one_line() {
    for line in ["update:x@alice a\nb", "notify:@bob:x@alice:a\nnotify:@bob:y", "scan\nscan"] {
        let verb = Verb::select(line).unwrap_or(Verb::Scan);
        let error = Command::parse(verb, line).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidSyntax, "{line:?}");
    }
}

#[test]
fn an_error_text_quotes_only_so_much() {
    let line = format!("llookup:{},@alice", "x".repeat(1_000_000));
    assert!(message(&line).len() < 400);
}
