//! The HTTPS front, over TLS: each route, and what it does with clients that mean no good.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::https::https;
use common::{Registrar, Running, SOON, change};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::sleep;

fn registrar() -> Registrar {
    Registrar::new(vec![
        change(1, "alice", Some("localhost:25000"), 1),
        change(2, "bob🛠", Some("b.example:64"), 3),
    ])
}

async fn running() -> Running {
    https(Running::following(&registrar()).await).await
}

#[tokio::test]
async fn an_identity_is_shown_however_its_name_is_written() {
    let running = running().await;
    let alice = running.get("/v1/identities/@alice").await;
    assert_eq!(alice.status, 200);
    assert_eq!(alice.header("content-type"), Some("application/json"));
    assert_eq!(alice.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(alice.header("access-control-allow-origin"), Some("*"));
    let record = json!({
        "identity": "@alice", "host": "localhost", "port": 25000, "epoch": 1, "generation": 2
    });
    assert_eq!(alice.json(), record);
    for name in ["alice", "ALICE", "al.ice", "%40alice", "%61lic%65", "alice?x=%zz"] {
        let again = running.get(&format!("/v1/identities/{name}")).await;
        assert_eq!(again.json(), record, "{name}");
    }
    let bob = running.get("/v1/identities/bob%F0%9F%9B%A0").await.json();
    assert_eq!(
        (&bob["host"], &bob["port"], &bob["epoch"]),
        (&json!("b.example"), &json!(64), &json!(3))
    );
}

#[tokio::test]
async fn a_head_has_everything_but_the_body() {
    let running = running().await;
    let (get, head) = (
        running.get("/v1/identities/alice").await,
        running.request("HEAD", "/v1/identities/alice", &[], b"").await,
    );
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for name in ["etag", "content-length", "content-type", "cache-control"] {
        assert!(get.header(name).is_some(), "{name}");
        assert_eq!(get.header(name), head.header(name), "{name}");
    }
    assert_eq!(running.request("HEAD", "/v1/identities/nobody", &[], b"").await.status, 404);
}

#[tokio::test]
async fn a_tag_changes_with_the_record_and_with_nothing_else() {
    let registrar = registrar();
    let running = https(Running::following(&registrar).await).await;
    let tag = |answer: &common::https::Answer| answer.header("etag").unwrap().to_owned();
    let first = tag(&running.get("/v1/identities/alice").await);

    registrar.publish(change(3, "carol", Some("localhost:25001"), 1));
    assert!(running.directory.reached(3, SOON).await);
    let later = running.get("/v1/identities/alice").await;
    assert_eq!((tag(&later), &later.json()["generation"]), (first.clone(), &json!(3)));
    for known in [first.clone(), format!("W/{first}"), "*".into(), format!("\"x\", {first}")] {
        let header = format!("if-none-match: {known}");
        let same = running.request("GET", "/v1/identities/alice", &[&header], b"").await;
        assert_eq!((same.status, same.body.as_str()), (304, ""), "{known}");
        assert_eq!(tag(&same), first);
        assert_eq!(same.header("cache-control"), Some("public, max-age=60"));
        assert_eq!(same.header("access-control-allow-origin"), Some("*"));
    }
    for other in ["\"x\"", "", "\"", &first.replace('"', "")] {
        let header = format!("if-none-match: {other}");
        let whole = running.request("GET", "/v1/identities/alice", &[&header], b"").await;
        assert_eq!(whole.status, 200, "{other}");
    }

    let mut tags = vec![first];
    for (number, at, epoch) in
        [(4, "localhost:25007", 1), (5, "other:25007", 1), (6, "other:25007", 2)]
    {
        registrar.publish(change(number, "alice", Some(at), epoch));
        assert!(running.directory.reached(number, SOON).await);
        tags.push(tag(&running.get("/v1/identities/alice").await));
    }
    registrar.publish(change(7, "alice", None, 2));
    assert!(running.directory.reached(7, SOON).await);
    assert_eq!(running.get("/v1/identities/alice").await.status, 404);
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4, "{tags:?}");
}

#[tokio::test]
async fn nobody_is_unknown_before_the_directory_knows_anything() {
    let running = https(Running::start().await).await;
    let began = Instant::now();
    let body = json!({ "identities": ["@alice"] }).to_string();
    let (one, many) = tokio::join!(running.get("/v1/identities/alice"), running.lookup(&body));
    for answer in [one, many] {
        assert_eq!(answer.problem(), (503, "not-ready".into()));
        assert_eq!(answer.header("retry-after"), Some("2"));
    }
    assert!(began.elapsed() < SOON, "they wait, but not for long");
    assert_eq!(running.get("/readyz").await.problem(), (503, "not-ready".into()));
    assert_eq!(running.get("/healthz").await.status, 200);
    let status = running.get("/v1/status").await;
    assert_eq!((status.status, &status.json()["ready"]), (200, &json!(false)));

    let asked = running.get("/v1/identities/alice");
    let told = async {
        sleep(Duration::from_millis(200)).await;
        let directory = Arc::clone(&running.directory);
        tokio::spawn(directory.follow(
            Arc::new(registrar()),
            common::the_key().public(),
            running.drain.clone(),
        ));
    };
    assert_eq!(tokio::join!(asked, told).0.status, 200, "a little early is not too early");
    assert_eq!(
        running.get("/v1/identities/nobody").await.problem(),
        (404, "unknown-identity".into())
    );
    assert_eq!(running.get("/readyz").await.body, "ready\n");
}

#[tokio::test]
async fn several_are_found_in_the_order_of_the_question() {
    let running = running().await;
    let question = json!({ "identities": ["@zoe", "bob🛠", "@Alice", "nobody", "alice", "zoe"] });
    let answer = running.lookup(&question.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = answer.json();
    let found: Vec<_> = answer["found"].as_object().unwrap().keys().collect();
    assert_eq!(found, ["@bob🛠", "@alice"]);
    assert_eq!(answer["unknown"], json!(["@zoe", "@nobody"]));
    let alice = running.get("/v1/identities/alice").await.json();
    assert_eq!(answer["found"]["@alice"], alice);
    let none = running.lookup(r#"{"identities":[]}"#).await;
    assert_eq!(none.body, r#"{"found":{},"unknown":[]}"#);
}

#[tokio::test]
async fn a_question_that_is_none_is_refused_by_kind() {
    let running = running().await;
    let names = |count| json!({ "identities": vec!["a"; count] }).to_string();
    let long = json!({ "identities": ["x".repeat(33_000)] }).to_string();
    let deep = format!("{}{}", "[".repeat(16_000), "]".repeat(16_000));
    let deep_inside = format!("{{\"identities\":{deep}}}");
    for (body, problem) in [
        ("", (400, "bad-request")),
        ("{}", (400, "bad-request")),
        ("[]", (400, "bad-request")),
        ("{\"identities\":null}", (400, "bad-request")),
        ("{\"identities\":[1]}", (400, "bad-request")),
        ("{\"identities\":[],\"more\":1}", (400, "bad-request")),
        ("{\"identities\":[\"\\ud800\"]}", (400, "bad-request")),
        (&deep, (400, "bad-request")),
        (&deep_inside, (400, "bad-request")),
        (&names(257), (422, "too-many-names")),
        (&names(8_000), (422, "too-many-names")),
        (&long, (413, "too-large")),
    ] {
        let answer = running.lookup(body).await;
        let shown = body.chars().take(40).collect::<String>();
        assert_eq!(answer.problem(), (problem.0, problem.1.to_owned()), "{shown}");
    }
    assert_eq!(running.lookup(&names(256)).await.status, 200);
    let raw = running.request("POST", "/v1/lookup", &[], b"{\"identities\":[\"\xff\"]}").await;
    assert_eq!(raw.problem(), (400, "bad-request".into()));

    let bad = running.lookup(r#"{"identities":["@a","b c","@d@"]}"#).await;
    assert_eq!(bad.problem(), (422, "bad-name".into()));
    let invalid = &bad.json()["invalid"];
    assert_eq!((&invalid[0]["identity"], &invalid[0]["index"]), (&json!("b c"), &json!(1)));
    assert_eq!((&invalid[1]["identity"], &invalid[1]["index"]), (&json!("@d@"), &json!(2)));
    assert_eq!(invalid.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_name_that_is_none_is_refused_by_kind() {
    let running = running().await;
    let long = "x".repeat(8_000);
    for (name, problem) in [
        ("@", (422, "bad-name")),
        ("%40", (422, "bad-name")),
        (".", (422, "bad-name")),
        ("a%20b", (422, "bad-name")),
        ("a%00b", (422, "bad-name")),
        ("a%2Fb", (422, "bad-name")),
        ("a%40b", (422, "bad-name")),
        (&long, (422, "bad-name")),
        ("%", (400, "bad-path")),
        ("alice%", (400, "bad-path")),
        ("%4", (400, "bad-path")),
        ("%zz", (400, "bad-path")),
        ("%ff%fe", (400, "bad-path")),
        ("%C0%80", (400, "bad-path")),
        ("", (404, "no-such-path")),
        ("a/b", (404, "no-such-path")),
        ("../v1/status", (404, "no-such-path")),
    ] {
        let answer = running.get(&format!("/v1/identities/{name}")).await;
        let shown = name.chars().take(40).collect::<String>();
        assert_eq!(answer.problem(), (problem.0, problem.1.to_owned()), "{shown}");
    }
}

#[tokio::test]
async fn what_is_not_there_and_cannot_be_done_is_a_problem_too() {
    let running = running().await;
    for path in ["/", "/v1", "/v1/identities", "/v2/status", "/metrics", "//v1/status"] {
        assert_eq!(running.get(path).await.problem(), (404, "no-such-path".into()), "{path}");
    }
    for (method, path, allowed) in [
        ("DELETE", "/v1/identities/alice", "GET,HEAD,OPTIONS"),
        ("PUT", "/v1/status", "GET,HEAD,OPTIONS"),
        ("GET", "/v1/lookup", "POST,OPTIONS"),
        ("TRACE", "/healthz", "GET,HEAD,OPTIONS"),
        ("BREW", "/readyz", "GET,HEAD,OPTIONS"),
    ] {
        let answer = running.request(method, path, &[], b"").await;
        assert_eq!(answer.problem(), (405, "wrong-method".into()), "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_may_ask() {
    let running = running().await;
    for path in ["/v1/identities/alice", "/v1/lookup", "/v1/status"] {
        let asks = ["origin: https://page.example", "access-control-request-method: POST"];
        let may = running.request("OPTIONS", path, &asks, b"").await;
        assert_eq!(may.status, 204, "{path}");
        assert_eq!(may.header("access-control-allow-origin"), Some("*"));
        assert_eq!(may.header("access-control-allow-methods"), Some("GET, HEAD, POST"));
        assert_eq!(may.header("access-control-allow-headers"), Some("Content-Type, If-None-Match"));
        assert_eq!(may.header("access-control-max-age"), Some("86400"));
    }
    let exposed = running.get("/v1/identities/alice").await;
    assert!(exposed.header("access-control-expose-headers").unwrap().contains("ETag"));
}

#[tokio::test]
async fn the_status_says_how_old_the_knowledge_is_and_what_is_missing() {
    let running = running().await;
    let status = running.get("/v1/status").await;
    assert_eq!(status.header("cache-control"), Some("no-store"));
    let mut status = status.json();
    let age = status.as_object_mut().unwrap().remove("age_seconds").unwrap();
    assert!(age.as_u64().unwrap() <= 10, "{age}");
    let expected = json!({
        "ready": true, "feed": "07".repeat(16), "generation": 2, "checkpoint": 2, "newest": 2,
        "lag": 0, "entries": 2, "version": env!("CARGO_PKG_VERSION"),
    });
    assert_eq!(status, expected);
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_what_was_asked() {
    let running = running().await;
    for path in ["/v1/identities/alice", "/v1/identities/nobody", "/v1/identities/%", "/x", "/y/z"]
    {
        running.get(path).await;
    }
    running.request("DELETE", "/v1/status", &[], b"").await;
    running.lookup(r#"{"identities":["alice","bob🛠","nobody"]}"#).await;
    let mut metrics = net::telemetry::Metrics::with_prefix("warren_directory");
    running.directory.register(&mut metrics);
    let text = net::telemetry::encode_metrics(&metrics);
    let requests = "warren_directory_https_requests_total";
    for line in [
        format!("{requests}{{route=\"/v1/identities/{{name}}\",status=\"2xx\"}} 1"),
        format!("{requests}{{route=\"/v1/identities/{{name}}\",status=\"4xx\"}} 2"),
        format!("{requests}{{route=\"/v1/status\",status=\"4xx\"}} 1"),
        format!("{requests}{{route=\"/v1/lookup\",status=\"2xx\"}} 1"),
        format!("{requests}{{route=\"none\",status=\"4xx\"}} 2"),
        "warren_directory_lookups_total{result=\"found\"} 3".into(),
        "warren_directory_lookups_total{result=\"unknown\"} 2".into(),
        "warren_directory_https_accepted_total 7".into(),
        "warren_directory_accepted_total 0".into(),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn heads_without_measure_are_cut_and_harm_nobody() {
    let running = running().await;
    let path = format!("/v1/identities/{}", "x".repeat(20_000));
    assert_eq!(running.get(&path).await.status, 431);
    let long = format!("x: {}", "y".repeat(20_000));
    assert_eq!(running.request("GET", "/healthz", &[&long], b"").await.status, 431);
    let many = vec!["x: y"; 1_000];
    assert_eq!(running.request("GET", "/healthz", &many, b"").await.status, 431);
    for rubbish in
        [&b"\r\n\r\n\r\nrubbish\r\n\r\n"[..], b"GET\r\n\r\n", b"\x16\x03\x01\x00\r\n\r\n"]
    {
        assert_eq!(running.raw(rubbish).await.status, 400);
    }
    assert_eq!(running.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_body_that_drips_or_lies_about_its_length_is_given_up() {
    let running = running().await;
    let mut client = running.connect().await;
    client.send(b"POST /v1/lookup HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{").await;
    let began = Instant::now();
    let mut text = Vec::new();
    while let Some(record) = client.record().await {
        text.extend(record);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with("HTTP/1.1 408") && text.contains("too-slow"), "{text}");
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());

    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    let head = "POST /v1/lookup HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = running.raw(format!("{head}{chunk}1\r\nx\r\n").as_bytes()).await;
    assert_eq!(answer.problem(), (413, "too-large".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_questions_do_not_notice_hundreds_of_slow_clients() {
    let running = running().await;
    let (mut half_open, mut dripping) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
        half_open.push(stream);
        for part in [
            &b"GET /v1/ident"[..],
            b"POST /v1/lookup HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
        ] {
            let mut client = running.connect().await;
            client.send(part).await;
            dripping.push(client);
        }
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..30 {
        let began = Instant::now();
        assert_eq!(running.get("/v1/identities/alice").await.status, 200);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    drop((half_open, dripping));
}

#[tokio::test]
async fn a_drain_ends_the_front_with_its_idle_connections() {
    let running = running().await;
    let mut client = running.connect().await;
    client.send(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(client.record().await.unwrap().starts_with(b"HTTP/1.1 200 OK\r\n"));
    running.drain.start();
    assert_eq!(client.record().await, None);
    assert!(running.drain.finished(SOON).await);
}
