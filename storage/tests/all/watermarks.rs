//! The watermark file: damaged, lost, foreign, old.

use std::sync::Arc;

use protocol::Epoch;
use storage::sim::{Crash, SimDisk};
use storage::{Keyring, MasterKey, OpenError, Volumes, WatermarkError};

use crate::support::*;

fn prepared() -> (SimDisk, State) {
    let disk = SimDisk::new();
    let store = create(&disk);
    for value in ["1", "2", "3"] {
        commit(&store, &[("k", Some(value))]);
    }
    let state = state(&store);
    store.close().unwrap();
    (disk, state)
}

#[test]
fn a_flipped_bit_in_the_watermarks_never_costs_data_and_never_passes_for_sound() {
    let (disk, expected) = prepared();
    let bytes = disk.file(MARKS.as_ref()).unwrap();
    assert_eq!(bytes.len(), 2 * 128);
    let (mut opened, mut refused) = (0, 0);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let disk = copy(&disk);
        disk.put_file(MARKS.as_ref(), &flipped);
        match open(&disk) {
            // One half of the slot is enough.
            Ok(store) => {
                assert_eq!(state(&store), expected, "bit {bit}");
                opened += 1;
            }
            Err(OpenError::Watermark(
                WatermarkError::Foreign { .. } | WatermarkError::Missing { .. },
            )) => refused += 1,
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
    assert_eq!((opened, refused), (112 * 8, 144 * 8));
}

#[test]
fn a_volume_without_a_watermark_is_refused_until_somebody_trusts_it() {
    let (disk, expected) = prepared();
    for damage in ["file lost", "slot lost", "both halves damaged"] {
        let disk = copy(&disk);
        match damage {
            "file lost" => disk.take_file(MARKS.as_ref()),
            "slot lost" => {
                let bytes = disk.file(MARKS.as_ref()).unwrap();
                disk.put_file(MARKS.as_ref(), &bytes[..128]);
            }
            _ => {
                let mut bytes = disk.file(MARKS.as_ref()).unwrap();
                bytes[150] ^= 1;
                bytes[220] ^= 1;
                disk.put_file(MARKS.as_ref(), &bytes);
            }
        }
        let volumes = volumes(&disk);
        assert!(!volumes.exists(id(1)), "{damage}");
        let open = || volumes.open_store(id(1), &alice(), Epoch::FIRST);
        let create = volumes.create(id(1), &alice(), Epoch::FIRST);
        for error in [open().unwrap_err(), create.unwrap_err()] {
            assert!(matches!(error, OpenError::Watermark(_)), "{damage}: {error}");
            assert!(error.to_string().contains("Volumes::trust"), "names the way out: {error}");
        }
        volumes.trust(id(1), &alice()).unwrap();
        let store = open().unwrap();
        assert_eq!(state(&store), expected, "{damage}");
        commit(&store, &[("k", Some("4"))]);
        drop(store);
        assert_eq!(open().unwrap().get(b"k").unwrap().unwrap().bytes, b"4");
    }
}

#[test]
fn trusting_finds_its_way_through_epochs_and_compactions() {
    let disk = SimDisk::new();
    let volumes = volumes(&disk);
    let large = "l".repeat(500);
    drop(volumes.create(id(1), &alice(), epoch(1)).unwrap());
    for number in [2, 3] {
        let store = volumes.open_store(id(1), &alice(), epoch(number)).unwrap();
        for value in ["1", "2", "3"] {
            commit(&store, &[("k", Some(value)), ("large", Some(&large))]);
        }
        if number == 2 {
            store.compact().unwrap();
        }
    }
    drop(volumes);
    disk.take_file(MARKS.as_ref());
    let volumes = crate::support::volumes(&disk);
    volumes.trust(id(1), &alice()).unwrap();
    let stale = volumes.open_store(id(1), &alice(), epoch(2)).unwrap_err();
    assert!(matches!(stale, OpenError::StaleEpoch { .. }), "{stale}");
    let store = volumes.open_store(id(1), &alice(), epoch(3)).unwrap();
    assert_eq!((store.len(), store.latest().number()), (2, 6));
}

#[test]
fn trusting_does_not_extend_to_damage() {
    let (disk, _) = prepared();
    disk.take_file(MARKS.as_ref());
    let file = segments(&disk)[0].clone();
    let mut bytes = disk.file(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    disk.put_file(&file, &bytes);
    let error = volumes(&disk).trust(id(1), &alice()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(_)), "{error}");
    assert!(matches!(volumes(&disk).trust(id(9), &alice()), Err(OpenError::NotFound(_))));
}

/// A compaction was done, the machine died before the old segment was removed, and then the new one
/// was damaged: that it never counted is for the watermark to say, and there is none.
#[test]
fn trusting_does_not_throw_a_damaged_segment_away() {
    let (disk, _) = prepared();
    let old = segments(&disk)[0].clone();
    let old_bytes = disk.file(&old).unwrap();
    let store = open(&disk).unwrap();
    store.compact().unwrap();
    commit(&store, &[("k", Some("4"))]);
    drop(store);
    let new = segments(&disk)[0].clone();
    let mut bytes = disk.file(&new).unwrap();
    bytes[60] ^= 1;
    disk.put_file(&new, &bytes);
    disk.put_file(&old, &old_bytes);
    disk.take_file(MARKS.as_ref());
    let error = volumes(&disk).trust(id(1), &alice()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(_)), "{error}");
    assert_eq!(disk.file(&new).unwrap(), bytes, "it is still there");
}

#[test]
fn another_master_key_is_named_as_the_reason() {
    let (disk, _) = prepared();
    let keyring = Keyring::new(MasterKey::from_bytes([8; 32]));
    let error = Volumes::open(Arc::new(disk), ROOT, MARKS, &keyring).err().unwrap();
    assert!(matches!(error, OpenError::Watermark(WatermarkError::Foreign { .. })), "{error}");
    assert!(error.to_string().contains("master key"));
}

/// After a power failure the file may be as old as its last sync. That is never ahead of a log.
#[test]
fn an_older_watermark_file_opens_a_newer_log() {
    let disk = SimDisk::new();
    let store = create(&disk);
    let mut marks = vec![disk.file(MARKS.as_ref()).unwrap()];
    for value in ["1", "2", "3"] {
        commit(&store, &[("k", Some(value))]);
        marks.push(disk.file(MARKS.as_ref()).unwrap());
    }
    drop(store);
    for marks in marks {
        let disk = copy(&disk);
        disk.put_file(MARKS.as_ref(), &marks);
        assert_eq!(open(&disk).unwrap().get(b"k").unwrap().unwrap().bytes, b"3");
    }
}

#[test]
fn closing_makes_the_watermark_durable() {
    let disk = SimDisk::new();
    let store = create(&disk);
    commit(&store, &[("k", Some("1"))]);
    let is_durable = || disk.crash(Crash::Lost).file(MARKS.as_ref()) == disk.file(MARKS.as_ref());
    assert!(!is_durable(), "a commit leaves that to the next sync");
    store.close().unwrap();
    assert!(is_durable());
}

/// A sleeping identity wakes without waiting for the disk, however often.
#[test]
fn opening_what_was_closed_costs_no_sync() {
    let disk = SimDisk::new();
    let volumes = volumes(&disk);
    let store = volumes.create(id(1), &alice(), Epoch::FIRST).unwrap();
    commit(&store, &[("k", Some("1"))]);
    store.close().unwrap();
    for _ in 0..3 {
        let syncs = disk.syncs();
        let store = volumes.open_store(id(1), &alice(), Epoch::FIRST).unwrap();
        assert_eq!(disk.syncs(), syncs);
        store.close().unwrap();
    }
    drop(volumes.open_store(id(1), &alice(), Epoch::FIRST).unwrap());
    let syncs = disk.syncs();
    drop(volumes.open_store(id(1), &alice(), Epoch::FIRST).unwrap());
    assert_eq!(disk.syncs(), syncs + 1, "it was not closed");
}

#[test]
fn slots_of_removed_volumes_are_used_again() {
    let disk = SimDisk::new();
    let volumes = volumes(&disk);
    for round in 0..3 {
        for number in 1..=20 {
            volumes.create(id(number), &alice(), Epoch::FIRST).unwrap();
        }
        assert_eq!(volumes.watermarks().len(), 20);
        for number in (1..=20).filter(|number| round < 2 || number % 2 == 0) {
            volumes.remove(id(number)).unwrap();
        }
    }
    assert_eq!(disk.file(MARKS.as_ref()).unwrap().len(), 21 * 128);
    drop(volumes);
    let volumes = crate::support::volumes(&disk);
    assert_eq!(volumes.watermarks().len(), 10);
    for number in 1..=20 {
        assert_eq!(volumes.exists(id(number)), number % 2 == 1);
    }
}

/// Two slots for one volume can't come from any crash; none of them is believed.
#[test]
fn a_slot_that_was_copied_is_not_believed() {
    let (disk, _) = prepared();
    let mut bytes = disk.file(MARKS.as_ref()).unwrap();
    let slot = bytes[128..].to_vec();
    bytes.extend(slot);
    disk.put_file(MARKS.as_ref(), &bytes);
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, OpenError::Watermark(WatermarkError::Damaged { .. })), "{error}");
}

#[test]
fn ten_thousand_watermarks_open_at_once_and_cost_little() {
    let disk = SimDisk::new();
    let volumes = volumes(&disk);
    volumes.create(id(1), &alice(), Epoch::FIRST).unwrap();
    drop(volumes);
    let mut bytes = disk.file(MARKS.as_ref()).unwrap();
    for number in 0..10_000u64 {
        let mut slot = [0; 128];
        slot[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        slot[8] = 1;
        bytes.extend(slot);
    }
    disk.put_file(MARKS.as_ref(), &bytes);
    let started = std::time::Instant::now();
    let volumes = crate::support::volumes(&disk);
    assert!(started.elapsed().as_millis() < 500, "{:?}", started.elapsed());
    assert_eq!(volumes.watermarks().len(), 10_001);
    assert!(volumes.open_store(id(1), &alice(), Epoch::FIRST).is_ok());
}
