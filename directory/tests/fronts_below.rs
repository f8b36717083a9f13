//! Split horizon over HTTPS and DNS: as over the line protocol, own names are told to nobody, and a
//! parent's silence makes nobody unknown.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::Arc;
use std::time::Instant;

use common::dns::{Front, data, question, receive, send};
use common::https::{https, https_below};
use common::parent::{Stub, nobody, parent_at};
use common::{Registrar, Running, SOON, change, name};
use directory::Parent;
use directory::limits::{DNS_PARENT_QUESTIONS_MAX, PARENT_DEADLINE};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn own() -> Running {
    let alice = change(1, "alice", Some("localhost:25000"), 1);
    Running::following(&Registrar::new(vec![alice])).await
}

async fn world() -> Running {
    Running::following(&Registrar::new(vec![
        change(1, "far", Some("far.example:64"), 3),
        change(2, "alice", Some("impostor.example:1"), 1),
    ]))
    .await
}

/// Both fronts of a directory below this parent.
async fn fronts(parent: Arc<Parent>) -> (Running, Front) {
    let dns = Front::below(Some(Arc::clone(&parent)), own().await, 0).await;
    (https_below(own().await, Some(parent)).await, dns)
}

#[tokio::test]
async fn own_names_are_answered_here_and_others_by_the_parent() {
    let world = world().await;
    let (https, dns) = fronts(parent_at(&world, world.address.port())).await;
    let alice = https.get("/v1/identities/alice").await.json();
    assert_eq!(
        (&alice["host"], &alice["epoch"]),
        (&json!("localhost"), &json!(1)),
        "own names win"
    );
    let far = https.get("/v1/identities/far").await;
    let expected = json!({ "identity": "@far", "host": "far.example", "port": 64 });
    assert_eq!((far.status, far.json()), (200, expected.clone()));
    assert!(far.header("etag").is_some());
    let unknown = https.get("/v1/identities/nobody").await.problem();
    assert_eq!(unknown, (404, "unknown-identity".into()));
    let several = https.lookup(r#"{"identities":["nobody","far","alice"]}"#).await.json();
    assert_eq!(
        several,
        json!({ "found": { "@far": expected, "@alice": alice }, "unknown": ["@nobody"] })
    );

    let text = dns.ask("far.dir.example.", RecordType::TXT).await;
    assert_eq!(data(&text.answers), ["host=far.example port=64"]);
    let service = dns.ask("_atproto._tcp.far.dir.example.", RecordType::SRV).await;
    assert_eq!(data(&service.answers), ["0 0 64 far.example."]);
    let alice = dns.ask("alice.dir.example.", RecordType::TXT).await;
    assert_eq!(data(&alice.answers), ["host=localhost port=25000 epoch=1"]);
    assert_eq!(dns.code("nobody.dir.example.", RecordType::A).await, ResponseCode::NXDomain);
    let mut stream = TcpStream::connect(dns.tcp).await.unwrap();
    let asked = ["alice", "far", "nobody"]
        .map(|who| question(&format!("{who}.dir.example."), RecordType::SVCB));
    send(&mut stream, &asked).await;
    for code in [ResponseCode::NoError, ResponseCode::NoError, ResponseCode::NXDomain] {
        assert_eq!(receive(&mut stream).await.unwrap().metadata.response_code, code);
    }
    for running in [&https, &dns.running] {
        assert!(running.metrics().contains("parent_lookups_total{result=\"found\"}"));
    }
}

#[tokio::test]
async fn names_that_are_here_never_leave() {
    let stub = Stub::answering(b"null\r\n@").await;
    let (https, dns) = fronts(parent_at(&stub.authority, stub.port)).await;
    https.get("/v1/identities/alice").await;
    https.get("/v1/identities/alice/proof").await;
    https.get("/v1/identities/nobody/proof").await;
    https.get("/v1/identities/a%20b").await;
    https.lookup(r#"{"identities":["alice","ALICE"]}"#).await;
    for asked in [
        "alice.dir.example.",
        "_atproto._tcp.alice.dir.example.",
        "_proof.alice.dir.example.",
        "_udp.nobody.dir.example.",
        "swarm.dir.example.",
        "u1-0-alice.dir.example.",
        "dir.example.",
        "nobody.example.",
    ] {
        dns.ask(asked, RecordType::A).await;
    }
    assert_eq!(stub.calls(), 0);
}

#[tokio::test]
async fn a_parent_that_is_gone_is_an_error_and_never_unknown() {
    let authority = Running::start().await;
    let (https, dns) = fronts(nobody(&authority).await).await;
    let unanswered = (503, "parent-unanswered".to_owned());
    let far = https.get("/v1/identities/far").await;
    assert_eq!(far.problem(), unanswered);
    assert!(far.header("retry-after").is_some());
    assert_eq!(https.lookup(r#"{"identities":["alice","far"]}"#).await.problem(), unanswered);
    assert_eq!(https.get("/v1/identities/alice").await.status, 200);
    assert_eq!(https.get("/v1/identities/far/proof").await.problem(), (421, "not-ours".into()));

    let socket = dns.socket().await;
    socket.send(&question("far.dir.example.", RecordType::A).to_vec().unwrap()).await.unwrap();
    let mut buffer = vec![0; 4096];
    let length = timeout(2 * SOON, socket.recv(&mut buffer)).await.unwrap().unwrap();
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    let mut stream = TcpStream::connect(dns.tcp).await.unwrap();
    let asked =
        ["alice", "far"].map(|who| question(&format!("{who}.dir.example."), RecordType::TXT));
    send(&mut stream, &asked).await;
    for code in [ResponseCode::NoError, ResponseCode::ServFail] {
        assert_eq!(receive(&mut stream).await.unwrap().metadata.response_code, code);
    }
}

#[tokio::test]
async fn whoever_waits_for_the_parent_over_udp_holds_up_nobody_and_is_one_of_few() {
    let stub = Stub::answering(b"").await;
    let parent = parent_at(&stub.authority, stub.port);
    let dns = Front::below(Some(parent), own().await, 0).await;
    let socket = dns.socket().await;
    for at in 0..DNS_PARENT_QUESTIONS_MAX {
        let asked = question(&format!("far{at}.dir.example."), RecordType::A);
        socket.send(&asked.to_vec().unwrap()).await.unwrap();
    }
    let began = Instant::now();
    let alice = dns.ask("alice.dir.example.", RecordType::TXT).await;
    assert_eq!(alice.answers.len(), 1);
    let one_more = dns.code("onemore.dir.example.", RecordType::A).await;
    assert_eq!(one_more, ResponseCode::ServFail, "at once");
    assert!(began.elapsed() < PARENT_DEADLINE / 2, "{:?}", began.elapsed());
    let mut buffer = vec![0; 4096];
    for _ in 0..DNS_PARENT_QUESTIONS_MAX {
        let length = timeout(2 * SOON, socket.recv(&mut buffer)).await.unwrap().unwrap();
        let answer = Message::from_vec(&buffer[..length]).unwrap();
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    }
}

#[tokio::test]
async fn without_a_parent_nobody_is_asked() {
    let running = https(own().await).await;
    assert_eq!(running.get("/v1/identities/far").await.status, 404);
    assert_eq!(running.get("/v1/identities/far/proof").await.status, 404);
    assert!(running.directory.lookup(&name("far")).is_none());
}
