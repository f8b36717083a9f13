//! The directory's part of the protocol's conformance checklist, a test for each of its lines, and
//! what we add to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use common::{Registrar, Running, SOON, change};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const ALICE: &[u8] = b"localhost:25000\r\n@";
const NULL: &[u8] = b"null\r\n@";

async fn running() -> Running {
    let registrar = Registrar::new(vec![
        change(1, "alice", Some("localhost:25000"), 1),
        change(2, "bob🛠", Some("b.example:64"), 1),
        change(3, "ürümqi", Some("u.example:1"), 1),
    ]);
    Running::following(&registrar).await
}

#[tokio::test]
async fn check_01_after_tls_there_is_exactly_one_at_sign_and_nothing_more() {
    let running = running().await;
    let mut client = running.connect().await;
    let began = Instant::now();
    assert_eq!(client.record().await.unwrap(), b"@");
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(client.is_silent().await);
}

#[tokio::test]
async fn check_02_a_known_name_gets_address_and_prompt_in_one_record() {
    let running = running().await;
    assert_eq!(running.client().await.ask(b"alice\n").await.unwrap(), ALICE);
}

#[tokio::test]
async fn check_03_a_carriage_return_before_the_line_end_changes_nothing() {
    let running = running().await;
    assert_eq!(running.client().await.ask(b"alice\r\n").await.unwrap(), ALICE);
}

#[tokio::test]
async fn check_04_capitals_change_nothing() {
    let running = running().await;
    assert_eq!(running.client().await.ask(b"ALICE\n").await.unwrap(), ALICE);
}

#[tokio::test]
async fn check_05_an_unknown_name_gets_null() {
    let running = running().await;
    assert_eq!(running.client().await.ask(b"nobody\n").await.unwrap(), NULL);
}

#[tokio::test]
async fn check_06_an_empty_line_gets_null() {
    let running = running().await;
    for empty in [&b"\r\n"[..], b"\n"] {
        assert_eq!(running.client().await.ask(empty).await.unwrap(), NULL);
    }
}

#[tokio::test]
async fn check_07_an_emoji_name_resolves() {
    let running = running().await;
    let mut client = running.client().await;
    assert_eq!(client.ask("bob🛠\n".as_bytes()).await.unwrap(), b"b.example:64\r\n@");
    let other = client.ask("bob🛠\u{fe0f}\n".as_bytes()).await.unwrap();
    assert_eq!(other, NULL, "a variation selector makes another name");
}

#[tokio::test]
async fn check_08_gap_20_a_name_split_inside_a_character_resolves() {
    let running = running().await;
    let mut client = running.client().await;
    let line = "bob🛠\n".as_bytes();
    for half in [&line[..5], &line[5..]] {
        client.send(half).await;
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(client.record().await.unwrap(), b"b.example:64\r\n@");
}

#[tokio::test]
async fn check_09_lookups_on_one_connection_are_answered_in_order() {
    let running = running().await;
    let mut client = running.client().await;
    client.send("alice\nürümqi\nalice\n".as_bytes()).await;
    // Questions that come together are answered together: no SDK asks so, a resolver does.
    let answers = [ALICE, b"u.example:1\r\n@", ALICE].concat();
    let mut came = Vec::new();
    while came.len() < answers.len() {
        came.extend(client.record().await.unwrap());
    }
    assert_eq!(came, answers);
    assert_eq!(client.ask(b"alice\n").await.unwrap(), ALICE);
    // What is known does not wait behind what takes long because it is not.
    client.send(b"nobody\nalice\nnobody\n").await;
    assert_eq!(client.record().await.unwrap(), [NULL, ALICE].concat());
}

#[tokio::test]
async fn check_10_exit_closes_without_a_byte() {
    let running = running().await;
    for exit in [&b"@exit\n"[..], b"@exit", b"@exit\r\n"] {
        assert_eq!(running.client().await.ask(exit).await, None);
    }
}

#[tokio::test]
async fn check_11_a_line_of_256_characters_closes_without_an_answer() {
    let running = running().await;
    assert_eq!(running.client().await.ask(&[b'x'; 256]).await, None);
    let mut client = running.client().await;
    assert_eq!(client.ask(&[&[b'x'; 255][..], b"\n"].concat()).await.unwrap(), NULL);
}

#[tokio::test]
async fn check_12_text_that_is_not_utf8_harms_nobody() {
    let running = running().await;
    let mut other = running.client().await;
    let mut client = running.client().await;
    assert_eq!(client.ask(b"\xff\xfe\xc3\x28\n").await.unwrap(), NULL);
    assert_eq!(client.ask(b"alice\n").await.unwrap(), ALICE);
    assert_eq!(other.ask(b"alice\n").await.unwrap(), ALICE);
}

#[tokio::test]
async fn check_13_an_aborted_handshake_does_not_disturb_the_listener() {
    let running = running().await;
    for part in [&b""[..], &[0x16, 3, 1, 0, 200, 1]] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(part).await.unwrap();
        drop(stream);
    }
    assert_eq!(running.client().await.ask(b"alice\n").await.unwrap(), ALICE);
}

#[tokio::test]
async fn check_14_rubbish_without_tls_is_dropped_and_blocks_nobody() {
    let running = running().await;
    let mut rubbish = TcpStream::connect(running.address).await.unwrap();
    rubbish.write_all(b"alice\nalice\nalice\n").await.unwrap();
    assert_eq!(running.client().await.ask(b"alice\n").await.unwrap(), ALICE);
    let dropped = timeout(SOON, rubbish.read_to_end(&mut Vec::new())).await;
    assert!(dropped.is_ok(), "it is dropped");
}

#[tokio::test]
async fn check_15_a_second_unknown_name_is_answered_late_the_first_at_once() {
    let running = running().await;
    let mut client = running.client().await;
    let began = Instant::now();
    assert_eq!(client.ask(b"\r\n").await.unwrap(), NULL);
    assert_eq!(client.ask(b"nobody\n").await.unwrap(), NULL);
    assert_eq!(client.ask(b"\r\n").await.unwrap(), NULL);
    assert_eq!(client.ask(b"alice\n").await.unwrap(), ALICE);
    assert!(began.elapsed() < Duration::from_secs(1), "neither empty lines nor one miss are late");
    let began = Instant::now();
    assert_eq!(client.ask(b"nobody\n").await.unwrap(), NULL);
    assert!(began.elapsed() >= Duration::from_secs(3));
    let began = Instant::now();
    assert_eq!(running.client().await.ask(b"alice\n").await.unwrap(), ALICE);
    assert!(began.elapsed() < Duration::from_secs(1), "others do not wait for it");
}

#[tokio::test]
async fn a_leading_at_sign_and_dots_are_taken_as_the_same_name() {
    let running = running().await;
    let mut client = running.client().await;
    assert_eq!(client.ask(b"@alice\n").await.unwrap(), ALICE);
    assert_eq!(client.ask(b"al.ice\n").await.unwrap(), ALICE);
    assert_eq!(client.ask(b" alice \n").await.unwrap(), ALICE);
}

#[tokio::test]
async fn nobody_is_unknown_to_a_directory_that_knows_nothing_yet() {
    let running = Running::start().await;
    let mut clients = Vec::new();
    for line in [&b"alice\n"[..], b"nobody\n", b"\r\n", b"\xff\n"] {
        let mut client = running.client().await;
        client.send(line).await;
        clients.push(client);
    }
    for mut client in clients {
        assert_eq!(client.record().await, None, "closed without an answer");
    }
    assert!(!running.directory.status().ready);
    let mut metrics = net::telemetry::Metrics::default();
    running.directory.register(&mut metrics);
    let text = net::telemetry::encode_metrics(&metrics);
    assert!(text.contains("closed_total{reason=\"not_ready\"} 4\n"), "{text}");
}

#[tokio::test]
async fn a_question_that_came_a_little_early_is_answered_once_it_can_be() {
    let running = Running::start().await;
    let mut client = running.client().await;
    client.send(b"alice\n").await;
    sleep(Duration::from_millis(200)).await;
    let registrar = Registrar::new(vec![change(1, "alice", Some("localhost:25000"), 1)]);
    let directory = std::sync::Arc::clone(&running.directory);
    tokio::spawn(directory.follow(
        std::sync::Arc::new(registrar),
        common::the_key().public(),
        running.drain.clone(),
    ));
    assert_eq!(client.record().await.unwrap(), ALICE);
}

#[tokio::test]
async fn after_a_restart_nobody_is_unknown_whom_the_registrar_may_still_tell_of() {
    let registrar = Registrar::new(vec![change(1, "alice", Some("localhost:25000"), 1)]);
    let first = Running::following(&registrar).await;
    first.drain.start();
    assert!(first.drain.finished(SOON).await);
    // Registered after the file was written; then the process died.
    registrar.publish(change(2, "late", Some("late.example:1"), 1));

    let second = Running::start_in(first.folder).await;
    assert!(second.directory.status().ready);
    let mut client = second.client().await;
    client.send(b"late\n").await;
    sleep(Duration::from_millis(300)).await;
    let source = std::sync::Arc::new(registrar);
    tokio::spawn(std::sync::Arc::clone(&second.directory).follow(
        source,
        common::the_key().public(),
        second.drain.clone(),
    ));
    assert_eq!(client.record().await.unwrap(), b"late.example:1\r\n@");
}

#[tokio::test]
async fn with_the_registrar_dead_its_own_file_answers_after_a_moment() {
    let registrar = Registrar::new(vec![change(1, "alice", Some("localhost:25000"), 1)]);
    let first = Running::following(&registrar).await;
    first.drain.start();
    assert!(first.drain.finished(SOON).await);
    let second = Running::start_in(first.folder).await;
    let began = Instant::now();
    let mut client = second.client().await;
    assert_eq!(client.ask(b"alice\n").await.unwrap(), ALICE);
    assert_eq!(client.ask(b"nobody\n").await.unwrap(), NULL);
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_idle_connection_is_closed_by_a_drain_which_ends() {
    let running = running().await;
    let mut client = running.client().await;
    running.drain.start();
    assert_eq!(client.record().await, None);
    assert!(running.drain.finished(SOON).await);
}

#[tokio::test]
async fn figures_are_counted_by_kind() {
    let running = running().await;
    let mut client = running.client().await;
    for line in [&b"alice\n"[..], b"\n", b"nobody\n", b"alice\n"] {
        client.ask(line).await.unwrap();
    }
    assert_eq!(client.ask(b"@exit\n").await, None);
    let mut metrics = net::telemetry::Metrics::with_prefix("warren_directory");
    running.directory.register(&mut metrics);
    let text = net::telemetry::encode_metrics(&metrics);
    for line in [
        "warren_directory_lookups_total{result=\"found\"} 2",
        "warren_directory_lookups_total{result=\"unknown\"} 1",
        "warren_directory_lookups_total{result=\"empty\"} 1",
        "warren_directory_closed_total{reason=\"client\"} 1",
        "warren_directory_entries 3",
        "warren_directory_feed_number 3",
        "warren_directory_feed_newest 3",
        "warren_directory_accepted_total 1",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn our_own_client_understands_the_directory() {
    let running = running().await;
    let tls = net::tls::ClientTls::new(&running.roots(), None).unwrap();
    let dialer = net::dial::Dialer::new(tls, net::dial::DialPolicy::Any, SOON);
    let at = common::address(&format!("localhost:{}", running.address.port()));
    let client = net::lookup::DirectoryClient::new(at, dialer);
    let found = client.resolve(&common::name("alice")).await.unwrap();
    assert_eq!(found, Some(common::address("localhost:25000")));
    assert_eq!(client.resolve(&common::name("nobody")).await.unwrap(), None);
}
