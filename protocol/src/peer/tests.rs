#![allow(clippy::unwrap_used)]

use super::*;

fn name(text: &str) -> AtSign {
    AtSign::parse(text).unwrap()
}

fn error(code: Option<ErrorCode>, text: &str) -> PeerLine {
    PeerLine::Error { code, text: text.to_owned() }
}

#[test]
fn a_line_is_data_an_error_or_a_prompt() {
    let data = |text: &str| PeerLine::Data(text.to_owned());
    for (line, expected) in [
        ("data:x", data("x")),
        ("@data:x", data("x")),
        ("@alice@data:x@y", data("x@y")),
        ("@@alice@data:x", data("x")),
        ("@@@data:x", data("x")),
        ("@alice🛠@data:", data("")),
        ("data:data:x data:y", data("data:x data:y")),
        ("data:null", data("null")),
        (
            "error:AT0015-key not found : x",
            error(Some(ErrorCode::KeyNotFound), "key not found : x"),
        ),
        ("@error:AT0401-Exception: no", error(Some(ErrorCode::Unauthenticated), "Exception: no")),
        ("error:AT0026:enrollment_id: x", error(Some(ErrorCode::ApkamFailed), "enrollment_id: x")),
        ("error:AT9999-x", error(None, "AT9999-x")),
        ("error:", error(None, "")),
        ("error:AT0012", error(Some(ErrorCode::InboundLimit), "")),
        (
            "error:{\"errorCode\":\"AT0003\",\"errorDescription\":\"d\"}",
            error(Some(ErrorCode::InvalidSyntax), "d"),
        ),
        ("error:{\"errorCode\":3}", error(None, "")),
        ("error:{", PeerLine::Malformed),
        ("@", PeerLine::Prompt(None)),
        ("@alice@", PeerLine::Prompt(Some(name("alice")))),
        ("@@alice@", PeerLine::Prompt(Some(name("alice")))),
        ("", PeerLine::Malformed),
        ("hello", PeerLine::Malformed),
        ("@alice", PeerLine::Malformed),
        ("@alice@hello", PeerLine::Malformed),
        ("notification: {}", PeerLine::Malformed),
    ] {
        assert_eq!(PeerLine::parse(line.as_bytes()), expected, "{line}");
    }
    assert_eq!(PeerLine::parse(b"data:\xff"), PeerLine::Malformed);
}

#[test]
fn a_conversation_is_followed_from_prompt_to_prompt() {
    // Checklist 76.
    let mut peer = PeerDecoder::default();
    assert!(!peer.is_prompted());
    peer.push(b"@").unwrap();
    assert!(peer.is_prompted());
    peer.push(b"data:proof:_9c2f@bob:e1d4\n@").unwrap();
    assert_eq!(peer.next_line(), Some(PeerLine::Data("proof:_9c2f@bob:e1d4".into())));
    assert!(!peer.is_prompted_as(&name("bob")));
    peer.push(b"@bo").unwrap();
    assert!(!peer.is_prompted_as(&name("bob")));
    peer.push(b"b@").unwrap();
    assert!(peer.is_prompted() && peer.is_prompted_as(&name("bob")));
    assert!(!peer.is_prompted_as(&name("ob")) && !peer.is_prompted_as(&name("alice")));
    peer.push(b"data:success\n@bob@").unwrap();
    assert_eq!(peer.next_line(), Some(PeerLine::Data("success".into())));
    assert!(peer.is_prompted_as(&name("bob")));
}

#[test]
fn a_failed_pol_is_an_error_line() {
    let mut peer = PeerDecoder::default();
    peer.push(b"@error:AT0401-Exception: Pol Authentication Failed\n@").unwrap();
    assert!(matches!(peer.next_line(), Some(PeerLine::Error { code: Some(_), .. })));
    assert!(!peer.is_prompted_as(&name("bob")));
}

#[test]
fn a_challenge_has_a_session_a_name_and_a_text_to_sign() {
    let challenge = PolChallenge::parse("proof:_9c2f-1@bob:e1d4-2 ").unwrap();
    assert_eq!(
        challenge,
        PolChallenge { session: "_9c2f-1".into(), name: name("bob"), challenge: "e1d4-2".into() }
    );
    for data in [
        "",
        "proof:",
        "_9c2f@bob:e1d4",
        "proof:_9c2f@bob",
        "proof:@bob:e1d4",
        "proof:_9c2f@:e1d4",
        "proof:a b@bob:e1d4",
        "proof:_9c2f@bob:e1 d4",
        "proof:_9c2f@bob:a:b",
    ] {
        assert_eq!(PolChallenge::parse(data), None, "{data}");
    }
}
