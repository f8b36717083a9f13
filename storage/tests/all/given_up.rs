//! A store that hangs is given up, and opened anew in the same process with a higher epoch.

use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use protocol::Epoch;
use storage::sim::SimDisk;
use storage::snag::{Call, Snag, SnagDisk, Snags};
use storage::{CommitError, Failure, OpenError, Store, Volumes};

use crate::support::*;

fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::sleep(Duration::from_millis(1));
    }
}

fn second() -> Epoch {
    Epoch::FIRST.next().unwrap()
}

fn given_up(error: &CommitError) -> bool {
    matches!(error, CommitError::Stopped(Failure::GivenUp))
}

struct Bench {
    snags: Snags,
    volumes: Volumes,
    store: Arc<Store>,
}

impl Bench {
    fn new() -> Self {
        let snags = Snags::default();
        let disk = Arc::new(SnagDisk(SimDisk::new(), snags.clone()));
        let volumes = Volumes::open(disk, "/v", "/w/marks", &keyring()).unwrap();
        let store = Arc::new(volumes.create(id(1), &alice(), Epoch::FIRST).unwrap());
        commit(&store, &[("a", Some("1"))]);
        Self { snags, volumes, store }
    }

    /// Somebody whose write hangs.
    fn wedge(&self) -> thread::JoinHandle<Result<(), CommitError>> {
        self.snags.set(Call::Sync, ".log", Snag::HangNth(1));
        let store = Arc::clone(&self.store);
        let writer =
            thread::spawn(move || store.commit_blocking(batch(&[("a", Some("2"))])).map(drop));
        until(|| self.snags.hanging() == 1);
        writer
    }
}

#[test]
fn a_store_whose_sync_hangs_shows_it_and_can_be_looked_at() {
    let bench = Bench::new();
    let overseer = bench.store.overseer();
    assert!(!overseer.pulse().unwrap().is_busy);
    let writer = bench.wedge();
    let pulse = overseer.pulse().unwrap();
    assert!(pulse.is_busy);
    bench.store.check_epoch().unwrap();
    bench.snags.clear();
    writer.join().unwrap().unwrap();
    let now = overseer.pulse().unwrap();
    assert!(!now.is_busy && now.steps > pulse.steps, "{now:?}");
    drop((bench.store, bench.volumes));
    assert_eq!(overseer.pulse(), None);
}

#[test]
fn what_is_given_up_acknowledges_nothing_more_and_its_successor_keeps_all() {
    let bench = Bench::new();
    let writer = bench.wedge();
    let (mut waits, _) = bench.store.append(batch(&[("b", Some("lost"))])).unwrap();
    let error = bench.volumes.open_store(id(1), &alice(), second()).unwrap_err();
    assert!(matches!(error, OpenError::AlreadyOpen(_)), "{error}");
    bench.store.overseer().give_up();
    let Poll::Ready(waited) = poll_once(&mut waits) else { panic!("it waits on") };
    assert!(given_up(&waited.unwrap_err()), "while the sync still hangs");

    let successor = bench.volumes.open_store(id(1), &alice(), second()).unwrap();
    commit(&successor, &[("c", Some("3"))]);
    bench.snags.clear();
    assert!(given_up(&writer.join().unwrap().unwrap_err()), "though its bytes are on the disk");
    assert!(given_up(&bench.store.commit_blocking(batch(&[("d", Some("4"))])).unwrap_err()));
    assert!(bench.store.check_epoch().is_err());
    commit(&successor, &[("e", Some("5"))]);
    let before = state(&successor);
    assert_eq!(before.keys().map(|key| key[0]).collect::<Vec<_>>(), b"ace");
    successor.close().unwrap();
    drop((successor, bench.store));
    let again = bench.volumes.open_store(id(1), &alice(), second()).unwrap();
    assert_eq!(state(&again), before);
}

#[test]
fn a_compaction_that_hangs_takes_nothing_from_the_successor() {
    for hang in 1..=2 {
        let bench = Bench::new();
        let store = Arc::clone(&bench.store);
        bench.snags.set(Call::Sync, ".log", Snag::HangNth(hang));
        let compacting = thread::spawn(move || store.compact().map(drop));
        until(|| bench.snags.hanging() == 1);
        bench.store.overseer().give_up();
        let successor = bench.volumes.open_store(id(1), &alice(), second()).unwrap();
        commit(&successor, &[("c", Some("3"))]);
        bench.snags.clear();
        drop(compacting.join().unwrap());
        commit(&successor, &[("e", Some("5"))]);
        let before = state(&successor);
        assert_eq!(before.keys().map(|key| key[0]).collect::<Vec<_>>(), b"ace");
        drop((successor, bench.store));
        let again = bench.volumes.open_store(id(1), &alice(), second()).unwrap();
        assert_eq!(state(&again), before);
    }
}
