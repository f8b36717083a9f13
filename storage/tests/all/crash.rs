//! The machine dies at every single call to the disk, and whatever was acknowledged is there.

use protocol::Epoch;
use storage::sim::{Crash, SimDisk};
use storage::{Maintenance, OpenError, Store};

use crate::support::*;

const RESTARTS: [Crash; 8] = [
    Crash::Kept,
    Crash::Lost,
    Crash::Torn(1),
    Crash::Torn(2),
    Crash::Torn(3),
    Crash::Torn(4),
    Crash::Torn(5),
    Crash::Torn(6),
];

/// What a run did before it was broken off.
struct Run {
    oracle: Oracle,
    acknowledged: usize,
    epoch: u64,
}

impl Run {
    fn new() -> Self {
        Self { oracle: Oracle::new(), acknowledged: 0, epoch: 1 }
    }

    fn commit(&mut self, store: &Store, changes: &[Change<'_>]) -> Option<()> {
        self.oracle.add(changes);
        store.commit_blocking(batch(changes)).ok()?;
        self.acknowledged = self.oracle.batches();
        Some(())
    }

    /// Several batches with one sync.
    fn group(&mut self, store: &Store, groups: &[&[Change<'_>]]) -> Option<()> {
        let mut jobs = Vec::new();
        let mut commits = Vec::new();
        for changes in groups {
            self.oracle.add(changes);
            let (commit, job) = store.append(batch(changes)).ok()?;
            commits.push(commit);
            jobs.extend(job);
        }
        jobs.into_iter().for_each(storage::SyncJob::run);
        for commit in commits {
            wait(commit).ok()?;
            self.acknowledged += 1;
        }
        Some(())
    }

    fn open(&mut self, disk: &SimDisk, epoch: u64) -> Option<Store> {
        self.epoch = epoch;
        let volumes = try_volumes(disk).ok()?;
        volumes.open_store(id(1), &alice(), crate::support::epoch(epoch)).ok()
    }

    /// Every kind of call that a store makes; `None` as soon as one fails.
    fn work(&mut self, disk: &SimDisk) -> Option<()> {
        let large = "l".repeat(1_500);
        let store = try_volumes(disk).ok()?.create(id(1), &alice(), Epoch::FIRST).ok()?;
        self.commit(&store, &[("a", Some("1")), ("b", Some("2"))])?;
        self.group(&store, &[&[("c", Some(&large))], &[("a", None)], &[("c", Some("small"))]])?;
        self.commit(&store, &[("large", Some(&large))])?;
        store.close().ok()?;
        drop(store);

        let store = self.open(disk, 1)?;
        for round in ["1", "2"] {
            self.commit(&store, &[("large", Some(&large)), ("round", Some(round))])?;
        }
        assert!(matches!(store.compact().ok()?, Maintenance::Compacted { .. }));
        self.commit(&store, &[("after", Some("compaction"))])?;
        // So many that room is laid out behind the log.
        for round in 0..20 {
            self.commit(&store, &[("round", Some(&round.to_string()))])?;
        }
        drop(store);

        let store = self.open(disk, 2)?;
        self.group(&store, &[&[("e", Some("2"))], &[("b", None), ("f", Some(&large))]])?;
        drop(store);
        let store = self.open(disk, 3)?;
        for round in ["4", "5"] {
            self.commit(&store, &[("f", Some(&large)), ("round", Some(round))])?;
        }
        assert!(matches!(store.compact().ok()?, Maintenance::Compacted { .. }));
        self.commit(&store, &[("end", Some("x"))])?;
        store.close().ok()
    }

    /// After a restart the store opens, holds what it must, and goes on working.
    fn check(&self, disk: &SimDisk, what: &str) {
        let volumes = volumes(disk);
        let found = volumes.open_store(id(1), &alice(), epoch(self.epoch));
        let store = match found {
            Err(OpenError::NotFound(_) | OpenError::Watermark(_)) if self.acknowledged == 0 => {
                volumes.create(id(1), &alice(), epoch(1)).unwrap_or_else(|e| panic!("{what}: {e}"))
            }
            found => found.unwrap_or_else(|error| panic!("{what}: {error}")),
        };
        let batches = self.oracle.check(&store, self.acknowledged, what);
        commit(&store, &[("more", Some("x"))]);
        drop((store, volumes));

        let store = crate::support::volumes(disk)
            .open_store(id(1), &alice(), epoch(self.epoch))
            .unwrap_or_else(|error| panic!("{what}, second opening: {error}"));
        let mut expected = self.oracle.0[batches].clone();
        expected.insert(b"more".to_vec(), b"x".to_vec());
        assert!(state(&store) == expected, "{what}: what came after is not there");
        let report = store.recovery();
        assert_eq!(report.cut_bytes + report.unmarked_bytes, 0, "{what}: mended twice");
        assert_eq!(report.unfinished_segments, 0, "{what}: mended twice");
    }
}

fn calls_of(work: impl FnOnce(&SimDisk) -> Option<()>) -> u64 {
    let disk = SimDisk::new();
    work(&disk).expect("nothing fails without a fault");
    disk.calls()
}

#[test]
fn acknowledged_batches_survive_a_crash_at_every_call() {
    let calls = calls_of(|disk| Run::new().work(disk));
    assert!(calls > 100);
    for call in 1..=calls {
        let (disk, mut run) = (SimDisk::new(), Run::new());
        disk.power_off_in(call);
        let done = run.work(&disk);
        assert!(done.is_none() || call == calls, "call {call} was not the end");
        for how in RESTARTS {
            run.check(&disk.crash(how), &format!("crash at call {call}, {how:?}"));
        }
    }
}

/// The machine dies again while it recovers.
#[test]
fn acknowledged_batches_survive_a_crash_at_every_call_of_a_recovery() {
    let calls = calls_of(|disk| Run::new().work(disk));
    let mut recoveries_cut = 0;
    for call in 1..=calls {
        let (disk, mut run) = (SimDisk::new(), Run::new());
        disk.power_off_in(call);
        let _ = run.work(&disk);
        for (first, second) in [(Crash::Torn(call), Crash::Lost), (Crash::Kept, Crash::Torn(call))]
        {
            for again in 1.. {
                let disk = disk.crash(first);
                disk.power_off_in(again);
                let opened = try_volumes(&disk)
                    .and_then(|v| v.open_store(id(1), &alice(), epoch(run.epoch)));
                if !matches!(&opened, Err(OpenError::Io { .. } | OpenError::Watermark(_))) {
                    break;
                }
                if disk.calls() < again {
                    // Refused before the machine died: there was no store yet.
                    break;
                }
                recoveries_cut += 1;
                run.check(&disk.crash(second), &format!("call {call}, then {again}, {second:?}"));
            }
        }
    }
    assert!(recoveries_cut > 1_000, "only {recoveries_cut}");
}

/// A volume whose creation was broken off is made anew, whatever is left of it.
#[test]
fn a_broken_off_creation_is_repeated() {
    let calls = calls_of(|disk| {
        drop(create(disk));
        Some(())
    });
    for call in 1..=calls {
        let disk = SimDisk::new();
        disk.power_off_in(call);
        let _ = try_volumes(&disk).and_then(|v| v.create(id(1), &alice(), Epoch::FIRST));
        for how in RESTARTS {
            let disk = disk.crash(how);
            let volumes = volumes(&disk);
            let store = match volumes.exists(id(1)) {
                true => volumes.open_store(id(1), &alice(), Epoch::FIRST),
                false => volumes.create(id(1), &alice(), Epoch::FIRST),
            };
            let store = store.unwrap_or_else(|error| panic!("call {call}, {how:?}: {error}"));
            assert!(store.is_empty());
            commit(&store, &[("k", Some("v"))]);
        }
    }
}

/// A removal that was broken off is finished by repeating it, and the volume can be made anew.
#[test]
fn a_broken_off_removal_is_repeated() {
    let prepared = SimDisk::new();
    commit(&create(&prepared), &[("k", Some("v"))]);
    for call in 1.. {
        let disk = copy(&prepared);
        let volumes = volumes(&disk);
        disk.power_off_in(call);
        let removed = volumes.remove(id(1));
        for how in RESTARTS {
            let volumes = crate::support::volumes(&disk.crash(how));
            // While it is not done it shows, so that somebody repeats it.
            if volumes.exists(id(1)) {
                volumes.remove(id(1)).unwrap();
            }
            let store = volumes.create(id(1), &alice(), Epoch::FIRST).unwrap();
            assert!(store.is_empty(), "call {call}, {how:?}");
        }
        if removed.is_ok() {
            break;
        }
    }
}
