//! The feed in a Redis that may be wiped, silent or full of lies, with the registrar to fall back
//! on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use common::{Registrar, SOON, address, change, name, signed, signed_snapshot, the_feed, the_key};
use directory::{BoxFuture, Carriers, Directory, FeedAnswer, FeedError, FeedSource, RedisFeed};
use feed::{CarrierKeys, Signed, SignedSnapshot, SigningKey};
use net::drain::Drain;
use net::redis::RedisPlace;
use protocol::control::feed::{Batch, Change};
use protocol::{FeedId, Timestamp};
use testkit::RedisServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;

const LONG: Duration = Duration::from_secs(30);

fn keys() -> CarrierKeys {
    CarrierKeys::new(CarrierKeys::PREFIX)
}

fn feed_at(url: &str) -> RedisFeed {
    RedisFeed::new(url.parse().unwrap(), None, keys(), the_key().public())
}

fn alice_at(number: u64) -> Change {
    change(number, "alice", Some(&format!("localhost:{number}")), number)
}

fn batch(changes: &[Change], newest: u64) -> Batch {
    Batch { feed: the_feed(), changes: changes.to_vec(), newest, at: Timestamp(i64::MAX) }
}

/// Puts there what the registrar's publisher would.
struct Shelf<'a>(&'a RedisServer);

impl Shelf<'_> {
    fn set(&self, key: &str, bytes: &[u8]) {
        assert_eq!(self.0.ask(&[b"SET", key.as_bytes(), bytes]), b"+OK");
    }

    fn add(&self, id: u64, signed: &Signed) -> Vec<u8> {
        let (key, id) = (keys().changes, CarrierKeys::entry_id(id));
        let field = CarrierKeys::FIELD.as_bytes();
        self.0.ask(&[b"XADD", key.as_bytes(), id.as_bytes(), field, &signed.to_bytes()])
    }

    fn say_newest(&self, number: u64) {
        self.set(&keys().newest, &signed(&batch(&[], number)).to_bytes());
    }

    fn set_snapshot(&self, registrar: &Registrar) {
        let bytes = signed_snapshot(&registrar.snapshot_now());
        let opened = SignedSnapshot::open(&bytes, &the_key().public()).unwrap();
        self.set(&keys().snapshot, &bytes);
        self.set(&keys().checkpoint, &opened.signed().to_bytes());
    }

    fn publish(&self, number: u64) {
        self.add(number, &signed(&batch(&[alice_at(number)], number)));
        self.say_newest(number);
    }
}

fn follow(file: &Path, source: impl FeedSource) -> Arc<Directory> {
    let directory = Directory::open(file.to_owned()).unwrap();
    let source: Arc<dyn FeedSource> = Arc::new(source);
    let key = the_key().public();
    tokio::spawn(Arc::clone(&directory).follow(source, key, Drain::new()));
    directory
}

/// Looks all the time: alice is always somewhere, and never where she was before.
fn watch(directory: &Arc<Directory>) -> Arc<AtomicBool> {
    let (directory, is_over) = (Arc::clone(directory), Arc::new(AtomicBool::new(false)));
    let flag = Arc::clone(&is_over);
    tokio::spawn(async move {
        let (mut last, mut number) = (0, 0);
        while !flag.load(Ordering::Relaxed) {
            let at = directory.lookup(&name("alice")).expect("a lookup failed").port.get();
            let now = directory.status().number;
            if at < last || now < number {
                flag.store(true, Ordering::Relaxed);
                panic!("from {last} back to {at}");
            }
            (last, number) = (at, now);
            sleep(Duration::from_millis(1)).await;
        }
    });
    is_over
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_arrive_through_redis_and_what_is_there_already_is_refused_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path(), &[]);
    let shelf = Shelf(&redis);
    let registrar = Registrar::new(vec![alice_at(1)]);
    shelf.set_snapshot(&registrar);
    shelf.say_newest(1);
    let directory = follow(&folder.path().join("file"), feed_at(&redis.url()));
    assert!(directory.reached(1, SOON).await);
    for number in 2..20 {
        shelf.publish(number);
        assert!(directory.reached(number, SOON).await, "change {number}");
        assert_eq!(directory.lookup(&name("alice")), Some(address(&format!("localhost:{number}"))));
    }
    let again = shelf.add(19, &signed(&batch(&[alice_at(19)], 19)));
    assert!(again.starts_with(b"-ERR"), "{}", String::from_utf8_lossy(&again));
}

/// Counts how often Redis was of no use.
struct Counted(RedisFeed, Arc<AtomicU32>);

impl Counted {
    async fn count<T>(&self, asked: BoxFuture<'_, Result<T, FeedError>>) -> Result<T, FeedError> {
        let said = asked.await;
        self.1.fetch_add(u32::from(said.is_err()), Ordering::Relaxed);
        said
    }
}

impl FeedSource for Counted {
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
        Box::pin(self.count(self.0.snapshot()))
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>> {
        Box::pin(self.count(self.0.checkpoint()))
    }

    fn after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
        Box::pin(self.count(self.0.after(feed, number, wait)))
    }

    fn refused(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// A directory that knows changes 1 and 2 from Redis; then somebody spoils Redis, and the registrar
/// goes on.
async fn survives(spoil: impl Fn(&Shelf)) {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path(), &[]);
    let shelf = Shelf(&redis);
    let registrar = Registrar::new(vec![alice_at(1)]);
    shelf.set_snapshot(&registrar);
    shelf.publish(2);
    registrar.publish(alice_at(2));
    let useless = Arc::new(AtomicU32::new(0));
    let counted = Arc::new(Counted(feed_at(&redis.url()), Arc::clone(&useless)));
    let both = Carriers::new(vec![counted, Arc::new(registrar.clone())]);
    let directory = follow(&folder.path().join("file"), both);
    assert!(directory.reached(2, SOON).await);
    assert_eq!(useless.load(Ordering::Relaxed), 0, "Redis was good until now");
    let is_over = watch(&directory);

    spoil(&shelf);
    for number in 3..10 {
        registrar.publish(alice_at(number));
        assert!(directory.reached(number, LONG).await, "change {number}");
    }
    assert!(useless.load(Ordering::Relaxed) > 0, "it was believed");
    assert!(!is_over.swap(true, Ordering::Relaxed), "a lookup failed, or went backwards");
    assert_eq!(directory.lookup(&name("alice")), Some(address("localhost:9")));
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_change_is_refused_and_the_registrar_asked() {
    let stranger = SigningKey::from_seed(&[9; 32]).unwrap();
    let lie = change(3, "alice", Some("evil.example:65000"), 99);
    survives(|shelf| {
        shelf.add(3, &Signed::of(&batch(std::slice::from_ref(&lie), 3), &stranger).unwrap());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_words_under_new_numbers_are_refused() {
    survives(|shelf| drop(shelf.add(3, &signed(&batch(&[alice_at(1)], 1))))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_and_an_old_snapshot_behind_it_lead_to_the_registrar() {
    survives(|shelf| drop(shelf.add(7, &signed(&batch(&[alice_at(7)], 7))))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_signed_word_at_all_leads_to_the_registrar() {
    survives(|shelf| {
        let (key, field) = (keys().changes, CarrierKeys::FIELD.as_bytes());
        drop(shelf.0.ask(&[b"XADD", key.as_bytes(), b"3-0", field, b"short"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_redis_and_one_that_was_set_back_lead_to_the_registrar() {
    survives(|shelf| {
        assert_eq!(shelf.0.ask(&[b"FLUSHALL"]), b"+OK");
        shelf.set_snapshot(&Registrar::new(vec![alice_at(1)]));
        shelf.say_newest(1);
        // Whoever waits at Redis wakes up, and looks.
        shelf.add(3, &signed(&batch(&[alice_at(1)], 1)));
    })
    .await;
}

#[tokio::test]
async fn who_has_the_wrong_password_is_not_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path(), &["--requirepass", "right"]);
    let with = |password: &str| {
        let place: RedisPlace = redis.url().parse().unwrap();
        RedisFeed::new(place.with_password(password), None, keys(), the_key().public())
    };
    let said = with("right").checkpoint().await;
    assert!(matches!(said, Err(FeedError::Empty)), "{said:?}");
    let said = with("wrong").checkpoint().await;
    assert!(matches!(said, Err(FeedError::Unreachable(_))), "{said:?}");
    assert!(!format!("{said:?} {:?}", with("wrong")).contains("wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_dies_and_comes_back_empty_is_used_again_once_it_has_the_feed() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start(folder.path(), &[]);
    let registrar = Registrar::new(vec![alice_at(1)]);
    Shelf(&redis).set_snapshot(&registrar);
    Shelf(&redis).say_newest(1);
    let feed = Arc::new(feed_at(&redis.url()));
    let both = Carriers::new(vec![feed, Arc::new(registrar.clone())]);
    let directory = follow(&folder.path().join("file"), both);
    assert!(directory.reached(1, SOON).await);
    let is_over = watch(&directory);
    redis.kill();
    registrar.publish(alice_at(2));
    assert!(directory.reached(2, LONG).await);
    redis.restart();
    registrar.publish(alice_at(3));
    assert!(directory.reached(3, LONG).await);

    // Now the registrar is gone, and only Redis has what comes after.
    registrar.set_away(true);
    Shelf(&redis).set_snapshot(&Registrar::new((1..=4).map(alice_at).collect()));
    Shelf(&redis).publish(5);
    assert!(directory.reached(5, LONG).await);
    assert!(!is_over.swap(true, Ordering::Relaxed), "a lookup failed, or went backwards");
}

/// Answers whatever is asked with what it was given, again and again.
async fn endless(head: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 512];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(head).await;
                while stream.write_all(&[b'x'; 64 * 1024]).await.is_ok() {}
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_cut_off() {
    for head in [&b"$2000000000\r\n"[..], b"*2000000000\r\n", b"+", b"*1\r\n$400000000\r\n", b"\0"]
    {
        let feed = feed_at(&endless(head).await);
        let said = feed.checkpoint().await;
        assert!(matches!(said, Err(FeedError::Unreachable(_))), "{said:?}");
        let said = feed.after(the_feed(), 1, Duration::ZERO).await;
        assert!(matches!(said, Err(FeedError::Unreachable(_))), "{said:?}");
    }
}

/// Says the same word for ever, without an error.
struct Silent(Timestamp);

impl FeedSource for Silent {
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
        Box::pin(async { Err(FeedError::Empty) })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>> {
        Box::pin(async { Err(FeedError::Empty) })
    }

    fn after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
        Box::pin(async move {
            sleep(wait).await;
            let word = Batch { feed, changes: Vec::new(), newest: number, at: self.0 };
            Ok(FeedAnswer::Batch(signed(&word)))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_carrier_that_has_fallen_silent_is_left_for_one_that_has_not() {
    let folder = tempfile::tempdir().unwrap();
    let registrar = Registrar::new(vec![alice_at(1)]);
    let silent = Arc::new(Silent(Timestamp(5)));
    let both = Carriers::new(vec![silent, Arc::new(registrar.clone())]);
    let directory = follow(&folder.path().join("file"), both);
    assert!(directory.reached(1, SOON).await, "the one that has a snapshot gave it");
    registrar.publish(alice_at(2));
    let patience = Duration::from_secs(300);
    assert!(directory.reached(2, patience).await, "the silent one was asked for ever");
}
