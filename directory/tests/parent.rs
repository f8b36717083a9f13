//! Split horizon: own names from here, others from a parent, which may be gone, slow or mad.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::parent::{Stub, parent_at};
use common::{Client, Registrar, Running, SOON, change};
use directory::limits::PARENT_DEADLINE;
use tokio::net::TcpListener;
use tokio::time::sleep;

const ALICE: &[u8] = b"localhost:25000\r\n@";
const FAR: &[u8] = b"far.example:64\r\n@";
const NULL: &[u8] = b"null\r\n@";

fn own_names() -> Registrar {
    Registrar::new(vec![change(1, "alice", Some("localhost:25000"), 1)])
}

fn the_world() -> Registrar {
    Registrar::new(vec![
        change(1, "far", Some("far.example:64"), 1),
        change(2, "alice", Some("impostor.example:1"), 1),
    ])
}

/// A private directory below whoever listens on this port.
async fn below(authority: &Running, port: u16) -> Running {
    let running = Running::start_below(Some(parent_at(authority, port)), authority).await;
    running.follow(&own_names()).await;
    running
}

/// Asks, and tells how long the answer or the close took.
async fn timed(client: &mut Client, line: &[u8]) -> (Option<Vec<u8>>, Duration) {
    let began = Instant::now();
    (client.ask(line).await, began.elapsed())
}

#[tokio::test]
async fn own_names_are_answered_here_and_others_by_the_parent() {
    let world = Running::following(&the_world()).await;
    let private = below(&world, world.address.port()).await;
    let mut client = private.client().await;
    assert_eq!(client.ask(b"alice\n").await.unwrap(), ALICE, "own names win");
    assert_eq!(client.ask(b"far\n").await.unwrap(), FAR);
    assert_eq!(client.ask(b"nobody\n").await.unwrap(), NULL);
    assert_eq!(world.client().await.ask(b"far\n").await.unwrap(), FAR);
    let text = private.metrics();
    for line in
        ["parent_lookups_total{result=\"found\"} 1", "parent_lookups_total{result=\"unknown\"} 1"]
    {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn without_a_parent_nobody_is_asked() {
    let alone = Running::following(&own_names()).await;
    assert_eq!(alone.client().await.ask(b"far\n").await.unwrap(), NULL);
}

#[tokio::test]
async fn names_that_are_here_never_leave() {
    let stub = Stub::answering(b"null\r\n@").await;
    let private = below(&stub.authority, stub.port).await;
    let mut client = private.client().await;
    for line in [&b"alice\n"[..], b"@ALICE\r\n", b"al.ice\n", b"\r\n", b"a b\n"] {
        client.ask(line).await.unwrap();
    }
    assert_eq!(stub.calls(), 0);
}

#[tokio::test]
async fn many_who_ask_for_one_name_are_one_question_and_its_answer_is_remembered() {
    let stub = Stub::answering(FAR).await;
    let private = below(&stub.authority, stub.port).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = private.client().await;
        client.send(b"far\n").await;
        clients.push(client);
    }
    for mut client in clients {
        assert_eq!(client.record().await.unwrap(), FAR);
    }
    assert_eq!(private.client().await.ask(b"far\n").await.unwrap(), FAR);
    assert_eq!(stub.calls(), 1);
}

#[tokio::test]
async fn known_answers_do_not_wait_for_the_parents() {
    let stub = Stub::answering(b"").await;
    let private = below(&stub.authority, stub.port).await;
    let mut client = private.client().await;
    let (answer, took) = timed(&mut client, b"alice\nfar\nalice\n").await;
    assert_eq!(answer.unwrap(), ALICE);
    assert!(took < PARENT_DEADLINE / 2, "{took:?}");
    assert_eq!(client.record().await, None);
}

#[tokio::test]
async fn a_parent_that_hangs_is_an_error_within_the_deadline_and_never_unknown() {
    let stub = Stub::answering(b"").await;
    let private = below(&stub.authority, stub.port).await;
    let mut others = private.client().await;
    let (answer, took) = timed(&mut private.client().await, b"far\n").await;
    assert_eq!(answer, None, "closed without an answer");
    assert!(took < PARENT_DEADLINE + Duration::from_secs(1), "{took:?}");
    assert_eq!(others.ask(b"alice\n").await.unwrap(), ALICE);
    assert!(private.metrics().contains("closed_total{reason=\"parent_unanswered\"} 1\n"));
}

#[tokio::test]
async fn a_parent_that_answers_rubbish_is_an_error() {
    for rubbish in [
        &b"far.example\r\n@"[..],
        b"\r\n@",
        b"error:AT0001\r\n@",
        b"nul\r\n@",
        b"\xff\xfe\r\n@",
        &[b'x'; 4096],
    ] {
        let stub = Stub::answering(rubbish).await;
        let private = below(&stub.authority, stub.port).await;
        assert_eq!(private.client().await.ask(b"far\n").await, None, "{rubbish:?}");
    }
}

#[tokio::test]
async fn a_parent_that_dies_is_an_error_and_asked_again_once_it_is_back() {
    let world = Running::following(&the_world()).await;
    let port = world.address.port();
    let private = below(&world, port).await;
    assert_eq!(private.client().await.ask(b"far\n").await.unwrap(), FAR);
    world.drain.start();
    assert!(world.drain.finished(SOON).await);
    assert_eq!(private.client().await.ask(b"nobody\n").await, None);
    assert_eq!(private.client().await.ask(b"far\n").await.unwrap(), FAR, "still remembered");
    assert_eq!(private.client().await.ask(b"alice\n").await.unwrap(), ALICE);
    let again = Running::start_on(port, &world).await;
    again.follow(&the_world()).await;
    assert_eq!(private.client().await.ask(b"nobody\n").await.unwrap(), NULL);
}

#[tokio::test]
async fn rings_of_parents_end_with_an_error_for_what_nobody_has() {
    let authority = Running::start().await;
    for length in [1_usize, 2, 3] {
        let mut listeners = Vec::new();
        for _ in 0..length {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let ports: Vec<u16> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
        let mut ring = Vec::new();
        for (number, listener) in listeners.into_iter().enumerate() {
            let parent = parent_at(&authority, ports[(number + 1) % length]);
            let running = Running::start_with(listener, Some(parent), &authority).await;
            running.follow(&if number == 0 { own_names() } else { the_world() }).await;
            ring.push(running);
        }
        let (answer, took) = timed(&mut ring[0].client().await, b"nobody\n").await;
        assert_eq!(answer, None, "{length}");
        assert!(took < PARENT_DEADLINE + Duration::from_secs(1), "{length}: {took:?}");
        assert_eq!(ring[0].client().await.ask(b"alice\n").await.unwrap(), ALICE);
        if length > 1 {
            assert_eq!(ring[0].client().await.ask(b"far\n").await.unwrap(), FAR);
        }
        // Nothing goes round once nobody waits any more.
        let accepted = || ring.iter().map(Running::connections).sum::<usize>();
        let ended = async {
            while accepted() > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(2 * SOON, ended).await.expect("the ring falls silent");
    }
}
