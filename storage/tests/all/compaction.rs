//! Compaction while others write.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol::Epoch;
use storage::sim::{Crash, SimDisk};
use storage::{Commit, CommitError, MaintainError, Maintenance, Store, SyncJob, Volumes};

use crate::support::*;
use crate::watched::{Event, Watched};

/// What a writer does at one moment of a compaction, and what came of it.
#[derive(Default)]
struct Writer {
    store: Option<Arc<Store>>,
    /// The event at which it writes.
    event: Option<Event>,
    appended: Vec<(Commit, Option<SyncJob>)>,
}

impl Writer {
    fn watch(&mut self, event: Event) {
        let Some(store) = self.store.clone().filter(|_| self.event == Some(event)) else { return };
        self.event = None;
        for changes in [
            &[("a", Some("newer")), ("b", None)][..],
            &[("new", Some("x"))],
            &[("b", Some("again"))],
        ] {
            self.appended.push(store.append(batch(changes)).unwrap());
        }
    }
}

fn expected() -> State {
    [("a", "newer"), ("b", "again"), ("c", "3"), ("new", "x")]
        .map(|(key, value)| (key.into(), value.into()))
        .into()
}

fn watched_store(disk: &SimDisk) -> (Arc<Store>, Arc<Mutex<Writer>>) {
    let writer = Arc::new(Mutex::new(Writer::default()));
    let watcher = Arc::clone(&writer);
    let watched = Watched::new(disk, move |event| watcher.lock().unwrap().watch(event));
    let volumes = Volumes::open(Arc::new(watched), ROOT, MARKS, &keyring()).unwrap();
    let store = Arc::new(volumes.create(id(1), &alice(), Epoch::FIRST).unwrap());
    commit(&store, &[("a", Some("1")), ("b", Some("2"))]);
    commit(&store, &[("c", Some("3")), ("d", Some("4"))]);
    commit(&store, &[("d", None)]);
    (store, writer)
}

/// At every kind of moment: after the state was taken, while it is written, before it counts.
#[test]
fn what_is_written_during_a_compaction_is_neither_lost_nor_overwritten() {
    for event in [Event::Create, Event::Write, Event::Sync, Event::SyncDir] {
        let disk = SimDisk::new();
        let (store, writer) = watched_store(&disk);
        {
            let mut writer = writer.lock().unwrap();
            (writer.store, writer.event) = (Some(Arc::clone(&store)), Some(event));
        }
        assert!(matches!(store.compact().unwrap(), Maintenance::Compacted { .. }));
        let appended = std::mem::take(&mut writer.lock().unwrap().appended);
        assert_eq!(appended.len(), 3, "{event:?}");
        assert_eq!(state(&store), expected(), "{event:?}, in the queue");
        assert_eq!(open(&disk.crash(Crash::Lost)).unwrap().len(), 3, "{event:?}, not durable");

        let (commits, jobs): (Vec<_>, Vec<_>) = appended.into_iter().unzip();
        jobs.into_iter().flatten().for_each(SyncJob::run);
        for commit in commits {
            wait(commit).unwrap();
        }
        assert_eq!(state(&store), expected(), "{event:?}, durable");
        let restarted = open(&disk.crash(Crash::Lost)).unwrap();
        assert_eq!(state(&restarted), expected(), "{event:?}, after a power failure");
        assert_eq!(restarted.digest().unwrap(), store.digest().unwrap());
        writer.lock().unwrap().store = None;
    }
}

/// A compaction that fails after others wrote: they go on in the old segment.
#[test]
fn what_is_written_during_a_failing_compaction_stays() {
    let disk = SimDisk::new();
    let (store, writer) = watched_store(&disk);
    {
        let mut writer = writer.lock().unwrap();
        (writer.store, writer.event) = (Some(Arc::clone(&store)), Some(Event::Create));
    }
    disk.fail_sync_in(1);
    assert!(matches!(store.compact(), Err(MaintainError::Io(_))));
    let appended = std::mem::take(&mut writer.lock().unwrap().appended);
    for (commit, job) in appended {
        job.into_iter().for_each(SyncJob::run);
        wait(commit).unwrap();
    }
    assert_eq!(state(&store), expected());
    assert_eq!(state(&open(&disk.crash(Crash::Lost)).unwrap()), expected());
    assert!(matches!(store.compact().unwrap(), Maintenance::Compacted { .. }));
    assert_eq!(state(&store), expected());
    writer.lock().unwrap().store = None;
}

/// Once the new segment is whole, a higher epoch may have gone on from it: it is not removed, and the
/// next opening says which one counts.
#[test]
fn a_compaction_that_fails_at_its_end_stops_the_store() {
    for sync in [2, 3] {
        let disk = SimDisk::new();
        let store = create(&disk);
        commit(&store, &[("k", Some("v"))]);
        let before = state(&store);
        disk.fail_sync_in(sync);
        let error = store.compact().unwrap_err();
        let is_stopped = matches!(error, MaintainError::Commit(CommitError::Stopped(_)));
        assert!(is_stopped, "sync {sync}: {error}");
        assert_eq!(segments(&disk).len(), 2, "sync {sync}");
        assert_eq!(state(&store), before);
        for how in [Crash::Kept, Crash::Lost, Crash::Torn(sync)] {
            assert_eq!(state(&open(&disk.crash(how)).unwrap()), before, "sync {sync}, {how:?}");
        }
    }
}

/// The state that is copied is one of which everything is durable, however fast batches come.
#[test]
fn a_compaction_never_begins_with_something_in_the_queue() {
    let disk = SimDisk::new();
    let store = create(&disk);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0u32;
            while number == 0 || !done.load(SeqCst) {
                number += 1;
                let (commit, job) =
                    store.append(batch(&[("k", Some(&number.to_string()))])).unwrap();
                drop((commit, job));
                // Busy, but not busier than a disk can follow.
                let started = Instant::now();
                while started.elapsed() < Duration::from_micros(30) {
                    std::hint::spin_loop();
                }
            }
            number
        });
        for _ in 0..200 {
            store.compact().unwrap();
        }
        done.store(true, SeqCst);
        let last = writer.join().unwrap();
        store.close().unwrap();
        let survivor = open(&disk.crash(Crash::Lost)).unwrap();
        assert_eq!(survivor.get(b"k").unwrap().unwrap().bytes, last.to_string().as_bytes());
    });
}

/// Readers go on reading while the segments under them are replaced and removed.
#[test]
fn readers_and_writers_never_notice_a_compaction() {
    let disk = SimDisk::new();
    let store = create(&disk);
    let keys: Vec<String> = (0..20).map(|key| format!("key {key}")).collect();
    let value = |round: u32| format!("{round:05} {}", "v".repeat(200));
    for key in &keys {
        commit(&store, &[(key, Some(&value(0)))]);
    }
    let (compacted, reads) = (AtomicU32::new(0), AtomicU32::new(0));
    let is_enough = || compacted.load(SeqCst) > 3 && reads.load(SeqCst) > 100;
    let done = AtomicBool::new(false);
    let last_round = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut round = 0;
            while round < 400 || (!is_enough() && round < 20_000) {
                round += 1;
                for key in &keys {
                    // Nobody leads but the compactions: what is appended waits for one of them.
                    while let Err(error) = store.append(batch(&[(key, Some(&value(round)))])) {
                        assert!(matches!(error, CommitError::Busy), "{error}");
                        std::thread::yield_now();
                    }
                }
                // A compaction begins when the queue has run dry.
                std::thread::sleep(std::time::Duration::from_micros(100));
            }
            done.store(true, SeqCst);
            round
        });
        scope.spawn(|| {
            let mut last = vec![0; keys.len()];
            while !done.load(SeqCst) {
                for (key, last) in keys.iter().zip(&mut last) {
                    let found = store.get(key.as_bytes()).unwrap().unwrap().bytes;
                    let round: u32 = std::str::from_utf8(&found[..5]).unwrap().parse().unwrap();
                    assert!(round >= *last && found == value(round).into_bytes());
                    *last = round;
                    reads.fetch_add(1, SeqCst);
                }
            }
        });
        while !done.load(SeqCst) {
            let outcome = store.compact().unwrap();
            let is_new = matches!(outcome, Maintenance::Compacted { .. });
            compacted.fetch_add(u32::from(is_new), SeqCst);
        }
        writer.join().unwrap()
    });
    assert!(is_enough(), "{compacted:?} compactions, {reads:?} reads");
    store.close().unwrap();
    let before = state(&store);
    assert!(before.values().all(|found| *found == value(last_round).into_bytes()));
    drop(store);
    assert!(state(&open(&disk).unwrap()) == before);
}
