//! Many writers share syncs, and each acknowledged batch is there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::Epoch;
use storage::sim::{Crash, SimDisk};
use storage::{Batch, Store, Volumes};

use crate::support::*;
use crate::watched::{Event, Watched};

/// A store whose syncs take their time, as real ones do.
fn slow_store(disk: &SimDisk) -> Store {
    let disk = Watched::new(disk, |event| {
        if event == Event::Sync {
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    let volumes = Volumes::open(Arc::new(disk), ROOT, MARKS, &keyring()).unwrap();
    volumes.create(id(1), &alice(), Epoch::FIRST).unwrap()
}

const WRITERS: u64 = 16;
const BATCHES: u64 = 25;

/// Each writer counts its key up, waiting for every acknowledgement; returns after all are done.
fn write_together(store: &Store, blocking: bool, acknowledged: &AtomicU64) {
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                for number in 1..=BATCHES {
                    let mut batch = Batch::new();
                    let key = format!("writer {writer}");
                    batch.put(key.as_bytes(), &number.to_le_bytes());
                    if blocking {
                        store.commit_blocking(batch).unwrap();
                    } else {
                        let (commit, job) = store.append(batch).unwrap();
                        if let Some(job) = job {
                            job.run();
                        }
                        wait(commit).unwrap();
                    }
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
}

fn check_all(disk: &SimDisk) {
    let store = open(&disk.crash(Crash::Lost)).unwrap();
    for writer in 0..WRITERS {
        let value = store.get(format!("writer {writer}").as_bytes()).unwrap().unwrap();
        assert_eq!(value.bytes, BATCHES.to_le_bytes(), "writer {writer}");
    }
}

#[test]
fn writers_share_syncs_and_lose_nothing() {
    for blocking in [true, false] {
        let disk = SimDisk::new();
        let store = slow_store(&disk);
        let (syncs, acknowledged) = (disk.syncs(), AtomicU64::new(0));
        write_together(&store, blocking, &acknowledged);
        let syncs = disk.syncs() - syncs;
        assert_eq!(acknowledged.into_inner(), WRITERS * BATCHES);
        assert!(syncs <= WRITERS * BATCHES / 3, "{syncs} syncs for {} batches", WRITERS * BATCHES);
        check_all(&disk);
    }
}

/// A crash in the middle: everything that was acknowledged before it is there after it.
#[test]
fn a_crash_in_the_middle_of_shared_syncs_loses_nothing_acknowledged() {
    let disk = SimDisk::new();
    let store = slow_store(&disk);
    std::thread::scope(|scope| {
        scope.spawn(|| write_together(&store, true, &AtomicU64::new(0)));
        for seed in 0..20 {
            std::thread::sleep(Duration::from_millis(3));
            // A durable batch is in the log before anybody can see it as durable.
            let latest = store.latest();
            wait(store.durable(latest)).unwrap();
            for how in [Crash::Lost, Crash::Torn(seed)] {
                let survivor = open(&disk.crash(how)).unwrap();
                assert!(survivor.latest() >= latest, "{how:?}");
            }
        }
    });
    check_all(&disk);
}

/// A batch that nobody waits for is written like any other, however long the writers keep on.
#[test]
fn batches_that_nobody_waits_for_become_durable() {
    const ROUNDS: u32 = 3 * storage::limits::SYNCS_A_JOB_MAX;
    let disk = SimDisk::new();
    let shared: Arc<Mutex<(Option<Arc<Store>>, u32)>> = Arc::default();
    let watcher = Arc::clone(&shared);
    let watched = Watched::new(&disk, move |event| {
        let mut shared = watcher.lock().unwrap();
        let (Some(store), Event::Sync) = (shared.0.clone(), event) else { return };
        if shared.1 < ROUNDS {
            shared.1 += 1;
            drop(store.append(batch(&[("round", Some(&shared.1.to_string()))])).unwrap());
        }
    });
    let volumes = Volumes::open(Arc::new(watched), ROOT, MARKS, &keyring()).unwrap();
    let store = Arc::new(volumes.create(id(1), &alice(), Epoch::FIRST).unwrap());
    shared.lock().unwrap().0 = Some(Arc::clone(&store));
    let (commit, job) = store.append(batch(&[("round", Some("0"))])).unwrap();
    drop(commit);
    job.unwrap().run();
    shared.lock().unwrap().0 = None;
    let survivor = open(&disk.crash(Crash::Lost)).unwrap();
    assert_eq!(survivor.get(b"round").unwrap().unwrap().bytes, ROUNDS.to_string().as_bytes());
}
