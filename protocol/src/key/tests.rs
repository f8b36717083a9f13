#![allow(clippy::unwrap_used)]

use super::*;

fn kind(text: &str) -> Option<KeyKind> {
    AtKey::parse(text).ok().map(|key| key.kind())
}

#[test]
fn every_form_of_a_key_has_its_kind() {
    for (text, expected) in [
        ("public:phone.wavi@alice", KeyKind::Public),
        ("public:__hidden@alice", KeyKind::Public),
        ("public:_9c2f-11@bob", KeyKind::Public),
        ("public:🦄🦄@alice", KeyKind::Public),
        ("phone.wavi@alice", KeyKind::SelfKey),
        ("_hidden@alice", KeyKind::SelfKey),
        ("@alice:phone@alice", KeyKind::SelfKey),
        ("a*b'c\"d-e_f@alice🛠", KeyKind::SelfKey),
        ("shared_key.bob.until.17@alice", KeyKind::SelfKey),
        ("@bob:phone.wavi@alice", KeyKind::Shared),
        ("@bob:_9c2f@alice", KeyKind::Shared),
        ("private:_9c2f-11@alice", KeyKind::Private),
        ("private:@bob:x@alice", KeyKind::Private),
        ("cached:public:publickey@bob", KeyKind::CachedPublic),
        ("cached:@alice:phone@bob", KeyKind::CachedShared),
        ("local:x@alice", KeyKind::Local),
        ("privatekey:at_secret", KeyKind::Reserved),
        ("privatekey:at_secret_deleted", KeyKind::Reserved),
        ("privatekey:at_pkam_publickey", KeyKind::Reserved),
        ("privatekey:commitLogCompactionStats", KeyKind::Reserved),
        ("configkey", KeyKind::Reserved),
        ("_internal", KeyKind::Reserved),
        ("private:blocklist@alice", KeyKind::Reserved),
        ("public:publickey@alice", KeyKind::Reserved),
        ("public:signing_publickey@alice", KeyKind::Reserved),
        ("@alice:signing_privatekey@alice", KeyKind::Reserved),
        ("@bob:shared_key@alice", KeyKind::Reserved),
        ("shared_key.bob@alice", KeyKind::Reserved),
    ] {
        assert_eq!(kind(text), Some(expected), "{text}");
    }
}

#[test]
fn what_has_no_form_of_a_key_is_none() {
    for text in [
        "",
        "@",
        "@alice",
        "phone",
        "_",
        "country,current@alice",
        "a/b@alice",
        "ümlaut@alice",
        "x@ümlaut",
        "x@al.ice",
        "x@",
        "public:@alice",
        "public:public:x@alice",
        "public:@bob:x@alice",
        "cached:x@bob",
        "cached:public:@bob",
        "cached:cached:public:x@bob",
        "@bob:@alice",
        "@:x@alice",
        "@bob@carol:x@alice",
        "x@alice@alice",
        "x:y@alice",
        "privatekey:anything",
        "privatekey:x@alice",
        "configkey2",
        "x\n@alice",
        "x\t@alice",
        // In the emoji range of the key grammar, but blanks all the same.
        "a\u{2028}b@alice",
        "a\u{3000}b@alice",
        "x@al\u{3000}ice",
    ] {
        assert_eq!(AtKey::parse(text), Err(KeyError::Invalid), "{text:?}");
    }
}

#[test]
fn a_key_is_lower_case_and_without_spaces() {
    // Checklist 94.
    let key = AtKey::parse("@Bob: Phone.Wavi @Alice").unwrap();
    assert_eq!(key.as_str(), "@bob:phone.wavi@alice");
}

#[test]
fn the_parts_of_a_key_can_be_told_apart() {
    for (text, owner, with, entity, namespace) in [
        ("phone.wavi@alice", Some("alice"), None, "phone.wavi", Some("wavi")),
        ("@bob:a.b.wavi@alice", Some("alice"), Some("bob"), "a.b.wavi", Some("wavi")),
        ("public:phone@alice", Some("alice"), None, "phone", None),
        ("cached:@alice:k.x@bob", Some("bob"), Some("alice"), "k.x", Some("x")),
        ("cached:public:k@bob", Some("bob"), None, "k", None),
        ("private:@bob:k@alice", Some("alice"), Some("bob"), "k", None),
        ("privatekey:at_secret", None, None, "at_secret", None),
        ("configkey", None, None, "configkey", None),
    ] {
        let key = AtKey::parse(text).unwrap();
        assert_eq!(key.owner().map(|n| n.bare().to_owned()).as_deref(), owner, "{text}");
        assert_eq!(key.shared_with().map(|n| n.bare().to_owned()).as_deref(), with, "{text}");
        assert_eq!((key.entity(), key.namespace()), (entity, namespace), "{text}");
        assert_eq!(key.owner().is_some_and(|name| key.is_owned_by(&name)), owner.is_some());
        assert!(!key.is_owned_by(&AtSign::parse("mallory").unwrap()));
    }
}

#[test]
fn a_key_is_built_from_its_parts() {
    let (alice, bob) = (AtSign::parse("alice").unwrap(), AtSign::parse("bob").unwrap());
    let entity = Entity::parse("Phone.Wavi").unwrap();
    let shared = AtKey::shared(&bob, &entity, &alice).unwrap();
    assert_eq!(AtKey::public(&entity, &alice).unwrap().as_str(), "public:phone.wavi@alice");
    assert_eq!(AtKey::own(&entity, &alice).unwrap().as_str(), "phone.wavi@alice");
    assert_eq!(AtKey::private(&entity, &alice).unwrap().as_str(), "private:phone.wavi@alice");
    assert_eq!(shared.as_str(), "@bob:phone.wavi@alice");
    assert_eq!(shared.cached().unwrap().as_str(), "cached:@bob:phone.wavi@alice");
    assert_eq!(shared.cached().unwrap().cached(), Err(KeyError::Invalid));
    for text in ["", "a:b", "a@b", "a,b", "é"] {
        assert_eq!(Entity::parse(text), Err(KeyError::Invalid), "{text:?}");
    }
}

#[test]
fn a_key_has_at_most_248_utf_16_units_and_its_cached_copy_255() {
    // Checklist 95.
    let of_units = |units: usize| format!("{}@alice", "x".repeat(units - 6));
    assert!(AtKey::parse(&of_units(248)).is_ok());
    let error = AtKey::parse(&of_units(249)).unwrap_err();
    assert_eq!(error.to_string(), "key length 249 is greater than max allowed 248 chars");
    let longest = AtKey::parse(&format!("@bob:{}", of_units(243))).unwrap();
    assert!(longest.cached().is_ok(), "the cached copy of every shared key fits");
    let longer = format!("cached:@bob:{}", of_units(244));
    assert_eq!(AtKey::parse(&longer), Err(KeyError::TooLong { units: 256, units_max: 255 }));
    // An emoji is two units.
    assert!(AtKey::parse(&format!("{}@alice", "🦄".repeat(121))).is_ok());
    assert!(AtKey::parse(&format!("{}@alice", "🦄".repeat(122))).is_err());
    assert!(AtKey::parse(&format!("x@{}", "a".repeat(55))).is_ok());
    assert_eq!(AtKey::parse(&format!("x@{}", "a".repeat(56))), Err(KeyError::Invalid));
}

#[test]
fn only_four_kinds_can_be_written_by_clients() {
    use KeyKind::{CachedPublic, CachedShared, Local, Private, Public, Reserved, SelfKey, Shared};
    for kind in [Public, SelfKey, Shared, Reserved] {
        assert!(kind.is_writable());
    }
    for (kind, name) in [
        (Private, "privateKey"),
        (CachedPublic, "cachedPublicKey"),
        (CachedShared, "cachedSharedKey"),
        (Local, "localKey"),
    ] {
        assert_eq!((kind.is_writable(), kind.wire_name()), (false, name));
    }
}
