//! Two machines take one volume from each other, on real disks: by default two processes' worth of
//! volumes on one folder; with `WARREN_MOUNTS=/mnt/a:/mnt/b` two mounts of one network volume, which
//! have to keep what ADR 0006 asks of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use storage::{Batch, CommitError, Failure, OpenError, RealDisk, Store, Volumes};

use crate::support::{alice, epoch, id, keyring};

/// Openings of both together.
const OPENINGS: u64 = 60;

#[derive(Default)]
struct Notes {
    acks: Vec<(u64, String)>,
    openings: Vec<(u64, BTreeSet<String>)>,
    fenced: u64,
}

struct Fight {
    next: AtomicU64,
    notes: Mutex<Notes>,
}

#[test]
fn what_one_mount_acknowledged_the_other_reads() {
    let local = tempfile::tempdir().unwrap();
    let mounts = mounts(local.path());
    let folder = format!("fight-{}", std::process::id());
    std::fs::create_dir(mounts[0].join(&folder)).unwrap();
    let roots = mounts.map(|mount| mount.join(&folder));
    let first = open(&roots[0], &local.path().join("first"));
    drop(first.create(id(1), &alice(), epoch(1)).unwrap());
    drop(first);
    let fight = Fight { next: AtomicU64::new(2), notes: Mutex::default() };
    std::thread::scope(|scope| {
        for (machine, root) in roots.iter().enumerate() {
            let (fight, marks) = (&fight, local.path().join(format!("marks-{machine}")));
            scope.spawn(move || fight.machine(root, &marks));
        }
    });
    let notes = fight.notes.into_inner().unwrap();
    std::fs::remove_dir_all(&roots[0]).unwrap();
    for (opened, keys) in &notes.openings {
        for (acked, key) in notes.acks.iter().filter(|(acked, _)| acked < opened) {
            assert!(
                keys.contains(key),
                "epoch {opened} did not read {key}, acknowledged in {acked}"
            );
        }
    }
    println!(
        "{} openings, {} acknowledged, {} fenced",
        notes.openings.len(),
        notes.acks.len(),
        notes.fenced
    );
    assert!(notes.openings.len() as u64 > OPENINGS / 4 && notes.acks.len() as u64 > OPENINGS / 2);
    assert!(notes.fenced > 0, "nobody was in the way of the other");
}

fn mounts(local: &Path) -> [PathBuf; 2] {
    match std::env::var("WARREN_MOUNTS") {
        Ok(text) => {
            let (a, b) = text.split_once(':').expect("two folders with a colon between");
            [a.into(), b.into()]
        }
        Err(_) => [local.to_owned(), local.to_owned()],
    }
}

fn open(root: &Path, marks: &Path) -> Volumes {
    Volumes::open(Arc::new(RealDisk), root, marks, &keyring()).unwrap()
}

impl Fight {
    fn machine(&self, root: &Path, marks: &Path) {
        let volumes = open(root, marks);
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number > OPENINGS {
                return;
            }
            let opened = match volumes.exists(id(1)) {
                true => volumes.open_store(id(1), &alice(), epoch(number)),
                false => volumes.take_over(id(1), &alice(), epoch(number)),
            };
            let store = match opened {
                Ok(store) => store,
                // The other one was faster with a higher epoch; it gets time to end its opening.
                Err(OpenError::StaleEpoch { .. }) => {
                    std::thread::sleep(Duration::from_millis(200));
                    continue;
                }
                Err(error) => panic!("epoch {number}: {error}"),
            };
            self.opened(number, &store);
            self.write(number, &store);
            std::thread::sleep(Duration::from_millis(number * 7 % 23));
            // What a machine keeps open longer than its epoch must not get in anybody's way.
            drop(store);
        }
    }

    fn opened(&self, number: u64, store: &Store) {
        let keys = store.keys(b"");
        let keys = keys.iter().map(|key| String::from_utf8(key.to_vec()).unwrap()).collect();
        self.notes.lock().unwrap().openings.push((number, keys));
    }

    /// Writes until the other one took over, or for a while.
    fn write(&self, number: u64, store: &Store) {
        let begin = Instant::now();
        for count in 0.. {
            if begin.elapsed() > Duration::from_millis(300) {
                return;
            }
            let key = format!("{number}-{count}");
            let mut batch = Batch::new();
            batch.put(key.as_bytes(), key.as_bytes());
            match store.commit_blocking(batch) {
                Ok(_) => self.notes.lock().unwrap().acks.push((number, key)),
                Err(CommitError::Stopped(Failure::Fenced { own, opened })) => {
                    assert!(opened > own);
                    self.notes.lock().unwrap().fenced += 1;
                    return;
                }
                Err(error) => panic!("epoch {number}: {error}"),
            }
        }
    }
}
