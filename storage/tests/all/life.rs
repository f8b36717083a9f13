//! The life of a store on a sound disk.

use std::sync::Arc;
use std::task::Poll;

use protocol::{AtSign, Epoch};
use storage::limits::{BATCH_BYTES_MAX, VALUE_BYTES_MAX};
use storage::sim::SimDisk;
use storage::{
    Batch, BatchError, CommitError, Maintenance, OpenError, RealDisk, Volumes, WatermarkError,
};

use crate::support::*;

#[test]
fn what_was_committed_is_there_after_reopening() {
    let disk = SimDisk::new();
    let store = create(&disk);
    commit(&store, &[("a", Some("1")), ("b", Some("2"))]);
    commit(&store, &[("a", Some("3")), ("b", None), ("c", Some(""))]);
    let (digest, latest) = (store.digest().unwrap(), store.latest());
    store.close().unwrap();
    drop(store);

    let store = open(&disk).unwrap();
    let expected = [("a", "3"), ("c", "")].map(|(k, v)| (k.into(), v.into()));
    assert_eq!(state(&store), State::from(expected));
    assert_eq!((store.digest().unwrap(), store.latest()), (digest, latest));
    assert_eq!(store.get(b"b").unwrap(), None);
    assert_eq!(store.get(b"c").unwrap().unwrap().seq.number(), 2);
    assert_eq!(store.recovery().cut_bytes + store.recovery().unmarked_bytes, 0);
}

#[test]
fn the_same_holds_on_the_machines_own_disk() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mount = || Volumes::open(Arc::new(RealDisk), at("v"), at("w/marks"), &keyring());
    let volumes = mount().unwrap();
    let store = volumes.create(id(1), &alice(), Epoch::FIRST).unwrap();
    let large = "x".repeat(200_000);
    for round in 0..5 {
        commit(&store, &[("large", Some(&large)), ("round", Some(&round.to_string()))]);
    }
    assert!(matches!(store.maintain().unwrap(), Maintenance::Compacted { .. }));
    commit(&store, &[("after", Some("x"))]);
    let (before, digest) = (state(&store), store.digest().unwrap());

    let error = mount().err().expect("a second process would be refused");
    assert!(matches!(error, OpenError::Watermark(WatermarkError::InUse { .. })), "{error}");
    drop((store, volumes));
    let store = mount().unwrap().open_store(id(1), &alice(), Epoch::FIRST).unwrap();
    assert_eq!((state(&store), store.digest().unwrap()), (before, digest));
    assert!(store.log_bytes() < 300_000);
}

#[test]
fn a_store_reads_its_own_writes_before_they_are_durable() {
    let disk = SimDisk::new();
    let store = create(&disk);
    commit(&store, &[("k", Some("old"))]);
    let (first, job) = store.append(batch(&[("k", Some("new"))])).unwrap();
    let (second, none) = store.append(batch(&[("l", Some("x")), ("k", None)])).unwrap();
    assert!(none.is_none(), "one job does it");
    assert_eq!(store.get(b"k").unwrap(), None);
    assert_eq!(store.get(b"l").unwrap().unwrap().bytes, b"x");
    assert_eq!(state(&store).len(), 1);
    let (mut first, mut second) = (first, second);
    assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
    assert!(poll_once(&mut store.durable(second.seq())).is_pending());

    let syncs = disk.syncs();
    job.unwrap().run();
    assert_eq!(disk.syncs(), syncs + 1, "one sync for both");
    let ack = wait(first).unwrap();
    assert_eq!((ack.seq().number(), ack.epoch()), (2, Epoch::FIRST));
    assert_eq!(wait(second).unwrap().seq(), store.latest());
    assert!(matches!(poll_once(&mut store.durable(store.latest())), Poll::Ready(Ok(()))));
}

#[test]
fn waiting_for_a_batch_that_nobody_appended_is_an_error() {
    let disk = SimDisk::new();
    let (one, two) = (create(&disk), copy(&disk));
    commit(&one, &[("k", Some("v"))]);
    let store = open(&two).unwrap();
    let error = wait(store.durable(one.latest())).unwrap_err();
    assert!(matches!(error, CommitError::NeverAppended(seq) if seq.number() == 1));
}

#[test]
fn a_dropped_job_leaves_its_duty_to_whoever_waits() {
    let disk = SimDisk::new();
    let store = create(&disk);
    let (commit, job) = store.append(batch(&[("k", Some("v"))])).unwrap();
    let (other, none) = store.append(batch(&[("l", Some("v"))])).unwrap();
    assert!(none.is_none());
    let waiting = std::thread::spawn(move || wait(other));
    std::thread::sleep(std::time::Duration::from_millis(20));
    drop(job);
    assert!(waiting.join().unwrap().is_ok());
    assert!(wait(commit).is_ok());

    let (dropped, job) = store.append(batch(&[("m", Some("v"))])).unwrap();
    drop((dropped, job));
    let (commit, job) = store.append(batch(&[("n", Some("v"))])).unwrap();
    job.expect("the duty is free again").run();
    assert!(wait(commit).is_ok());
    assert_eq!(state(&open(&copy(&disk)).unwrap()).len(), 4);
}

#[test]
fn an_empty_batch_waits_for_the_last_one() {
    let disk = SimDisk::new();
    let store = create(&disk);
    commit(&store, &[("k", Some("v"))]);
    let bytes = store.log_bytes();
    let ack = store.commit_blocking(Batch::new()).unwrap();
    assert_eq!((ack.seq().number(), store.log_bytes()), (1, bytes));
}

#[test]
fn a_batch_beyond_a_limit_is_refused_and_changes_nothing() {
    let store = create(&SimDisk::new());
    let mut large = Batch::new();
    large.put(b"fits", b"v").put(b"large", &vec![0; VALUE_BYTES_MAX + 1]);
    let error = store.append(large).err().unwrap();
    assert!(matches!(error, CommitError::Batch(BatchError::Value(_))), "{error}");
    assert!(store.is_empty());
}

#[test]
fn the_largest_values_come_back_and_the_queue_is_bounded() {
    let disk = SimDisk::new();
    let store = create(&disk);
    let value = vec![0xA5; VALUE_BYTES_MAX];
    let put = |key: &[u8]| {
        let mut batch = Batch::new();
        batch.put(key, &value);
        store.append(batch)
    };
    let mut waiting = vec![put(b"a").unwrap(), put(b"b").unwrap()];
    assert!(matches!(put(b"c"), Err(CommitError::Busy)));
    waiting.remove(0).1.unwrap().run();
    assert!(put(b"c").is_ok());
    store.close().unwrap();
    drop((store, waiting));
    let store = open(&disk).unwrap();
    assert_eq!(store.keys(b""), [b"a", b"b", b"c"].map(|key| Box::from(&key[..])));
    assert!(store.get(b"b").unwrap().unwrap().bytes == value);
    const { assert!(BATCH_BYTES_MAX > VALUE_BYTES_MAX) };
}

#[test]
fn prefixes_select_keys_in_order() {
    let store = create(&SimDisk::new());
    commit(&store, &[("b2", Some("2")), ("a", Some("0")), ("b1", Some("1")), ("c", Some("3"))]);
    let mut seen = Vec::new();
    store.for_each(b"b", &mut |key, value| seen.push((key.to_vec(), value.to_vec()))).unwrap();
    assert_eq!(seen, [("b1", "1"), ("b2", "2")].map(|(k, v)| (k.into(), v.into())));
    assert_eq!(store.keys(b"b").len(), 2);
}

#[test]
fn a_volume_is_open_once_at_a_time() {
    let disk = SimDisk::new();
    let volumes = volumes(&disk);
    let store = volumes.create(id(1), &alice(), Epoch::FIRST).unwrap();
    let again = || volumes.open_store(id(1), &alice(), Epoch::FIRST);
    assert!(matches!(again(), Err(OpenError::AlreadyOpen(_))));
    assert!(matches!(volumes.remove(id(1)), Err(OpenError::AlreadyOpen(_))));
    store.close().unwrap();
    assert!(matches!(store.append(batch(&[("k", None)])), Err(CommitError::Closed)));
    let store = again().unwrap();
    drop(store);
    assert!(again().is_ok());
}

/// However busy the writers are, closing ends, and what it let in is durable.
#[test]
fn closing_refuses_what_comes_later_and_keeps_what_came_before() {
    let disk = SimDisk::new();
    let store = create(&disk);
    let taken = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut taken = Vec::new();
            loop {
                match store.append(batch(&[("k", Some(&taken.len().to_string()))])) {
                    Ok((commit, job)) => {
                        drop(job);
                        taken.push(commit);
                    }
                    Err(error) => break (taken, error),
                }
            }
        });
        std::thread::sleep(std::time::Duration::from_millis(5));
        store.close().unwrap();
        let (taken, error) = writer.join().unwrap();
        assert!(matches!(error, CommitError::Closed | CommitError::Busy), "{error}");
        taken
    });
    assert!(!taken.is_empty());
    let last = (taken.len() - 1).to_string();
    for commit in taken {
        wait(commit).unwrap();
    }
    let survivor = open(&disk.crash(storage::sim::Crash::Lost)).unwrap();
    assert_eq!(survivor.get(b"k").unwrap().unwrap().bytes, last.as_bytes());
}

#[test]
fn creating_opening_and_removing_say_what_is_there() {
    let volumes = volumes(&SimDisk::new());
    let create = || volumes.create(id(1), &alice(), Epoch::FIRST);
    let open = || volumes.open_store(id(1), &alice(), Epoch::FIRST);
    assert!(!volumes.exists(id(1)));
    assert!(matches!(open(), Err(OpenError::NotFound(_))));
    commit(&create().unwrap(), &[("k", Some("v"))]);
    assert!(volumes.exists(id(1)) && volumes.watermarks().len() == 1);
    assert!(matches!(create(), Err(OpenError::AlreadyExists(_))));
    volumes.remove(id(1)).unwrap();
    volumes.remove(id(1)).unwrap();
    assert!(!volumes.exists(id(1)));
    assert!(matches!(open(), Err(OpenError::NotFound(_))));
    assert!(create().unwrap().is_empty());
}

#[test]
fn a_higher_epoch_shuts_the_lower_ones_out_for_good() {
    let disk = SimDisk::new();
    let volumes = volumes(&disk);
    let open = |number| volumes.open_store(id(1), &alice(), epoch(number));
    commit(&volumes.create(id(1), &alice(), epoch(1)).unwrap(), &[("k", Some("1"))]);
    for number in [2, 5, 5] {
        let store = open(number).unwrap();
        commit(&store, &[("k", Some(&number.to_string()))]);
        assert_eq!(store.epoch(), epoch(number));
    }
    let stale = open(4).unwrap_err();
    assert!(matches!(stale, OpenError::StaleEpoch { found, .. } if found == epoch(5)), "{stale}");
    assert_eq!(segments(&disk).len(), 3, "each epoch has a segment of its own");
    assert_eq!(open(5).unwrap().get(b"k").unwrap().unwrap().bytes, b"5");
    // An epoch that was only opened counts, too.
    drop(open(6).unwrap());
    assert!(matches!(open(5), Err(OpenError::StaleEpoch { .. })));
}

#[test]
fn many_segments_are_merged() {
    let disk = SimDisk::new();
    let volumes = volumes(&disk);
    drop(volumes.create(id(1), &alice(), epoch(1)).unwrap());
    for number in 2..=8 {
        let store = volumes.open_store(id(1), &alice(), epoch(number)).unwrap();
        commit(&store, &[(&number.to_string(), Some("v"))]);
        let expected = number == 8;
        assert_eq!(store.maintain().unwrap() != Maintenance::NotWorthIt, expected);
    }
    assert_eq!(segments(&disk).len(), 1);
    assert_eq!(state(&volumes.open_store(id(1), &alice(), epoch(8)).unwrap()).len(), 7);
}

#[test]
fn compaction_keeps_the_state_and_frees_the_rest() {
    let disk = SimDisk::new();
    let store = create(&disk);
    let value = "v".repeat(1_000);
    for round in 0..20 {
        for key in 0..10 {
            commit(&store, &[(&format!("key {key}"), Some(&format!("{round} {value}")))]);
        }
    }
    commit(&store, &[("key 3", None)]);
    let (before, digest) = (state(&store), store.digest().unwrap());
    let Maintenance::Compacted { bytes_before, bytes_after } = store.maintain().unwrap() else {
        panic!("two hundred values, nine of them live");
    };
    assert!(bytes_before > 200_000 && bytes_after < 12_000, "{bytes_before} to {bytes_after}");
    assert_eq!(store.maintain().unwrap(), Maintenance::NotWorthIt);
    assert_eq!((state(&store), store.digest().unwrap()), (before.clone(), digest));
    assert_eq!(store.get(b"key 9").unwrap().unwrap().seq.number(), 200, "its batch stays known");
    commit(&store, &[("after", Some("x"))]);
    drop(store);
    let store = open(&disk).unwrap();
    assert_eq!(state(&store).len(), before.len() + 1);
    assert_eq!(store.get(b"key 9").unwrap().unwrap().seq.number(), 200);
    assert_eq!(segments(&disk).len(), 1);
}

#[test]
fn another_identitys_name_does_not_open_a_volume() {
    let disk = SimDisk::new();
    commit(&create(&disk), &[("k", Some("v"))]);
    let bob = AtSign::parse("@bob").unwrap();
    let error = volumes(&disk).open_store(id(1), &bob, Epoch::FIRST).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(_)), "{error}");
}

/// A personal server sleeps and wakes by the thousand; what one costs is a promise.
#[test]
fn an_awake_tiny_store_stays_under_ten_kib() {
    const STORES: u8 = 250;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let volumes = Volumes::open(Arc::new(RealDisk), at("v"), at("marks"), &keyring()).unwrap();
    for number in 1..=STORES {
        let store = volumes.create(id(number), &alice(), Epoch::FIRST).unwrap();
        for key in 0..10 {
            commit(&store, &[(&format!("public:key{key}@alice"), Some("a value of some bytes"))]);
        }
    }
    let before = resident_bytes();
    let open = |n| volumes.open_store(id(n), &alice(), Epoch::FIRST).unwrap();
    let stores: Vec<_> = (1..=STORES).map(open).collect();
    let each = (resident_bytes() - before) / usize::from(STORES);
    assert!(each < 10 << 10, "{each} bytes a store");
    let estimated = stores[0].memory_bytes();
    assert!((each / 4..each * 4).contains(&estimated), "{estimated} estimated, {each} measured");
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find(|line| line.starts_with("Rss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}
