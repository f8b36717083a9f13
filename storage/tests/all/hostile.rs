//! Hostile disks: every bit flipped, every record dropped, repeated, swapped, every older copy put
//! back, every cut. All of it was acknowledged, so all of it must be noticed.

use std::ops::Range;
use std::path::{Path, PathBuf};

use protocol::Epoch;
use storage::format::{HEADER_BYTES, RecordParse, parse_record};
use storage::sim::SimDisk;
use storage::{Maintenance, OpenError};

use crate::support::*;

/// A small log of some shape, closed, and what it holds.
struct Sample {
    what: &'static str,
    disk: SimDisk,
    state: State,
    epoch: Epoch,
}

fn samples() -> Vec<Sample> {
    vec![plain(), reopened(), compacted()]
}

fn plain() -> Sample {
    let disk = SimDisk::new();
    let store = create(&disk);
    for changes in [
        &[("a", Some("1")), ("b", Some("2"))][..],
        &[("a", Some("3"))],
        &[("a", Some("3"))],
        &[("b", None)],
        &[("c", Some("a value of some length, so that there is something to flip"))],
    ] {
        commit(&store, changes);
    }
    let state = state(&store);
    store.close().unwrap();
    Sample { what: "plain", disk, state, epoch: Epoch::FIRST }
}

/// Two epochs, so two segments.
fn reopened() -> Sample {
    let Sample { disk, .. } = plain();
    let store = volumes(&disk).open_store(id(1), &alice(), epoch(2)).unwrap();
    commit(&store, &[("a", Some("4"))]);
    commit(&store, &[("d", Some("5"))]);
    let state = state(&store);
    store.close().unwrap();
    Sample { what: "reopened", disk, state, epoch: epoch(2) }
}

fn compacted() -> Sample {
    let disk = SimDisk::new();
    let store = create(&disk);
    commit(&store, &[("a", Some("1")), ("b", Some("2"))]);
    commit(&store, &[("b", None), ("d", Some("4"))]);
    assert!(matches!(store.compact().unwrap(), Maintenance::Compacted { .. }));
    commit(&store, &[("c", Some("3"))]);
    let state = state(&store);
    store.close().unwrap();
    Sample { what: "compacted", disk, state, epoch: Epoch::FIRST }
}

impl Sample {
    fn with(&self, file: &Path, bytes: &[u8]) -> SimDisk {
        let disk = copy(&self.disk);
        disk.put_file(file, bytes);
        disk
    }

    /// The volume must be refused, for a reason that has to do with its log.
    fn refuses(&self, disk: &SimDisk, how: &str) -> OpenError {
        match volumes(disk).open_store(id(1), &alice(), self.epoch) {
            Ok(_) => panic!("{}, {how}: opened as if nothing had happened", self.what),
            Err(
                error @ (OpenError::Damaged(_)
                | OpenError::LostTail { .. }
                | OpenError::OldCopy { .. }
                | OpenError::Forked { .. }),
            ) => error,
            Err(error) => panic!("{}, {how}: refused for another reason: {error}", self.what),
        }
    }

    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = segments(&self.disk).into_iter();
        files.map(|file| (file.clone(), self.disk.file(&file).unwrap())).collect()
    }
}

fn records(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut records = Vec::new();
    let mut start = HEADER_BYTES;
    while start < bytes.len() {
        let RecordParse::Done(_, body) = parse_record(&bytes[start..]) else {
            panic!("the sample is sound");
        };
        let end = bytes.len() - (body.as_ptr_range().end..bytes.as_ptr_range().end).len_bytes();
        records.push(start..end);
        start = end;
    }
    records
}

trait LenBytes {
    fn len_bytes(&self) -> usize;
}

impl LenBytes for Range<*const u8> {
    fn len_bytes(&self) -> usize {
        self.end.addr() - self.start.addr()
    }
}

#[test]
fn the_samples_are_sound() {
    for sample in samples() {
        let store = volumes(&copy(&sample.disk)).open_store(id(1), &alice(), sample.epoch).unwrap();
        assert_eq!(state(&store), sample.state, "{}", sample.what);
        for (_, bytes) in sample.files() {
            assert!(records(&bytes).len() > 2);
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    for sample in samples() {
        for (file, bytes) in sample.files() {
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                sample.refuses(&sample.with(&file, &flipped), &format!("bit {bit} flipped"));
            }
        }
    }
}

#[test]
fn no_flipped_bit_under_an_open_store_makes_it_serve_a_wrong_value() {
    let mut refused = 0;
    for sample in samples() {
        let store = volumes(&sample.disk).open_store(id(1), &alice(), sample.epoch).unwrap();
        for (file, bytes) in sample.files() {
            let handle = storage::Disk::open(&sample.disk, &file).unwrap();
            for bit in 0..bytes.len() * 8 {
                let byte = bytes[bit / 8];
                handle.write_all_at(&[byte ^ 1 << (bit % 8)], (bit / 8) as u64).unwrap();
                for (key, value) in &sample.state {
                    match store.get(key) {
                        Ok(found) => assert_eq!(&found.unwrap().bytes, value, "bit {bit}"),
                        Err(_) => refused += 1,
                    }
                }
                handle.write_all_at(&[byte], (bit / 8) as u64).unwrap();
            }
        }
    }
    assert!(refused > 1_000, "only {refused}");
}

/// A sound record of the same log, put under an open store where another one of its length was.
#[test]
fn an_older_record_in_the_place_of_a_newer_is_not_served() {
    let disk = SimDisk::new();
    let store = create(&disk);
    commit(&store, &[("k", Some("old"))]);
    commit(&store, &[("k", Some("new"))]);
    let file = segments(&disk)[0].clone();
    let bytes = disk.file(&file).unwrap();
    let [_, old, new] = &records(&bytes)[..] else { panic!("an opening and two batches") };
    let handle = storage::Disk::open(&disk, &file).unwrap();
    handle.write_all_at(&bytes[old.clone()], new.start as u64).unwrap();
    let error = store.get(b"k").unwrap_err();
    assert!(matches!(error, storage::ReadError::Damaged(_)), "{error}");
}

#[test]
fn every_dropped_repeated_or_moved_record_is_noticed() {
    for sample in samples() {
        for (file, bytes) in sample.files() {
            let all = records(&bytes);
            let is_last = segments(&sample.disk).last() == Some(&file);
            let with = |order: &[usize], how: &str| {
                let mut changed = bytes[..HEADER_BYTES].to_vec();
                order.iter().for_each(|n| changed.extend(&bytes[all[*n].clone()]));
                assert_ne!(changed, bytes);
                let disk = sample.with(&file, &changed);
                if changed.starts_with(&bytes) && !is_last {
                    // Behind the end that the next segment names, a fenced writer may leave anything.
                    let store = volumes(&disk).open_store(id(1), &alice(), sample.epoch).unwrap();
                    assert_eq!(state(&store), sample.state, "{how}");
                    return;
                }
                sample.refuses(&disk, how);
            };
            let order: Vec<usize> = (0..all.len()).collect();
            for one in 0..all.len() {
                let mut dropped = order.clone();
                dropped.remove(one);
                with(&dropped, &format!("record {one} dropped"));
                for to in 0..=all.len() {
                    let mut repeated = order.clone();
                    repeated.insert(to, one);
                    with(&repeated, &format!("record {one} repeated at {to}"));
                }
                for two in 0..one {
                    let mut swapped = order.clone();
                    swapped.swap(one, two);
                    with(&swapped, &format!("records {two} and {one} swapped"));
                }
            }
        }
    }
}

#[test]
fn every_cut_is_noticed_and_named() {
    for sample in samples() {
        let files = sample.files();
        for (number, (file, bytes)) in files.iter().enumerate() {
            for length in 0..bytes.len() {
                let disk = sample.with(file, &bytes[..length]);
                let error = sample.refuses(&disk, &format!("cut at {length}"));
                if number + 1 == files.len() {
                    assert!(matches!(error, OpenError::LostTail { .. }), "{length}: {error}");
                }
            }
        }
    }
}

#[test]
fn every_missing_segment_is_noticed() {
    for sample in samples() {
        for (file, _) in sample.files() {
            let disk = copy(&sample.disk);
            disk.take_file(&file);
            sample.refuses(&disk, "a segment removed");
        }
        let disk = copy(&sample.disk);
        sample.files().iter().for_each(|(file, _)| disk.take_file(file));
        let error = sample.refuses(&disk, "emptied");
        assert!(matches!(error, OpenError::OldCopy { .. }), "{error}");
    }
}

/// A copy of the volume is taken after every commit; none but the newest opens later.
#[test]
fn every_older_copy_is_noticed() {
    let disk = SimDisk::new();
    let volumes_then = volumes(&disk);
    let mut copies = Vec::new();
    let mut copied = |disk: &SimDisk| {
        let files = segments(disk).into_iter();
        copies.push(files.map(|f| (f.clone(), disk.file(&f).unwrap())).collect::<Vec<_>>());
    };
    let large = "l".repeat(400);
    for number in 1..=3 {
        let store = match number {
            1 => volumes_then.create(id(1), &alice(), epoch(1)).unwrap(),
            _ => volumes_then.open_store(id(1), &alice(), epoch(number)).unwrap(),
        };
        copied(&disk);
        for round in ["1", "2", "3"] {
            commit(&store, &[("large", Some(&large)), ("round", Some(round))]);
            copied(&disk);
        }
        assert!(matches!(store.compact().unwrap(), Maintenance::Compacted { .. }));
        copied(&disk);
        commit(&store, &[("round", Some("last"))]);
        copied(&disk);
    }
    drop(volumes_then);
    assert_eq!(copies.len(), 18);
    for (number, copied) in copies.iter().enumerate() {
        let restored = copy(&disk);
        segments(&restored).iter().for_each(|file| restored.take_file(file));
        copied.iter().for_each(|(file, bytes)| restored.put_file(file, bytes));
        let opened = volumes(&restored).open_store(id(1), &alice(), epoch(3));
        match opened {
            Ok(store) if number + 1 == copies.len() => {
                assert_eq!(store.get(b"round").unwrap().unwrap().bytes, b"last");
            }
            Ok(_) => panic!("copy {number} was taken for the newest"),
            Err(OpenError::LostTail { .. } | OpenError::OldCopy { .. }) => {}
            Err(error) => panic!("copy {number}: {error}"),
        }
    }
}

/// An older copy on which another process went on has the right length and the wrong history.
#[test]
fn a_forked_copy_is_noticed() {
    let disk = SimDisk::new();
    let store = create(&disk);
    commit(&store, &[("k", Some("1"))]);
    let fork = copy(&disk);
    commit(&store, &[("k", Some("2"))]);
    drop(store);
    commit(&open(&fork).unwrap(), &[("k", Some("3"))]);
    let file = segments(&disk)[0].clone();
    disk.put_file(&file, &fork.file(&file).unwrap());
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, OpenError::Forked { seq, .. } if seq.number() == 2), "{error}");
}

/// Whole files and single records of one volume, put into another of the same identity.
#[test]
fn pieces_of_another_volume_are_noticed() {
    let sample = plain();
    let other = volumes(&sample.disk).create(id(2), &alice(), Epoch::FIRST).unwrap();
    for round in ["1", "2", "3", "4", "5"] {
        commit(&other, &[("a", Some(round)), ("b", Some("2"))]);
    }
    drop(other);
    let (file, bytes) = sample.files().remove(0);
    let foreign = sample.disk.file(&folder(2).join(file.file_name().unwrap())).unwrap();
    sample.refuses(&sample.with(&file, &foreign), "the whole file");
    let (own, theirs) = (records(&bytes), records(&foreign));
    for one in &own {
        for two in &theirs {
            let mut spliced = bytes[..one.start].to_vec();
            spliced.extend(&foreign[two.clone()]);
            spliced.extend(&bytes[one.end..]);
            sample.refuses(&sample.with(&file, &spliced), "a foreign record");
        }
    }
    let mut spliced = foreign[..HEADER_BYTES].to_vec();
    spliced.extend(&bytes[HEADER_BYTES..]);
    sample.refuses(&sample.with(&file, &spliced), "a foreign header");
}

/// The segments of one volume, renamed and exchanged.
#[test]
fn exchanged_segments_are_noticed() {
    let sample = reopened();
    let files = sample.files();
    let disk = copy(&sample.disk);
    disk.put_file(&files[0].0, &files[1].1);
    disk.put_file(&files[1].0, &files[0].1);
    sample.refuses(&disk, "segments exchanged");
}
