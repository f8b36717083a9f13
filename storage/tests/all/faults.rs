//! Syncs that fail, disks that fill up, calls that err: nothing false is acknowledged, what was
//! acknowledged is served and survives.

use storage::sim::{Crash, SimDisk};
use storage::{CommitError, Failure, MaintainError, OpenError, Store};

use crate::support::*;

fn prepared() -> (SimDisk, Oracle) {
    let (disk, mut oracle) = (SimDisk::new(), Oracle::new());
    let store = create(&disk);
    let large = "l".repeat(1_000);
    for changes in [
        &[("a", Some("1")), ("b", Some("2"))][..],
        &[("large", Some(&large))],
        &[("a", None), ("c", Some("3"))],
    ] {
        commit(&store, changes);
        oracle.add(changes);
    }
    store.close().unwrap();
    (disk, oracle)
}

/// Works until something fails; returns how many batches were acknowledged.
fn work(store: &Store, oracle: &mut Oracle, acknowledged: &mut usize) -> Result<(), CommitError> {
    let large = "m".repeat(1_000);
    for round in 0..8 {
        let changes = [("large", Some(&*large)), ("b", (round % 2 == 0).then_some("x"))];
        let (commit, job) = store.append(batch(&changes))?;
        oracle.add(&changes);
        if let Some(job) = job {
            job.run();
        }
        let ack = wait(commit)?;
        *acknowledged = usize::try_from(ack.seq().number()).unwrap();
    }
    match store.compact() {
        Err(MaintainError::Commit(error)) => return Err(error),
        // A compaction that did not come off leaves the store as it was.
        Ok(_) | Err(MaintainError::Io(_) | MaintainError::Read(_)) => {}
    }
    let changes = [("after", Some("maintenance"))];
    oracle.add(&changes);
    let ack = store.commit_blocking(batch(&changes))?;
    *acknowledged = usize::try_from(ack.seq().number()).unwrap();
    Ok(())
}

/// Puts a fault in and works; then the store must serve what is durable and take nothing more, and
/// after any restart what was acknowledged must be there.
fn check(fault: impl FnOnce(&SimDisk), what: &str) -> bool {
    let (disk, mut oracle) = prepared();
    let store = match open(&disk) {
        Ok(store) => store,
        Err(error) => panic!("{what}: {error}"),
    };
    fault(&disk);
    let mut acknowledged = oracle.batches();
    let outcome = work(&store, &mut oracle, &mut acknowledged);
    disk.heal();
    if let Err(error) = &outcome {
        assert!(matches!(error, CommitError::Stopped(_)), "{what}: {error}");
        let refused = store.append(batch(&[("more", Some("x"))])).err().unwrap();
        assert!(matches!(refused, CommitError::Stopped(_)), "{what}: {refused}");
        let durable = usize::try_from(store.latest().number()).unwrap();
        assert_eq!(durable, acknowledged, "{what}: a stopped store serves what is durable");
        assert!(state(&store) == oracle.0[durable], "{what}: a stopped store serves it wrongly");
    }
    for how in [Crash::Lost, Crash::Kept, Crash::Torn(1), Crash::Torn(2), Crash::Torn(3)] {
        let what = format!("{what}, then {how:?}");
        let disk = disk.crash(how);
        let store = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
        oracle.check(&store, acknowledged, &what);
        commit(&store, &[("more", Some("x"))]);
    }
    // Without a restart: the process lives on and opens the store again. What it serves then must
    // survive even if the power fails at once.
    drop(store);
    let store = open(&disk).unwrap_or_else(|error| panic!("{what}, reopened: {error}"));
    let served = oracle.check(&store, acknowledged, what);
    let after = open(&disk.crash(Crash::Lost)).unwrap_or_else(|e| panic!("{what}, lost: {e}"));
    oracle.check(&after, served, &format!("{what}, reopened, then lost"));
    outcome.is_err()
}

#[test]
fn nothing_is_acknowledged_after_a_failed_sync() {
    let mut stopped = 0;
    for sync in 1..=14 {
        let what = format!("sync {sync} fails");
        stopped += u32::from(check(|disk| disk.fail_sync_in(sync), &what));
    }
    assert!(stopped >= 9, "each commit syncs once, but only {stopped} stopped the store");
}

#[test]
fn every_single_failed_call_is_survived() {
    for call in 1..=60 {
        check(|disk| disk.fail_in(call), &format!("call {call} fails"));
        check(|disk| disk.lie_in(call), &format!("call {call} takes effect and reports an error"));
    }
}

#[test]
fn a_full_disk_keeps_what_was_acknowledged_and_makes_the_store_read_only() {
    let mut stopped = 0;
    for room in (0..14_000).step_by(97) {
        let what = format!("room for {room} bytes");
        let full = check(|disk| disk.set_room(Some(room)), &what);
        stopped += u32::from(full);
    }
    assert!(stopped > 40, "only {stopped}");
}

#[test]
fn a_full_disk_is_named_and_the_way_out_works() {
    let (disk, oracle) = prepared();
    let store = open(&disk).unwrap();
    disk.set_room(Some(100));
    let error = store.commit_blocking(batch(&[("k", Some(&"v".repeat(500)))])).unwrap_err();
    assert!(matches!(error, CommitError::Stopped(Failure::DiskFull)), "{error}");
    assert!(state(&store) == *oracle.last());
    let error = store.close().unwrap_err();
    assert!(matches!(error, CommitError::Stopped(Failure::DiskFull)), "{error}");

    disk.set_room(None);
    drop(store);
    let store = open(&disk).unwrap();
    assert_eq!(store.recovery().cut_bytes, 100, "what a full disk took is cut by the next opening");
    drop(store);
    let store = open(&disk).unwrap();
    commit(&store, &[("k", Some("v"))]);
    assert_eq!(store.recovery().cut_bytes, 0, "the opening before this one cut the failed write");
}

#[test]
fn everybody_who_waits_learns_of_a_failed_sync() {
    let (disk, _) = prepared();
    let store = open(&disk).unwrap();
    let (first, job) = store.append(batch(&[("k", Some("1"))])).unwrap();
    let (second, _) = store.append(batch(&[("k", Some("2"))])).unwrap();
    let read = store.durable(second.seq());
    let waiting = std::thread::spawn(move || (wait(first), wait(second), wait(read)));
    std::thread::sleep(std::time::Duration::from_millis(20));
    disk.fail_sync_in(1);
    job.unwrap().run();
    let (first, second, read) = waiting.join().unwrap();
    assert!(matches!(first, Err(CommitError::Stopped(Failure::Disk(_)))));
    assert!(second.is_err() && read.is_err());
    assert_eq!(store.get(b"k").unwrap(), None, "what never became durable is not served");
}

/// A sync that failed once may succeed when it is repeated, and prove nothing.
#[test]
fn reopening_after_a_failed_sync_does_not_believe_the_cache() {
    let (disk, oracle) = prepared();
    let store = open(&disk).unwrap();
    // The sync fails, and the process is killed before it can cut the failed write off: the bytes
    // are there to read, and no sync will ever keep them.
    disk.fail_sync_in(1);
    let calls = disk.calls();
    let (commit, job) = store.append(batch(&[("k", Some("v"))])).unwrap();
    disk.power_off_in(2);
    job.unwrap().run();
    assert!(wait(commit).is_err());
    assert!(disk.calls() > calls + 2, "write, sync, and no cut");
    disk.heal();
    drop(store);
    let store = open(&disk).unwrap();
    let served = state(&store);
    assert!(store.recovery().unmarked_bytes > 0 && served != *oracle.last());
    let after = open(&disk.crash(Crash::Lost)).unwrap();
    assert!(state(&after) == served, "what was served after the restart is gone");
}

#[test]
fn an_opening_that_fails_can_be_repeated() {
    let (prepared, oracle) = prepared();
    for call in 1.. {
        let disk = copy(&prepared);
        disk.fail_in(call);
        let opened = try_volumes(&disk).and_then(|v| v.open_store(id(1), &alice(), epoch(2)));
        let failed = match &opened {
            Ok(_) => false,
            Err(OpenError::Io { .. } | OpenError::Watermark(_)) => true,
            Err(error) => panic!("call {call}: {error}"),
        };
        drop(opened);
        disk.heal();
        let store = volumes(&disk).open_store(id(1), &alice(), epoch(2)).unwrap();
        assert!(state(&store) == *oracle.last(), "call {call}");
        if !failed {
            assert!(call > 10, "an opening makes more calls than {call}");
            break;
        }
    }
}

/// A full disk took the first batches of a write whole. They were cut off again, and the next epoch
/// goes on elsewhere; they must not come back into a history that went on without them.
#[test]
fn what_a_full_disk_took_does_not_come_back_into_the_next_epoch() {
    let (prepared, oracle) = prepared();
    for (calls, seed) in (1..25).flat_map(|calls| (0..20).map(move |seed| (calls, seed))) {
        let disk = copy(&prepared);
        let store = open(&disk).unwrap();
        disk.set_room(Some(250));
        let (first, job) = store.append(batch(&[("k", Some("1"))])).unwrap();
        let (second, _) = store.append(batch(&[("k", Some("2"))])).unwrap();
        let (third, _) = store.append(batch(&[("k", Some(&"3".repeat(500)))])).unwrap();
        // The process is killed right after the cut, which is not durable.
        disk.power_off_in(2);
        job.unwrap().run();
        assert!(wait(first).is_err() && wait(second).is_err() && wait(third).is_err());
        disk.heal();
        drop(store);
        disk.power_off_in(calls);
        let acknowledged = try_volumes(&disk)
            .and_then(|v| v.open_store(id(1), &alice(), epoch(2)))
            .is_ok_and(|store| store.commit_blocking(batch(&[("n", Some("x"))])).is_ok());
        let what = format!("off at {calls}, seed {seed}");
        let store = volumes(&disk.crash(Crash::Torn(seed)))
            .open_store(id(1), &alice(), epoch(2))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(store.get(b"n").unwrap().is_some() || !acknowledged, "{what}");
        assert!(store.latest().number() as usize >= oracle.batches(), "{what}");
    }
}
