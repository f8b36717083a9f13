#![allow(clippy::unwrap_used)]

use super::*;

fn namespaces(json: &str) -> Option<Namespaces> {
    serde_json::from_str(json).ok()
}

#[test]
fn an_id_is_a_short_word_in_any_case() {
    assert_eq!(EnrollmentId::parse("6F7d-a_1").unwrap().as_str(), "6f7d-a_1");
    for text in ["", "a.b", "a:b", "a b", "ä", "@alice", &"a".repeat(65)] {
        assert_eq!(EnrollmentId::parse(text), None, "{text:?}");
    }
}

#[test]
fn a_namespace_is_words_with_dots_between_them_or_all() {
    for (text, name) in [("wavi", "wavi"), ("Orders.Shop", "orders.shop"), ("*", "*")] {
        assert_eq!(Namespace::parse(text).unwrap().as_str(), name);
    }
    for text in ["", ".", "a.", ".a", "a..b", "a b", "a:b", "a@b", "ä", &"a".repeat(129)] {
        assert_eq!(Namespace::parse(text), Err(NamespaceError::Name), "{text:?}");
    }
}

#[test]
fn namespaces_keep_their_order_and_have_each_name_once() {
    let json = r#"{"wavi":"rw","Orders.Shop":"r","__manage":"rw"}"#;
    let parsed = namespaces(json).unwrap();
    assert_eq!(serde_json::to_string(&parsed).unwrap(), json.to_lowercase());
    assert_eq!(parsed.get("orders.shop"), Some(Access::Read));
    assert_eq!(parsed.get("shop"), None);
    for json in [
        r#"{"a":"r","A":"rw"}"#,
        r#"{"a":"w"}"#,
        r#"{"a":"RW"}"#,
        r#"{"a":null}"#,
        r#"{"":"r"}"#,
        r#"["a"]"#,
        r#""a""#,
    ] {
        assert_eq!(namespaces(json), None, "{json}");
    }
    let many = |count: usize| {
        let parts: Vec<_> = (0..count).map(|n| format!("\"n{n}\":\"r\"")).collect();
        namespaces(&format!("{{{}}}", parts.join(",")))
    };
    assert!(many(crate::limits::NAMESPACES_MAX).is_some());
    assert!(many(crate::limits::NAMESPACES_MAX + 1).is_none());
}

#[test]
fn what_covers_what() {
    let all = r#"{"*":"rw"}"#;
    for (own, others, is_covered) in [
        (all, r#"{"wavi":"rw","a.b":"r","*":"rw","__manage":"rw"}"#, true),
        (r#"{"*":"r"}"#, r#"{"wavi":"rw"}"#, false),
        (r#"{"wavi":"rw"}"#, r#"{"wavi":"rw"}"#, true),
        (r#"{"wavi":"rw"}"#, r#"{"wavi":"r"}"#, true),
        (r#"{"wavi":"r"}"#, r#"{"wavi":"rw"}"#, false),
        (r#"{"wavi":"rw"}"#, r#"{"wavi":"r","buzz":"r"}"#, false),
        (r#"{"shop":"rw"}"#, r#"{"orders.shop":"rw"}"#, true),
        (r#"{"orders.shop":"rw"}"#, r#"{"shop":"r"}"#, false),
        (r#"{"shop":"rw"}"#, r#"{"workshop":"r"}"#, false),
        (r#"{"wavi":"rw"}"#, all, false),
        (r#"{"wavi":"rw"}"#, "{}", true),
    ] {
        let (mine, theirs) = (namespaces(own).unwrap(), namespaces(others).unwrap());
        assert_eq!(mine.cover(&theirs), is_covered, "{own} {others}");
    }
}
