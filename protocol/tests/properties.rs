//! What holds for every input, not only for those somebody thought of.

#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use protocol::directory::{self, DirectoryAnswer, DirectoryRequest, parse_directory_answer};
use protocol::line::LineDecoder;
use protocol::notification::{Envelope, Notification};
use protocol::peer::{PeerDecoder, PeerLine, PolChallenge};
use protocol::record::{self, Record};
use protocol::response::{Answer, ErrorShape, Fault, Prompt, encode_answer, encode_fault};
use protocol::verb::{Command, Verb};
use protocol::{
    Address, AtKey, AtSign, Entity, ErrorCode, HostName, Metadata, MetadataPatch, Timestamp,
};

const VERBS: [Verb; 27] = [
    Verb::From,
    Verb::Cram,
    Verb::Pkam,
    Verb::Pol,
    Verb::Update,
    Verb::UpdateMeta,
    Verb::Llookup,
    Verb::Plookup,
    Verb::Lookup,
    Verb::Scan,
    Verb::Delete,
    Verb::Stats,
    Verb::Config,
    Verb::Batch,
    Verb::NotifyAll,
    Verb::SyncFrom,
    Verb::Notify,
    Verb::NotifyStatus,
    Verb::NotifyList,
    Verb::NotifyFetch,
    Verb::NotifyRemove,
    Verb::Monitor,
    Verb::Info,
    Verb::Noop,
    Verb::Enroll,
    Verb::Otp,
    Verb::Keys,
];

/// Lines made of the words that the parsers look for, which random bytes hardly ever hit.
fn wordy_line() -> impl Strategy<Value = String> {
    let words = vec![
        "from",
        "cram",
        "pkam",
        "pol",
        "update",
        "meta",
        "json",
        "llookup",
        "plookup",
        "lookup",
        "scan",
        "delete",
        "stats",
        "config",
        "block",
        "batch",
        "all",
        "sync",
        "limit",
        "notify",
        "list",
        "status",
        "fetch",
        "remove",
        "monitor",
        "info",
        "brief",
        "noop",
        "enroll",
        "request",
        "approve",
        "force",
        "{\"enrollmentId\":\"1\"}",
        "{\"appName\":\"a\",\"deviceName\":\"d\",\"apkamPublicKey\":\"k\"}",
        "otp",
        "get",
        "put",
        "abc123",
        "keys",
        "namespace",
        "appName",
        "deviceName",
        "keyName",
        "self",
        "public",
        "cached",
        "private",
        "privatekey:at_secret",
        "all",
        "ttl",
        "ttb",
        "ttr",
        "ttln",
        "ccd",
        "true",
        "False",
        "null",
        "-1",
        "0",
        "5000",
        "9223372036854775807",
        "99999999999999999999",
        "ivNonce",
        "isEncrypted",
        "id",
        "messageType",
        "text",
        "key",
        "priority",
        "low",
        "strategy",
        "latest",
        "notifier",
        "latestN",
        "bypassCache",
        "showHidden",
        "clientConfig",
        "{\"version\":\"3.0.38\"}",
        "signingAlgo",
        "rsa2048",
        "enrollmentId",
        "2024-10-01",
        "strict",
        "@alice",
        "@bob",
        "phone.wavi",
        "_x",
        "🛠",
        "é",
        ":",
        ":",
        ":",
        ":",
        ":",
        "@",
        "@",
        " ",
        "\u{2028}",
        "\\",
        ".*",
    ];
    vec(select(words), 0..24).prop_map(|words| words.concat())
}

fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![wordy_line(), ".*", vec(any::<char>(), 0..64).prop_map(String::from_iter)]
}

fn name() -> impl Strategy<Value = AtSign> {
    prop_oneof!["[a-z0-9_-]{1,20}", "[a-z🛠🦄]{1,10}"].prop_map(|text| AtSign::parse(&text).unwrap())
}

fn entity() -> impl Strategy<Value = Entity> {
    "[a-z0-9_.'*\"🛠-]{1,40}".prop_map(|text| Entity::parse(&text).unwrap())
}

fn patch() -> impl Strategy<Value = MetadataPatch> {
    let flag = || proptest::option::of(any::<bool>());
    let number = || proptest::option::of(prop_oneof![0..100_000_i64, Just(i64::MAX)]);
    (number(), number(), number(), flag(), flag(), proptest::option::of("[a-zA-Z0-9+/=]{1,24}"))
        .prop_map(|(ttl, ttb, ttr, ccd, is_encrypted, nonce)| {
            let mut patch = MetadataPatch { ttl, ttb, ttr, ccd, ..MetadataPatch::default() };
            patch.is_encrypted = is_encrypted;
            if let Some(nonce) = nonce {
                patch.take("ivNonce", &nonce).unwrap();
            }
            patch
        })
}

/// Cuts `bytes` into reads at these places.
fn reads<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let ends = cuts.iter().copied().chain([bytes.len()]);
    let starts = [0].into_iter().chain(cuts.iter().copied());
    starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect()
}

/// All lines that come out, or how many did before one was too long.
fn decode(reads: &[&[u8]], bytes_max: usize) -> (Vec<Vec<u8>>, bool) {
    let mut decoder = LineDecoder::new(bytes_max);
    let mut lines = Vec::new();
    for read in reads {
        let is_ok = decoder.push(read).is_ok();
        lines.extend(std::iter::from_fn(|| decoder.next_line()));
        if !is_ok {
            return (lines, false);
        }
    }
    (lines, true)
}

proptest! {
    #[test]
    fn no_command_parser_panics(line in any_line()) {
        if let Some(verb) = Verb::select(&line) {
            let _ = Command::parse(verb, &line);
        }
        for verb in VERBS {
            if let Err(error) = Command::parse(verb, &line) {
                prop_assert!(error.message().len() < 2_000);
                let fault = encode_fault(&error.into(), true, ErrorShape::Json, Prompt::Open);
                prop_assert_eq!(fault.iter().filter(|b| **b == b'\n').count(), 1);
            }
        }
    }

    #[test]
    fn no_parser_of_names_and_keys_panics(text in any_line()) {
        if let Ok(name) = AtSign::parse(&text) {
            prop_assert_eq!(AtSign::parse(name.bare()), Ok(name));
        }
        if let Ok(key) = AtKey::parse(&text) {
            prop_assert_eq!(&AtKey::parse(key.as_str()), &Ok(key.clone()));
            prop_assert_eq!(key.owner().is_some(), key.as_str().contains('@'));
            let _ = (key.shared_with(), key.entity(), key.namespace(), key.cached());
        }
        if let Ok(entity) = Entity::parse(&text) {
            prop_assert_eq!(Entity::parse(entity.as_str()), Ok(entity));
        }
        let _ = (Address::parse(&text), HostName::parse(&text), Timestamp::from_wire(&text));
        let _ = (Timestamp::from_day(&text), PolChallenge::parse(&text));
        let _ = Record::parse(&text, &AtSign::parse("a").unwrap(), Timestamp(0));
    }

    #[test]
    fn no_parser_of_bytes_panics(bytes in vec(any::<u8>(), 0..200)) {
        let _ = DirectoryRequest::parse(&bytes);
        let _ = parse_directory_answer(&bytes);
        let _ = PeerLine::parse(&bytes);
        let mut peer = PeerDecoder::new(100);
        let _ = peer.push(&bytes);
        while peer.next_line().is_some() {}
        let _ = (peer.is_prompted(), peer.is_prompted_as(&AtSign::parse("a").unwrap()));
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut_into_reads(
        lines in vec("[a-z@🛠 ]{0,10}x", 0..8),
        tail in "[a-z🛠]{0,10}",
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let bytes = lines.iter().map(|line| format!("{line}\r\n")).collect::<String>() + &tail;
        let (decoded, is_ok) = decode(&reads(bytes.as_bytes(), &cuts), 100);
        prop_assert!(is_ok);
        let decoded: Vec<_> = decoded.into_iter().map(|l| String::from_utf8(l).unwrap()).collect();
        prop_assert_eq!(decoded, lines);
    }

    #[test]
    fn empty_lines_never_hide_others(
        bytes in vec(select(vec![b'\n', b'\n', b'\r', b'a', b' ']), 0..60),
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let (decoded, _) = decode(&reads(&bytes, &cuts), 100);
        let is_full = |line: &&[u8]| !line.trim_ascii().is_empty();
        let whole = bytes.split(|b| *b == b'\n').collect::<Vec<_>>();
        let expected: Vec<_> = whole[..whole.len() - 1].iter().copied().filter(is_full)
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect();
        let got: Vec<_> = decoded.iter().map(Vec::as_slice).filter(is_full).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_decoder_never_holds_more_than_its_limit_of_an_unfinished_line(
        sizes in vec(0..40_usize, 0..10),
    ) {
        let mut decoder = LineDecoder::new(50);
        let mut unfinished = 0;
        for size in sizes {
            unfinished += size;
            prop_assert_eq!(decoder.push(&vec![b'x'; size]).is_ok(), unfinished <= 50);
            prop_assert!(decoder.pending_bytes() <= 50);
        }
    }

    #[test]
    fn an_answer_is_read_back_by_a_peer(
        data in "[^\n]*",
        name in name(),
        cuts in vec(any::<usize>(), 0..6),
    ) {
        let line = encode_answer(&Answer::Data(data.clone()), Prompt::Identity(&name));
        // A text that ends with CR loses it: it counts as part of the line end.
        prop_assume!(!data.ends_with('\r'));
        let mut peer = PeerDecoder::default();
        for read in reads(&line, &cuts) {
            peer.push(read).unwrap();
        }
        prop_assert_eq!(peer.next_line(), Some(PeerLine::Data(data)));
        prop_assert!(peer.is_prompted_as(&name));
    }

    #[test]
    fn a_fault_is_read_back_by_a_peer(message in ".*", json in any::<bool>()) {
        let shape = if json { ErrorShape::Json } else { ErrorShape::Classic };
        let fault = Fault::new(ErrorCode::KeyNotFound, message);
        let line = encode_fault(&fault, false, shape, Prompt::Open);
        let mut peer = PeerDecoder::default();
        peer.push(&line).unwrap();
        let is_read = matches!(
            peer.next_line(),
            Some(PeerLine::Error { code: Some(ErrorCode::KeyNotFound), text })
                if text.starts_with("Exception: ")
        );
        prop_assert!(is_read);
    }

    #[test]
    fn a_directory_understands_itself(name in name(), host in "[a-z0-9]{1,20}", port in 1..u16::MAX) {
        let line = DirectoryRequest::lookup_line(&name);
        prop_assert_eq!(DirectoryRequest::parse(line.trim_ascii_end()), DirectoryRequest::Lookup(name));
        let address = Address::parse(&format!("{host}:{port}")).unwrap();
        let answer = directory::found(&address);
        prop_assert_eq!(parse_directory_answer(&answer), DirectoryAnswer::Found(address));
        let line_end = answer.len() - 2;
        prop_assert_eq!(parse_directory_answer(&answer[..line_end]), DirectoryAnswer::Incomplete);
    }

    #[test]
    fn metadata_survive_their_json(patch in patch(), now in 0..4_000_000_000_000_i64, name in name()) {
        let created = Metadata::created(&name, Timestamp(now), &patch);
        let updated = created.updated(Timestamp(now + 1), &MetadataPatch::default());
        for metadata in [created, updated] {
            let json = metadata.to_json();
            prop_assert_eq!(&serde_json::from_str::<Metadata>(&json).unwrap(), &metadata);
            let record = record::to_json("k@x", Some("v"), &metadata);
            let record = Record::parse(&record, &name, Timestamp(0)).unwrap();
            prop_assert_eq!(record.metadata, metadata);
        }
    }

    #[test]
    fn an_update_is_parsed_as_it_was_written(
        entity in entity(), with in name(), owner in name(), value in "[^\\s][^\n]{0,40}[^\\s]",
        ttl in 0..i64::MAX,
    ) {
        let line = format!("update:ttl:{ttl}:{with}:{entity}{owner} {value}");
        let Ok(Command::Update(update)) = Command::parse(Verb::select(&line).unwrap(), &line) else {
            return Err(TestCaseError::fail(line));
        };
        prop_assert_eq!(update.key, AtKey::shared(&with, &entity, &owner).unwrap());
        prop_assert_eq!((update.value, update.patch.ttl), (value, Some(ttl)));
    }

    #[test]
    fn a_notification_arrives_as_it_was_sent(
        entity in entity(), from in name(), to in name(), patch in patch(),
        value in proptest::option::of("[^\\s][^\n]{0,40}[^\\s]"), is_text in any::<bool>(),
    ) {
        prop_assume!(from != to);
        let body = match (&value, is_text) {
            (Some(value), true) => value.clone(),
            (Some(value), false) => format!("{entity}{from}:{value}"),
            (None, _) => format!("{entity}{from}"),
        };
        let kind = if is_text { "text" } else { "key" };
        let line = format!("notify:messageType:{kind}:{to}:{body}");
        let Ok(Command::Notify(mut notify)) = Command::parse(Verb::Notify, &line) else {
            return Err(TestCaseError::fail(line));
        };
        notify.patch = patch;
        let at = Timestamp(1_727_786_096_789);
        let envelope = Envelope { id: "a-1", from: &from, at, ttln_default: 900_000 };
        let sent = Notification::sent(&notify, &envelope).unwrap();
        let line = String::from_utf8(sent.delivery_line()).unwrap();
        let Ok(Command::Notify(delivery)) = Command::parse(Verb::select(&line).unwrap(), &line) else {
            return Err(TestCaseError::fail(line));
        };
        prop_assert_eq!(delivery.check_delivery(&from, &to), Ok(()));
        let arrived = Notification::received(&delivery, &envelope, &to).unwrap();
        prop_assert_eq!(&arrived.subject, &sent.subject);
        prop_assert_eq!((&arrived.value, arrived.is_encrypted), (&sent.value, sent.is_encrypted));
        prop_assert_eq!((arrived.ttln, arrived.notifier), (sent.ttln, sent.notifier.clone()));
        // `ccd` travels only with `ttr`.
        let ccd = sent.metadata.ccd.filter(|_| sent.metadata.ttr.is_some());
        prop_assert_eq!(arrived.metadata.ccd, ccd);
        prop_assert_eq!(arrived.metadata.iv_nonce, sent.metadata.iv_nonce);
    }
}
