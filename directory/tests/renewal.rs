//! Checkpoints are taken over while the feed is followed, and one that does not fit costs no answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{Registrar, SOON, address, change, name, signed_snapshot, the_key};
use directory::{BoxFuture, Directory, FeedAnswer, FeedError, FeedSource};
use feed::{Signed, SignedSnapshot, SnapshotError};
use net::drain::Drain;
use protocol::FeedId;
use protocol::control::feed::Change;
use tokio::time::sleep;

/// Longer than the time between two checkpoints.
const LONG: Duration = Duration::from_secs(130);

/// A registrar that may sign a checkpoint that is not true, and may have no snapshot.
#[derive(Clone)]
struct Liar(Arc<Inner>);

struct Inner {
    registrar: Registrar,
    lies: AtomicBool,
    has_snapshot: AtomicBool,
}

impl Liar {
    fn new(changes: Vec<Change>) -> Self {
        let registrar = Registrar::new(changes);
        let (lies, has_snapshot) = (AtomicBool::new(false), AtomicBool::new(true));
        Self(Arc::new(Inner { registrar, lies, has_snapshot }))
    }

    fn lie(&self) {
        self.0.lies.store(true, Ordering::Relaxed);
        self.0.has_snapshot.store(false, Ordering::Relaxed);
    }

    fn repent(&self) {
        self.0.lies.store(false, Ordering::Relaxed);
        self.0.has_snapshot.store(true, Ordering::Relaxed);
    }
}

impl FeedSource for Liar {
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
        match self.0.has_snapshot.load(Ordering::Relaxed) {
            true => self.0.registrar.snapshot(),
            false => Box::pin(async { Err(FeedError::Empty) }),
        }
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>> {
        if !self.0.lies.load(Ordering::Relaxed) {
            return self.0.registrar.checkpoint();
        }
        let mut snapshot = self.0.registrar.snapshot_now();
        snapshot.entries.pop();
        let bytes = signed_snapshot(&snapshot);
        let snapshot = SignedSnapshot::open(&bytes, &the_key().public()).unwrap();
        Box::pin(async move { Ok(snapshot.signed().clone()) })
    }

    fn after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
        self.0.registrar.after(feed, number, wait)
    }
}

fn follow(file: &Path, source: &Liar) -> (Arc<Directory>, Drain) {
    let (directory, drain) = (Directory::open(file.to_owned()).unwrap(), Drain::new());
    let source: Arc<dyn FeedSource> = Arc::new(source.clone());
    tokio::spawn(Arc::clone(&directory).follow(source, the_key().public(), drain.clone()));
    (directory, drain)
}

fn at(number: u64, who: &str) -> Change {
    change(number, who, Some(&format!("localhost:{number}")), number)
}

/// As of which change the evidence proves where this name is.
async fn proven(directory: &Directory, who: &str) -> u64 {
    let evidence = directory.evidence(&name(who)).await.unwrap().unwrap();
    let proven = evidence.check(&the_key().public(), &name(who)).unwrap();
    assert_eq!(proven.address, directory.lookup(&name(who)));
    proven.number
}

#[tokio::test(start_paused = true)]
async fn a_later_checkpoint_is_taken_over_and_proves_what_came_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let registrar = Liar::new(vec![at(1, "alice"), at(2, "bob")]);
    let (directory, drain) = follow(&folder.path().join("file"), &registrar);
    assert!(directory.reached(2, SOON).await);
    registrar.0.registrar.publish(at(3, "bob"));
    assert!(directory.reached(3, SOON).await);
    assert_eq!((proven(&directory, "alice").await, proven(&directory, "bob").await), (2, 3));
    sleep(LONG).await;
    assert_eq!(directory.status().checkpoint, Some(3));
    assert_eq!((proven(&directory, "alice").await, proven(&directory, "bob").await), (3, 3));
    registrar.0.registrar.publish(at(4, "alice"));
    assert!(directory.reached(4, SOON).await);
    assert_eq!((proven(&directory, "alice").await, proven(&directory, "bob").await), (4, 3));
    drain.start();
    assert!(drain.finished(SOON).await);
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_is_not_true_costs_proofs_until_a_snapshot_comes_and_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let registrar = Liar::new(vec![at(1, "alice"), at(2, "bob")]);
    let (directory, drain) = follow(&file, &registrar);
    assert!(directory.reached(2, SOON).await);
    registrar.lie();
    registrar.0.registrar.publish(at(3, "bob"));
    sleep(LONG).await;
    assert_eq!(directory.status().checkpoint, Some(2), "the last that was found to be true");
    let evidence = directory.evidence(&name("alice")).await;
    assert!(matches!(evidence, Err(SnapshotError::Renewed)), "{evidence:?}");
    registrar.0.registrar.publish(at(4, "carol"));
    assert!(directory.reached(4, LONG).await, "what is signed one by one is still believed");
    assert_eq!(directory.lookup(&name("alice")), Some(address("localhost:1")));
    assert_eq!((proven(&directory, "bob").await, proven(&directory, "carol").await), (3, 4));
    registrar.repent();
    sleep(LONG).await;
    assert_eq!(directory.status().checkpoint, Some(4));
    assert_eq!(proven(&directory, "alice").await, 4);
    drain.start();
    assert!(drain.finished(SOON).await);
    let again = Directory::open(file).unwrap();
    assert_eq!((again.status().number, again.status().checkpoint), (4, Some(4)));
}
