//! The engine behind a real Unix socket, and everything that such an engine can do wrong: each call
//! ends in time, with an error that says what happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use net::telemetry::{Metrics, encode_metrics};
use protocol::control::fleet::Availability;
use protocol::control::names::SwarmName;
use server_host::agent::{DockerEngine, Engine, EngineError, EngineId, Guarded};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Instant, timeout};

/// What the pretended engine does with a request.
#[derive(Clone)]
enum Does {
    /// Says nothing, and keeps the connection.
    Hangs,
    /// Sends these bytes and closes.
    Says(&'static [u8]),
    /// Answers with this status and body.
    Answers(u16, String),
    /// Begins a body that never ends, as fast as it is read.
    NeverEnds,
    /// Begins a body, and gives a byte now and then.
    Drips,
}

struct Pretended {
    socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
}

const VERSION: &str = r#"{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}"#;

impl Pretended {
    /// Tells its version as it should, and does `does` with everything else.
    fn new(does: Does) -> Self {
        Self::with(move |path| match path {
            "/version" => Does::Answers(200, VERSION.to_owned()),
            _ => does.clone(),
        })
    }

    fn with(does: impl Fn(&str) -> Does + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (line, path) = request(&mut stream).await;
                log.lock().unwrap().push(line);
                tokio::spawn(answer(stream, does(&path)));
            }
        });
        Self { socket, asked, _folder: folder }
    }

    fn engine(&self) -> Guarded<DockerEngine> {
        Guarded::new(DockerEngine::at(&self.socket).unwrap())
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// The request's line, and its path without the query.
async fn request(stream: &mut UnixStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap().to_owned();
    let path = line.split(' ').nth(1).unwrap();
    let path = path.split('?').next().unwrap().to_owned();
    (line, path)
}

async fn answer(mut stream: UnixStream, does: Does) {
    match does {
        Does::Hangs => {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
        Does::Says(bytes) => {
            let _ = stream.write_all(bytes).await;
        }
        Does::Answers(status, body) => {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
        Does::NeverEnds => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[").await;
            while stream.write_all(&[b' '; 65_536]).await.is_ok() {}
        }
        Does::Drips => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n[").await;
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

fn swarm() -> SwarmName {
    SwarmName::parse("eu").unwrap()
}

fn info(swarm: &str) -> String {
    format!(r#"{{"Name": "n1", "Labels": ["zone=a"], "Swarm": {swarm}}}"#)
}

const ACTIVE: &str = r#"{"NodeID": "q3fy2", "NodeAddr": "10.0.0.7", "LocalNodeState": "active",
    "ControlAvailable": true}"#;

#[tokio::test]
async fn an_engine_in_order_is_asked_under_the_version_that_both_speak() {
    let pretended = Pretended::with(|path| match path {
        "/version" => Does::Answers(200, VERSION.to_owned()),
        "/v1.41/info" => Does::Answers(200, info(ACTIVE)),
        "/v1.41/services" => Does::Answers(200, "[]".to_owned()),
        other => panic!("asked for {other}"),
    });
    let engine = pretended.engine();
    let info = engine.info().await.unwrap();
    assert_eq!((info.node.as_str(), info.address.to_string().as_str()), ("q3fy2", "10.0.0.7"));
    assert!(info.is_manager && info.api_minor == 41 && info.labels["zone"] == "a");
    assert!(engine.services(&swarm()).await.unwrap().is_empty());
    let asked = pretended.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked[2].contains("warren.swarm%3Deu"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hung_engine_costs_its_deadline_and_then_nothing_for_a_while() {
    for does in [Does::Hangs, Does::Drips] {
        let pretended = Pretended::new(does);
        let engine = pretended.engine();
        for _ in 0..3 {
            let begun = Instant::now();
            let refusal = engine.services(&swarm()).await.unwrap_err();
            assert!(matches!(refusal, EngineError::Deadline(_)), "{refusal}");
            assert!(begun.elapsed() < Duration::from_secs(11), "{:?}", begun.elapsed());
        }
        let (begun, asked) = (Instant::now(), pretended.asked().len());
        let refusal = engine.services(&swarm()).await.unwrap_err();
        assert_eq!(refusal, EngineError::Resting { failures: 3 });
        assert_eq!((begun.elapsed(), pretended.asked().len()), (Duration::ZERO, asked));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let refusal = engine.services(&swarm()).await.unwrap_err();
        assert!(matches!(refusal, EngineError::Deadline(_)), "asked again after a rest: {refusal}");
        let mut metrics = Metrics::with_prefix("warren");
        engine.register(metrics.sub_registry_with_prefix("engine"));
        let text = encode_metrics(&metrics);
        for line in [
            "warren_engine_calls_total{call=\"services\",outcome=\"deadline\"} 4",
            "warren_engine_calls_total{call=\"services\",outcome=\"resting\"} 1",
            "warren_engine_call_seconds_count{call=\"services\"} 4",
            "warren_engine_breaker 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_off_by_its_size() {
    let pretended = Pretended::new(Does::NeverEnds);
    let refusal = timeout(Duration::from_secs(60), pretended.engine().services(&swarm()))
        .await
        .unwrap()
        .unwrap_err();
    // A slow machine may meet the deadline first; both are right, growing without an end is not.
    let is_cut = matches!(refusal, EngineError::Unreachable(_) | EngineError::Deadline(_));
    assert!(is_cut, "{refusal}");
}

#[tokio::test]
async fn garbage_is_an_error_that_says_so() {
    let nonsense: [&'static [u8]; 5] = [
        b"\x00\xff\xfe garbage \r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n[{]",
        b"",
    ];
    for bytes in nonsense {
        let pretended = Pretended::new(Does::Says(bytes));
        let refusal = pretended.engine().services(&swarm()).await.unwrap_err();
        let is_known = matches!(refusal, EngineError::Nonsense(_) | EngineError::Unreachable(_));
        assert!(is_known, "{bytes:?}: {refusal}");
    }
    for body in [
        "",
        "null",
        "{}",
        "[{}]",
        "[1]",
        r#"[{"ID": "../../etc", "Version": {"Index": 1}, "Spec": {"Name": "a"}}]"#,
        r#"[{"ID": "a b", "Version": {"Index": 1}, "Spec": {"Name": "a"}}]"#,
        r#"[{"ID": "abc", "Spec": {"Name": "a"}}]"#,
        r#"[{"ID": "abc", "Version": {"Index": -1}, "Spec": {"Name": "a"}}]"#,
        r#"[{"ID": "abc", "Version": {"Index": 1}}]"#,
        r#"[{"ID": "abc", "Version": {"Index": 1}, "Spec": {}}]"#,
        r#"[{"ID": "abc", "Version": {"Index": 1}, "Spec": {"Name": 7}}]"#,
    ] {
        let pretended = Pretended::new(Does::Answers(200, body.to_owned()));
        let refusal = pretended.engine().services(&swarm()).await.unwrap_err();
        assert!(matches!(refusal, EngineError::Nonsense(_)), "{body}: {refusal}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_few_plain_words_and_keeps_nobody_from_asking_again() {
    let long = format!(r#"{{"message": "no\u001b[31m way {}"}}"#, "x".repeat(100_000));
    for body in [long, "<html>".to_owned(), "{".to_owned(), String::new()] {
        let pretended = Pretended::new(Does::Answers(500, body));
        let engine = pretended.engine();
        for _ in 0..10 {
            let refusal = engine.services(&swarm()).await.unwrap_err();
            let EngineError::Refused { status: 500, message } = &refusal else {
                let EngineError::Nonsense(_) = refusal else { panic!("{refusal}") };
                break;
            };
            assert!(message.len() <= 200 && !message.contains('\u{1b}'), "{message}");
        }
    }
    let gone = Pretended::new(Does::Answers(404, r#"{"message": "gone"}"#.to_owned()));
    gone.engine().remove(&EngineId::parse("abc").unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_engine_that_is_of_no_use_says_why() {
    for (swarm, why) in [
        (r#"{"LocalNodeState": "inactive", "NodeID": ""}"#, "no part of a Swarm"),
        (r#"{"LocalNodeState": "locked"}"#, "locked"),
        ("null", "no part of a Swarm"),
        (&ACTIVE.replace("q3fy2", "../q"), "an id"),
        (&ACTIVE.replace("10.0.0.7", "nowhere"), "an address"),
    ] {
        let pretended = Pretended::new(Does::Answers(200, info(swarm)));
        let refusal = pretended.engine().info().await.unwrap_err();
        assert!(refusal.to_string().contains(why), "{swarm}: {refusal}");
    }
    for version in [r#"{"ApiVersion": "1.40"}"#, r#"{"ApiVersion": "x"}"#, "{}", "[]"] {
        let old = Pretended::with(move |_| Does::Answers(200, version.to_owned()));
        let refusal = old.engine().info().await.unwrap_err();
        let is_known = matches!(refusal, EngineError::Unfit(_) | EngineError::Nonsense(_));
        assert!(is_known, "{version}: {refusal}");
    }
    let nobody = DockerEngine::at(std::path::Path::new("/nowhere/sock")).unwrap();
    assert!(matches!(nobody.info().await.unwrap_err(), EngineError::Unreachable(_)));
}

#[tokio::test]
async fn a_node_is_set_with_everything_that_it_was() {
    let nodes = r#"[{"ID": "q3fy2", "Version": {"Index": 42}, "Status": {"State": "ready"},
        "ManagerStatus": {"Leader": true, "Reachability": "reachable"},
        "Spec": {"Role": "manager", "Availability": "active", "Labels": {"zone": "a"}}}]"#;
    let pretended = Pretended::with(move |path| match path {
        "/version" => Does::Answers(200, VERSION.to_owned()),
        "/v1.41/nodes" => Does::Answers(200, nodes.to_owned()),
        "/v1.41/nodes/q3fy2/update" => Does::Answers(200, String::new()),
        other => panic!("asked for {other}"),
    });
    let engine = pretended.engine();
    let nodes = engine.nodes().await.unwrap();
    assert!(nodes[0].is_leader && nodes[0].is_manager && nodes[0].labels["zone"] == "a");
    engine.set_availability(&nodes[0], Availability::Drain).await.unwrap();
    let asked = pretended.asked();
    assert!(asked.last().unwrap().contains("version=42"), "{asked:?}");
}
