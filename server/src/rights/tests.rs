#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn rights(json: &str) -> Rights {
    Rights::Granted(Arc::new(Grant {
        id: EnrollmentId::parse("e-1").unwrap(),
        namespaces: serde_json::from_str(json).unwrap(),
        ends: None,
    }))
}

/// `""`, `"r"` or `"rw"`.
fn access(rights: &Rights, name: &str) -> &'static str {
    match (rights.may_read(name), rights.may_write(name)) {
        (true, true) => "rw",
        (true, false) => "r",
        (false, false) => "",
        (false, true) => unreachable!("{name} may be written and not read"),
    }
}

#[test]
fn without_an_enrolment_everything_is_allowed() {
    let rights = Rights::Everything;
    for name in ["x@alice", "privatekey:at_secret", "e.new.enrollments.__manage@alice"] {
        assert_eq!(access(&rights, name), "rw");
        assert!(rights.sees(name));
    }
    assert!(rights.may_manage() && rights.sees_enrolments());
}

#[test]
fn s209_s210_a_namespace_is_the_last_word_or_the_last_words() {
    let rights = rights(r#"{"wavi":"r","buzz":"rw","orders.shop":"rw","big":"r","in.big":"rw"}"#);
    for (name, expected) in [
        ("x.wavi@alice", "r"),
        ("@bob:x.wavi@alice", "r"),
        ("@alice:x.wavi@alice", "r"),
        ("cached:@alice:x.wavi@bob", "r"),
        ("_x.wavi@alice", "r"),
        ("x.buzz@alice", "rw"),
        ("x.fizz@alice", ""),
        ("xwavi@alice", ""),
        ("x.mywavi@alice", ""),
        ("wavi@alice", ""),
        ("x.wavi.fizz@alice", ""),
        ("x@wavi", ""),
        ("a.orders.shop@alice", "rw"),
        ("a.b.orders.shop@alice", "rw"),
        ("a.shop@alice", ""),
        ("orders.shop@alice", ""),
        ("a.myorders.shop@alice", ""),
        // The last word decides before the last words do.
        ("a.in.big@alice", "r"),
        ("phone@alice", ""),
        ("@bob:phone@alice", ""),
    ] {
        assert_eq!(access(&rights, name), expected, "{name}");
        assert_eq!(rights.sees(name), !expected.is_empty(), "{name}");
    }
}

#[test]
fn what_is_public_may_be_read_and_not_written() {
    let rights = rights(r#"{"wavi":"rw"}"#);
    for name in ["public:x.buzz@alice", "public:publickey@alice", "cached:public:publickey@bob"] {
        assert_eq!(access(&rights, name), "r", "{name}");
    }
    assert_eq!(access(&rights, "public:x.wavi@alice"), "rw");
}

#[test]
fn a_star_is_for_what_nothing_else_matches() {
    let rights = rights(r#"{"*":"rw","wavi":"r"}"#);
    for (name, expected) in [
        ("x.wavi@alice", "r"),
        ("x.buzz@alice", "rw"),
        ("phone@alice", "rw"),
        ("x.*@alice", "rw"),
        ("@alice:signing_privatekey@alice", "r"),
        ("public:publickey@alice", "r"),
        ("privatekey:at_pkam_publickey", "r"),
    ] {
        assert_eq!(access(&rights, name), expected, "{name}");
    }
    assert!(rights.sees("e.new.enrollments.__manage@alice"), "no list is reduced");
    assert!(!rights.may_manage());
}

#[test]
fn the_keys_of_sharing_are_open_to_all() {
    let rights = rights("{}");
    for name in [
        "@bob:shared_key@alice",
        "shared_key.bob@alice",
        "shared_key.bob.until.1727786096789@alice",
        "cached:@alice:shared_key@bob",
    ] {
        assert_eq!(access(&rights, name), "rw", "{name}");
    }
    for name in [
        "shared_key@alice",
        "public:shared_key.bob@alice",
        "shared_key.x.buzz@alice",
        "@bob:shared_key.buzz@alice",
        "shared_key.bob.until.x.buzz@alice",
        "my.shared_key@alice",
    ] {
        assert!(!rights.may_write(name), "{name}");
    }
}

#[test]
fn names_that_lead_to_all_rights_take_all_rights() {
    let ways = [
        "privatekey:at_pkam_publickey",
        "privatekey:at_secret",
        "public:publickey@alice",
        "public:signing_publickey@alice",
        "@alice:signing_privatekey@alice",
    ];
    for (json, may) in [
        (r#"{"wavi":"rw"}"#, false),
        (r#"{"*":"rw"}"#, false),
        (r#"{"*":"r","__manage":"rw"}"#, false),
        (r#"{"*":"rw","__manage":"r"}"#, false),
        (r#"{"__manage":"rw"}"#, false),
        (r#"{"__manage":"rw","*":"rw"}"#, true),
    ] {
        for name in ways {
            assert_eq!(rights(json).may_write(name), may, "{json}: {name}");
        }
    }
    assert!(!rights(r#"{"wavi":"rw"}"#).may_read("@alice:signing_privatekey@alice"));
}

#[test]
fn s212_what_enrolments_rest_on_is_reached_by_no_other_verb() {
    let rights = rights(r#"{"*":"rw","__manage":"rw","__self_keys.__global":"rw"}"#);
    for name in [
        "e-1.new.enrollments.__manage@alice",
        "e-1.default_enc_private_key.__manage@alice",
        "x.__manage@alice",
        "@bob:x.__manage@alice",
        "a.d.k.__self_keys.wavi@alice",
        "private:abc.__otp@alice",
    ] {
        assert_eq!(access(&rights, name), "", "{name}");
    }
    for name in ["public:a.d.pkam.__pkams.__public_keys@alice", "public:k.__public_keys.x@alice"] {
        assert_eq!(access(&rights, name), "r", "{name}");
    }
}

#[test]
fn who_may_manage_needs_that_namespace_for_writing() {
    for (json, sees, may) in [
        (r#"{"__manage":"rw"}"#, true, true),
        (r#"{"__manage":"r"}"#, true, false),
        (r#"{"*":"rw"}"#, false, false),
        (r#"{"x.__manage":"rw"}"#, false, false),
    ] {
        let rights = rights(json);
        assert_eq!((rights.sees_enrolments(), rights.may_manage()), (sees, may), "{json}");
    }
}

#[test]
fn a_refusal_says_who_may_not_do_what() {
    let refusal = rights(r#"{"wavi":"r"}"#).check(Deed::Update, "x.wavi@alice").unwrap_err();
    let text = "Connection with enrollment ID e-1 is not authorized to update key: x.wavi@alice";
    assert_eq!((refusal.fault.code, &*refusal.fault.message), (ErrorCode::Unauthorized, text));
    assert!(!refusal.closes);
    let text = |json: &str| {
        rights(json).check_message(Deed::Notify, MessageType::Text, "@bob:x.wavi@alice")
    };
    assert!(text(r#"{"wavi":"rw"}"#).is_err(), "a text is in no namespace");
    assert!(text(r#"{"*":"rw"}"#).is_ok());
}

proptest! {
    #[test]
    fn no_name_gives_a_narrow_enrolment_more_than_it_has(
        scope in prop::sample::select(vec!["", "@bob:", "@alice:", "cached:@alice:", "public:"]),
        words in prop::collection::vec("[a-z_]{1,8}", 1..4),
        last in prop::sample::select(vec!["buzz", "wavi", "__manage", "shop", "__otp"]),
    ) {
        let rights = rights(r#"{"wavi":"rw","orders.shop":"rw"}"#);
        let entity = format!("{}.{last}", words.join("."));
        let name = format!("{scope}{entity}@alice");
        let is_granted = last == "wavi" || entity.ends_with(".orders.shop");
        let is_sharing = scope.is_empty() && words == ["shared_key"];
        prop_assert_eq!(rights.may_write(&name), (is_granted && !keys::is_managed(&entity)) || is_sharing);
        prop_assert_eq!(rights.sees(&name), rights.may_read(&name));
        prop_assert!(!rights.may_write(&name) || rights.may_read(&name));
    }

    #[test]
    fn any_text_is_looked_at(name in ".{0,40}") {
        let narrow = rights("{}");
        let is_open = is_public(&name) || name.contains("shared_key");
        prop_assert!(is_open || !narrow.may_read(&name));
    }
}
