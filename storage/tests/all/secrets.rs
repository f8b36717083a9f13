//! Nothing of what is stored stands in clear anywhere, and nothing of it is printed.

use std::sync::Arc;

use protocol::{AtSign, Epoch};
use storage::sim::SimDisk;
use storage::{Maintenance, OpenError, RealDisk, Volumes};

use crate::support::*;

const NAME: &str = "@canaryidentity";
const KEY: &str = "public:canarykey.space@canaryidentity";
const VALUE: &str = "canaryvalue: the activation secret is 0123456789abcdef";

fn canaries() -> Vec<Vec<u8>> {
    let texts = ["canaryidentity", "canarykey", "canaryvalue", "0123456789abcdef"];
    let mut canaries: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    canaries.push(vec![7; 32]);
    canaries
}

fn assert_clean(what: &str, bytes: &[u8]) {
    for canary in canaries() {
        let found = bytes.windows(canary.len()).any(|window| window == canary);
        assert!(!found, "{what} shows {:?}", String::from_utf8_lossy(&canary));
    }
}

#[test]
fn no_file_shows_keys_values_or_names() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let name = AtSign::parse(NAME).unwrap();
    let volumes = Volumes::open(Arc::new(RealDisk), at("v"), at("marks"), &keyring()).unwrap();
    let mut files = 0;
    let store = volumes.create(id(1), &name, Epoch::FIRST).unwrap();
    commit(&store, &[(KEY, Some(VALUE)), ("filler", Some(&VALUE.repeat(2_000)))]);
    files += scan(folder.path());
    commit(&store, &[("filler", None)]);
    assert!(matches!(store.maintain().unwrap(), Maintenance::Compacted { .. }));
    store.close().unwrap();
    drop(volumes.open_store(id(1), &name, epoch(2)).unwrap());
    files += scan(folder.path());
    assert!(files >= 5, "{files}");
}

/// Scans files and their names; returns how many there were.
fn scan(folder: &std::path::Path) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        assert_clean("a name", entry.file_name().as_encoded_bytes());
        if entry.file_type().unwrap().is_dir() {
            files += scan(&entry.path());
        } else {
            assert_clean("a file", &std::fs::read(entry.path()).unwrap());
            files += 1;
        }
    }
    files
}

#[test]
fn nothing_printable_shows_them_either() {
    let disk = SimDisk::new();
    let name = AtSign::parse(NAME).unwrap();
    let volumes = volumes(&disk);
    let store = volumes.create(id(1), &name, Epoch::FIRST).unwrap();
    let changes = batch(&[(KEY, Some(VALUE))]);
    assert_clean("a batch", format!("{changes:?}").as_bytes());
    store.commit_blocking(changes).unwrap();
    let value = store.get(KEY.as_bytes()).unwrap();
    assert_clean("a value", format!("{value:?} {store:?} {:?}", keyring()).as_bytes());
    drop(store);

    let file = segments(&disk)[0].clone();
    let bytes = disk.file(&file).unwrap();
    for length in 0..bytes.len() {
        disk.put_file(&file, &bytes[..length]);
        let error = volumes.open_store(id(1), &name, Epoch::FIRST).unwrap_err();
        assert_clean("an error", format!("{error} {error:?}").as_bytes());
        assert!(matches!(error, OpenError::LostTail { .. }));
    }
}

/// Equal values, equal keys, equal volumes: nothing on the disk is equal.
#[test]
fn equal_contents_look_different() {
    let disk = SimDisk::new();
    let volumes = volumes(&disk);
    for number in [1, 2] {
        let store = volumes.create(id(number), &alice(), Epoch::FIRST).unwrap();
        for _ in 0..2 {
            commit(&store, &[("k", Some(&"v".repeat(64)))]);
        }
    }
    let files: Vec<_> = disk.files().iter().map(|file| disk.file(file).unwrap()).collect();
    let mut seen = std::collections::BTreeSet::new();
    for bytes in files.iter().filter(|bytes| bytes.len() > 300) {
        for piece in bytes[280..].chunks_exact(16) {
            assert!(seen.insert(piece.to_vec()) || piece.iter().all(|byte| *byte == 0));
        }
    }
}
