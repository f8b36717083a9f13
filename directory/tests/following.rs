//! The follower: what it starts from, what it refuses, and what it keeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::convert::Infallible;
use std::fs;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{Registrar, SOON, address, change, name, signed, signed_snapshot, the_feed, the_key};
use directory::limits::READY_WAIT;
use directory::{BoxFuture, Carriers, Directory, FeedAnswer, FeedError, FeedSource, HttpsFeed};
use feed::Signed;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use net::clock::{Clock, ManualClock};
use net::drain::Drain;
use net::https::{BoundedBody, HttpsClient, serve_http};
use net::tls::{CertificateAuthority, ClientTls, ServerTls, SubjectName, TrustRoots};
use protocol::{FeedId, HostName, Timestamp};
use tokio::time::{Instant, sleep};

struct Follower {
    directory: Arc<Directory>,
    drain: Drain,
}

fn follow(file: &Path, source: impl FeedSource) -> Follower {
    let directory = Directory::open(file.to_owned()).unwrap();
    let drain = Drain::new();
    let source: Arc<dyn FeedSource> = Arc::new(source);
    tokio::spawn(Arc::clone(&directory).follow(source, the_key().public(), drain.clone()));
    Follower { directory, drain }
}

impl Follower {
    async fn stop(self) {
        self.drain.start();
        assert!(self.drain.finished(SOON).await);
    }

    async fn reaches(&self, number: u64) -> bool {
        self.directory.reached(number, Duration::from_secs(60)).await
    }

    fn is_at(&self, identity: &str, at: &str) -> bool {
        self.directory.lookup(&name(identity)) == Some(address(at))
    }
}

fn alice_at(number: u64, port: u16) -> protocol::control::feed::Change {
    change(number, "alice", Some(&format!("localhost:{port}")), number)
}

#[tokio::test(start_paused = true)]
async fn changes_arrive_as_they_are_published() {
    let folder = tempfile::tempdir().unwrap();
    let registrar = Registrar::new(vec![alice_at(1, 1)]);
    let follower = follow(&folder.path().join("file"), registrar.clone());
    assert!(follower.reaches(1).await && follower.is_at("alice", "localhost:1"));
    registrar.publish(alice_at(2, 2));
    registrar.publish(change(3, "bob", Some("b:1"), 1));
    assert!(follower.reaches(3).await && follower.is_at("alice", "localhost:2"));
    registrar.publish(change(4, "bob", None, 1));
    assert!(follower.reaches(4).await);
    assert_eq!(follower.directory.lookup(&name("bob")), None);
    let status = follower.directory.status();
    assert!(status.ready && status.feed == Some(the_feed()));
    assert_eq!((status.number, status.entries), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn an_empty_feed_makes_a_directory_that_is_ready_and_knows_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let follower = follow(&folder.path().join("file"), Registrar::new(Vec::new()));
    assert!(follower.directory.ready(SOON).await);
    assert_eq!(follower.directory.lookup(&name("alice")), None);
}

#[tokio::test]
async fn its_own_file_is_enough_to_start_without_the_registrar() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let registrar = Registrar::new(vec![alice_at(1, 1)]);
    let follower = follow(&file, registrar.clone());
    assert!(follower.reaches(1).await);
    registrar.publish(alice_at(2, 2));
    assert!(follower.reaches(2).await);
    follower.stop().await;

    registrar.set_away(true);
    let alone = follow(&file, registrar.clone());
    let status = alone.directory.status();
    assert!(status.ready && status.number == 2 && status.age.is_some());
    assert!(alone.is_at("alice", "localhost:2"));

    registrar.publish(alice_at(3, 3));
    registrar.set_away(false);
    assert!(alone.reaches(3).await && alone.is_at("alice", "localhost:3"));
    alone.stop().await;
    let again = Directory::open(file).unwrap();
    assert_eq!(again.status().number, 3);
}

/// A carrier that takes every question and answers none.
struct Hangs;

impl FeedSource for Hangs {
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
        Box::pin(pending())
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>> {
        Box::pin(pending())
    }

    fn after(
        &self,
        _: FeedId,
        _: u64,
        _: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
        Box::pin(pending())
    }
}

#[tokio::test]
async fn its_own_file_answers_once_all_carriers_have_failed_or_for_one_that_hangs_a_little_later() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let registrar = Registrar::new(vec![alice_at(1, 1)]);
    let follower = follow(&file, registrar.clone());
    assert!(follower.reaches(1).await);
    follower.stop().await;
    registrar.set_away(true);
    let away = || Arc::new(registrar.clone()) as Arc<dyn FeedSource>;

    let began = Instant::now();
    let alone = follow(&file, Carriers::new(vec![away(), away()]));
    assert!(alone.directory.can_answer().await && alone.is_at("alice", "localhost:1"));
    assert!(began.elapsed() < READY_WAIT / 4, "{:?}", began.elapsed());
    alone.stop().await;

    let began = Instant::now();
    let waiting = follow(&file, Carriers::new(vec![away(), Arc::new(Hangs)]));
    assert!(waiting.directory.can_answer().await);
    let waited = began.elapsed();
    assert!(waited >= READY_WAIT / 2 && waited < 2 * READY_WAIT, "{waited:?}");
    waiting.stop().await;

    // Who knows nothing at all has nothing to answer with.
    let empty = follow(&folder.path().join("none"), Carriers::new(vec![away()]));
    assert!(!empty.directory.can_answer().await);
    empty.stop().await;
}

#[tokio::test]
async fn the_file_is_left_to_a_successor_and_taken_back_from_one_that_does_not_come() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let saved = || Directory::open(file.clone()).unwrap().status().number;
    let registrar = Registrar::new(vec![alice_at(1, 1)]);
    let follower = follow(&file, registrar.clone());
    assert!(follower.reaches(1).await);
    follower.directory.save_for_successor().await;
    assert_eq!(saved(), 1);
    follower.directory.leave_file().await;
    registrar.publish(alice_at(2, 2));
    assert!(follower.reaches(2).await);
    follower.directory.save_for_successor().await;
    assert_eq!(saved(), 1, "it is somebody else's");
    follower.directory.keep_file();
    follower.stop().await;
    assert_eq!(saved(), 2);

    let replaced = follow(&file, registrar.clone());
    registrar.publish(alice_at(3, 3));
    assert!(replaced.reaches(3).await);
    replaced.directory.leave_file().await;
    replaced.stop().await;
    assert_eq!(saved(), 2, "nor does its end write over what the successor wrote");
}

#[tokio::test(start_paused = true)]
async fn the_file_is_written_after_a_while_not_for_every_change() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let registrar = Registrar::new(vec![alice_at(1, 1)]);
    let follower = follow(&file, registrar.clone());
    assert!(follower.reaches(1).await);
    sleep(Duration::from_secs(2)).await;
    assert!(!file.exists());
    sleep(Duration::from_secs(4)).await;
    for _ in 0..100 {
        if file.exists() {
            break;
        }
        // The write happens on a thread that knows no paused time.
        std::thread::sleep(Duration::from_millis(10));
        tokio::task::yield_now().await;
    }
    assert_eq!(Directory::open(file).unwrap().status().number, 1);
    drop(follower);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_written_now_is_written_later() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    let follower = follow(&inner.join("file"), Registrar::new(vec![alice_at(1, 1)]));
    assert!(follower.reaches(1).await);
    sleep(Duration::from_secs(30)).await;
    fs::create_dir(&inner).unwrap();
    sleep(Duration::from_secs(90)).await;
    assert!(inner.join("file").exists(), "without another change");
    assert!(follower.is_at("alice", "localhost:1"), "and it went on answering");
}

#[tokio::test]
async fn a_damaged_file_is_ignored_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "warren directory snapshot 1\nrubbish\n").unwrap();
    let alone = Directory::open(file.clone()).unwrap();
    assert!(!alone.status().ready, "it does not serve rubbish");
    let follower = follow(&file, Registrar::new(vec![alice_at(1, 1)]));
    assert!(follower.reaches(1).await);
    follower.stop().await;
    assert_eq!(Directory::open(file).unwrap().status().number, 1);
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Directory::open(folder.path().to_owned()).is_err(), "a folder is no file");
}

#[tokio::test]
async fn a_registrar_that_went_back_does_not_take_the_directory_along() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let follower = follow(&file, Registrar::new(vec![alice_at(1, 1), alice_at(2, 2)]));
    assert!(follower.reaches(2).await);
    follower.stop().await;
    let follower = follow(&file, Registrar::new(vec![alice_at(1, 9)]));
    sleep(Duration::from_millis(300)).await;
    let status = follower.directory.status();
    assert!(status.ready && status.number == 2);
    assert!(follower.is_at("alice", "localhost:2"));
    let mut metrics = net::telemetry::Metrics::default();
    follower.directory.register(&mut metrics);
    let text = net::telemetry::encode_metrics(&metrics);
    assert!(text.contains("feed_refused_total{reason=\"backwards\"}"), "{text}");
}

#[tokio::test]
async fn another_feed_is_taken_over_from_its_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, {
        let old = Directory::open(folder.path().join("other")).unwrap();
        assert!(!old.status().ready);
        let text = format!(
            "warren directory snapshot 1\n{}\n{}\n",
            "{\"feed\":\"00000000000000000000000000000001\",\"number\":900,\"confirmed\":0,\"entries\":1}",
            "{\"identity\":\"@alice\",\"address\":\"old:1\",\"epoch\":40}"
        );
        let seal = blake3::hash(text.as_bytes());
        format!("{text}blake3 {}\n", seal.to_hex())
    })
    .unwrap();
    let follower = follow(&file, Registrar::new(vec![alice_at(1, 1)]));
    for _ in 0..100 {
        if follower.directory.status().feed == Some(the_feed()) {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(follower.directory.status().number, 1);
    assert!(follower.is_at("alice", "localhost:1"));
}

#[test]
fn age_tells_how_old_the_knowledge_is() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp(1_000_000)));
        let (limits, ticking) = (directory::limits::ACCEPT, Arc::clone(&clock) as Arc<dyn Clock>);
        let directory = Directory::open_with(folder.path().join("file"), limits, ticking).unwrap();
        assert_eq!(directory.status().age, None);
        let registrar = Registrar::new(vec![alice_at(1, 1)]);
        let source: Arc<dyn FeedSource> = Arc::new(registrar.clone());
        let drain = Drain::new();
        tokio::spawn(Arc::clone(&directory).follow(source, the_key().public(), drain.clone()));
        assert!(directory.ready(SOON).await);
        registrar.set_away(true);
        clock.advance(90_000);
        assert_eq!(directory.status().age, Some(Duration::from_secs(90)));
        registrar.set_away(false);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(directory.status().age, Some(Duration::ZERO), "an empty answer confirms it");
        clock.set(Timestamp(0));
        assert_eq!(directory.status().age, Some(Duration::ZERO), "a clock set back is no debt");
    });
}

/// A registrar's two paths over HTTPS, for a token.
async fn answer(
    registrar: Registrar,
    request: Request<BoundedBody>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_allowed = request.headers().get("authorization").is_some_and(|v| v == "Bearer token");
    let query = request.uri().query().unwrap_or_default().to_owned();
    let after = query.split('&').find_map(|part| part.strip_prefix("after=")?.parse().ok());
    let is_ours = query.split('&').any(|part| part == format!("feed={}", the_feed()));
    let (status, body) = match (request.uri().path(), after) {
        _ if !is_allowed => (StatusCode::UNAUTHORIZED, Vec::new()),
        ("/v1/feed/snapshot", _) => (StatusCode::OK, signed_snapshot(&registrar.snapshot_now())),
        ("/v1/feed", Some(_)) if !is_ours => (StatusCode::CONFLICT, Vec::new()),
        ("/v1/feed", Some(number)) => {
            (StatusCode::OK, signed(&registrar.batch_after(number)).to_bytes())
        }
        _ => (StatusCode::NOT_FOUND, Vec::new()),
    };
    Ok(Response::builder().status(status).body(Full::from(body)).unwrap())
}

#[tokio::test]
async fn the_feed_is_followed_over_https_with_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let authority = CertificateAuthority::load_or_create(folder.path()).unwrap();
    let host = SubjectName::Dns(HostName::parse("localhost").unwrap());
    let tls = ServerTls::new(&authority.issue(&[host]).unwrap()).unwrap();
    let registrar = Registrar::new(vec![alice_at(1, 1)]);
    let serving = registrar.clone();
    let service = tower::service_fn(move |request| answer(serving.clone(), request));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = address(&format!("localhost:{}", listener.local_addr().unwrap().port()));
    let served = serve_http(listener, Some(tls), service, directory::limits::ACCEPT, Drain::new());
    tokio::spawn(served);

    let roots = TrustRoots::from_pem_file(authority.pem_file()).unwrap();
    let client = HttpsClient::new(ClientTls::new(&roots, None).unwrap());
    let feed = HttpsFeed::new(&client, at.clone(), "token");
    assert!(!format!("{feed:?}").contains("token"), "it does not print its token");
    let follower = follow(&folder.path().join("file"), feed);
    assert!(follower.reaches(1).await && follower.is_at("alice", "localhost:1"));
    registrar.publish(alice_at(2, 2));
    assert!(follower.reaches(2).await && follower.is_at("alice", "localhost:2"));

    let refused = HttpsFeed::new(&client, at.clone(), "wrong").snapshot().await;
    assert!(matches!(refused, Err(directory::FeedError::Refused(401))), "{refused:?}");
    let right = HttpsFeed::new(&client, at, "token");
    let other = protocol::FeedId::from_bytes([1; 16]);
    let anew = right.after(other, 1, Duration::ZERO).await.unwrap();
    assert_eq!(anew, directory::FeedAnswer::SnapshotNeeded);
}
