//! What lies beyond the watermark: kept if it is whole, cut if it is torn, refused if it is neither.

use storage::OpenError;
use storage::format::{RecordParse, parse_record};
use storage::sim::{Crash, SimDisk};

use crate::support::*;

/// A log of which the last batches are beyond the watermark, as after a power failure: `marked` of
/// them are below it. The groups were synced one by one.
struct Sample {
    disk: SimDisk,
    oracle: Oracle,
    marked: usize,
    file: std::path::PathBuf,
    bytes: Vec<u8>,
    /// Where each batch ends, and where each group of them does.
    ends: Vec<usize>,
    group_ends: Vec<usize>,
}

/// Two batches, the watermark, then groups of so many batches each.
fn sample(groups: &[usize]) -> Sample {
    let (disk, mut oracle) = (SimDisk::new(), Oracle::new());
    let store = create(&disk);
    let file = segments(&disk)[0].clone();
    let size = || disk.file(&file).unwrap().len();
    let mut ends = vec![size()];
    for value in ["1", "2"] {
        commit(&store, &[("k", Some(value))]);
        oracle.add(&[("k", Some(value))]);
        ends.push(size());
    }
    let marks = disk.file(MARKS.as_ref()).unwrap();
    let mut group_ends = vec![size()];
    for (number, count) in groups.iter().enumerate() {
        let mut jobs = Vec::new();
        for batch_number in 0..*count {
            let value = format!("group {number}, batch {batch_number}");
            let changes = [("k", Some(&*value)), (&*value, Some("x"))];
            let (commit, job) = store.append(batch(&changes)).unwrap();
            drop(commit);
            jobs.extend(job);
            oracle.add(&changes);
            ends.push(usize::try_from(store.log_bytes()).unwrap());
        }
        jobs.into_iter().for_each(storage::SyncJob::run);
        group_ends.push(size());
    }
    drop(store);
    disk.put_file(MARKS.as_ref(), &marks);
    let bytes = disk.file(&file).unwrap();
    assert_eq!((ends.last(), group_ends.last()), (Some(&bytes.len()), Some(&bytes.len())));
    Sample { disk, oracle, marked: 2, file, bytes, ends, group_ends }
}

impl Sample {
    fn with(&self, bytes: &[u8]) -> SimDisk {
        let disk = copy(&self.disk);
        disk.put_file(&self.file, bytes);
        disk
    }

    /// The number of whole batches within so many bytes.
    fn batches_in(&self, length: usize) -> usize {
        self.ends.iter().filter(|end| **end <= length).count() - 1
    }
}

#[test]
fn batches_beyond_the_watermark_are_kept() {
    for groups in [&[1][..], &[3], &[1, 2, 1]] {
        let sample = sample(groups);
        let store = open(&sample.disk).unwrap();
        assert_eq!(store.recovery().cut_bytes, 0);
        assert!(store.recovery().unmarked_bytes > 0);
        let batches = sample.oracle.check(&store, sample.marked, "unmarked");
        assert_eq!(batches, sample.oracle.batches());
    }
}

#[test]
fn every_torn_end_is_cut_to_the_last_whole_batch() {
    let sample = sample(&[1, 3, 2]);
    for length in sample.ends[sample.marked]..=sample.bytes.len() {
        let disk = sample.with(&sample.bytes[..length]);
        let store = open(&disk).unwrap_or_else(|error| panic!("cut at {length}: {error}"));
        let whole = sample.batches_in(length);
        assert_eq!(sample.oracle.check(&store, sample.marked, "torn"), whole);
        let report = store.recovery();
        assert_eq!(report.cut_bytes, (length - sample.ends[whole]) as u64);
        commit(&store, &[("k", Some("after"))]);
        drop(store);
        let store = open(&disk).unwrap();
        assert_eq!(store.get(b"k").unwrap().unwrap().bytes, b"after");
        assert_eq!(store.recovery().cut_bytes, 0, "it was cut for good");
    }
}

/// Zeros where the file grew and its data never came, up to any length.
#[test]
fn zeros_after_a_power_failure_are_a_torn_end() {
    let sample = sample(&[2]);
    for length in sample.ends[sample.marked]..sample.bytes.len() {
        let mut zeroed = sample.bytes.clone();
        zeroed[length..].fill(0);
        let store = open(&sample.with(&zeroed)).unwrap();
        let whole = sample.oracle.check(&store, sample.marked, "zeros");
        assert!(
            whole == sample.batches_in(length) || sample.bytes[length..].iter().all(|b| *b == 0)
        );
    }
}

/// Of one write of several batches any sectors may be missing; what comes before them is kept.
#[test]
fn a_hole_in_the_last_write_is_a_torn_end() {
    let sample = sample(&[1, 4]);
    let last_write = sample.group_ends[1]..sample.bytes.len();
    for start in last_write.clone() {
        for end in [start + 1, start + 40, start + 200] {
            let mut torn = sample.bytes.clone();
            torn[start..end.min(sample.bytes.len())].iter_mut().for_each(|byte| *byte ^= 0xFF);
            let store = open(&sample.with(&torn)).unwrap_or_else(|e| panic!("at {start}: {e}"));
            let whole = sample.batches_in(start);
            assert_eq!(sample.oracle.check(&store, sample.marked, "hole"), whole, "at {start}");
        }
    }
}

/// A flipped bit in a write that later writes prove to have been durable is no torn end.
#[test]
fn damage_before_a_later_write_is_refused() {
    let sample = sample(&[2, 1, 2]);
    let mut refused = 0;
    for byte in sample.ends[sample.marked]..sample.bytes.len() {
        for bit in 0..8 {
            let mut flipped = sample.bytes.clone();
            flipped[byte] ^= 1 << bit;
            let opened = open(&sample.with(&flipped));
            if byte < sample.group_ends[2] {
                let error = opened.expect_err("a later write is whole");
                let OpenError::Damaged(damage) = error else { panic!("byte {byte}: {error}") };
                let batches = sample.batches_in(byte);
                assert_eq!(damage.offset, sample.ends[batches] as u64);
                assert_eq!(damage.seq.number(), batches as u64);
                refused += 1;
            } else {
                let whole = sample.batches_in(byte);
                assert_eq!(sample.oracle.check(&opened.unwrap(), sample.marked, "last"), whole);
            }
        }
    }
    assert!(refused > 1_000);
}

/// A write was torn in its first batch only; the next write goes to the same place and is torn, too.
/// What is left of the first must not come back behind it.
#[test]
fn what_was_cut_once_does_not_come_back() {
    let sample = sample(&[4]);
    let mut torn = sample.bytes.clone();
    torn[sample.ends[sample.marked] + 60] ^= 1;
    for call in 1.. {
        let mut done = true;
        for seed in 0..40 {
            let disk = sample.with(&torn);
            disk.power_off_in(call);
            let committed = open(&disk)
                .is_ok_and(|store| store.commit_blocking(batch(&[("n", Some("x"))])).is_ok());
            done &= committed;
            let what = format!("call {call}, seed {seed}");
            let store = open(&disk.crash(Crash::Torn(seed)))
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            let value = store.get(b"n").unwrap();
            assert!(value.is_some() || !committed, "{what}");
            assert_eq!(store.latest().number(), 2 + u64::from(value.is_some()), "{what}");
        }
        if done {
            break;
        }
    }
}

/// Beyond the watermark nothing but the chain tells a batch of another history.
#[test]
fn a_batch_of_another_history_is_refused() {
    let disk = SimDisk::new();
    let store = create(&disk);
    commit(&store, &[("k", Some("1"))]);
    let fork = copy(&disk);
    commit(&store, &[("k", Some("2"))]);
    drop(store);
    let other = open(&fork).unwrap();
    let file = segments(&disk)[0].clone();
    commit(&other, &[("k", Some("3"))]);
    let start = fork.file(&file).unwrap().len();
    commit(&other, &[("k", Some("4"))]);
    let mut bytes = disk.file(&file).unwrap();
    assert_eq!(bytes.len(), start);
    bytes.extend(&fork.file(&file).unwrap()[start..]);
    disk.put_file(&file, &bytes);
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(_)), "{error}");
}

#[test]
fn a_repeated_or_moved_record_beyond_the_watermark_is_refused() {
    let sample = sample(&[1, 1]);
    let record = |number: usize| &sample.bytes[sample.ends[number - 1]..sample.ends[number]];
    for repeated in 1..=4 {
        for cut in 2..=4 {
            if repeated == cut + 1 {
                continue;
            }
            let mut bytes = sample.bytes[..sample.ends[cut]].to_vec();
            bytes.extend(record(repeated));
            let opened = open(&sample.with(&bytes));
            let how = format!("batch {repeated} after {cut}");
            assert!(matches!(opened, Err(OpenError::Damaged(_))), "{how}");
        }
    }
}

/// Whatever is appended to a log, nobody is served what was not written.
#[test]
fn garbage_at_the_end_is_cut_or_refused_in_short_time() {
    let sample = sample(&[1]);
    let mut noise = blocks(1_000_000);
    // Made to look like records to whoever only looks at heads.
    let head = &sample.bytes[sample.ends[2]..][..57];
    assert!(matches!(parse_record(head), RecordParse::Incomplete(_)));
    let (tricky, rest) = noise.split_at_mut(500_000);
    tricky.chunks_exact_mut(57).for_each(|chunk| chunk.copy_from_slice(head));
    for noise in [&tricky[..], &rest[..], &[0; 100_000]] {
        let mut bytes = sample.bytes.clone();
        bytes.extend(noise);
        let started = std::time::Instant::now();
        match open(&sample.with(&bytes)) {
            Ok(store) => assert_eq!(sample.oracle.check(&store, 3, "garbage"), 3),
            Err(error) => assert!(matches!(error, OpenError::Damaged(_)), "{error}"),
        }
        assert!(started.elapsed().as_secs() < 5);
    }
}

fn blocks(count: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}
