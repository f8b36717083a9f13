//! Taking a volume over: a try that failed can be made again, and who has another key shuts out nobody.

use std::sync::Arc;

use protocol::Epoch;
use storage::sim::SimDisk;
use storage::{Keyring, MasterKey, OpenError, Store, Volumes, Why};

use crate::support::{ROOT, alice, batch, create, epoch, id, keyring};

/// A machine of its own: its watermarks are its own.
fn machine(disk: &SimDisk, number: u8, keyring: &Keyring) -> Volumes {
    let marks = format!("/machine-{number}/watermarks");
    Volumes::open(Arc::new(disk.clone()), ROOT, marks, keyring).unwrap()
}

/// As a cell opens a volume that others may have.
fn open(volumes: &Volumes, epoch: Epoch) -> Result<Store, OpenError> {
    match volumes.exists(id(1)) {
        true => volumes.open_store(id(1), &alice(), epoch),
        false => volumes.take_over(id(1), &alice(), epoch),
    }
}

fn value(store: &Store, key: &str) -> Option<Vec<u8>> {
    store.get(key.as_bytes()).unwrap().map(|value| value.bytes.to_vec())
}

#[test]
fn a_take_over_that_failed_at_any_call_is_made_again_in_the_same_epoch_by_the_same_machine_alone() {
    let mut failures = 0;
    for call in 1.. {
        let disk = SimDisk::new();
        let old = create(&disk);
        old.commit_blocking(batch(&[("a", Some("1")), ("b", Some("2"))])).unwrap();
        let (own, other) = (machine(&disk, 2, &keyring()), machine(&disk, 3, &keyring()));
        let before = disk.calls();
        disk.fail_in(call);
        let first = open(&own, epoch(2));
        if disk.calls() - before < call {
            // All calls of an opening have failed once.
            assert!(failures > 10, "{failures}");
            return;
        }
        disk.heal();
        let store = match first {
            // It can do without.
            Ok(store) => store,
            Err(_) => {
                failures += 1;
                let is_planted = old.check_epoch().is_err();
                if is_planted {
                    let stranger = open(&other, epoch(2));
                    assert!(matches!(stranger, Err(OpenError::EpochTaken { .. })), "call {call}");
                }
                open(&own, epoch(2)).unwrap_or_else(|error| panic!("call {call}: {error}"))
            }
        };
        assert_eq!(value(&store, "a").as_deref(), Some(&b"1"[..]), "call {call}");
        store.commit_blocking(batch(&[("b", Some("3"))])).unwrap();
        assert!(old.commit_blocking(batch(&[("b", Some("4"))])).is_err());
        let next = open(&other, epoch(3)).unwrap();
        assert_eq!(value(&next, "a").as_deref(), Some(&b"1"[..]), "call {call}");
        assert_eq!(value(&next, "b").as_deref(), Some(&b"3"[..]), "call {call}");
        assert!(store.check_epoch().is_err());
    }
}

#[test]
fn another_master_key_shuts_out_nobody() {
    let disk = SimDisk::new();
    let store = create(&disk);
    store.commit_blocking(batch(&[("a", Some("1"))])).unwrap();
    let files = disk.files();
    let stranger = machine(&disk, 2, &Keyring::new(MasterKey::from_bytes([8; 32])));
    let marks = disk.files().len() - files.len();
    let refused = open(&stranger, epoch(2));
    assert!(
        matches!(&refused, Err(OpenError::Damaged(damage)) if damage.why == Why::HeaderSeal),
        "{refused:?}"
    );
    assert_eq!(disk.files().len(), files.len() + marks, "no fence was left");
    store.commit_blocking(batch(&[("a", Some("2"))])).unwrap();
}

#[test]
fn a_lookout_tells_of_a_fence_and_of_a_store_that_is_gone() {
    let disk = SimDisk::new();
    let store = create(&disk);
    let lookout = store.lookout();
    lookout.check_epoch().unwrap();
    let other = open(&machine(&disk, 2, &keyring()), epoch(2)).unwrap();
    assert!(matches!(lookout.check_epoch(), Err(storage::CommitError::Stopped(_))));
    let gone = other.lookout();
    drop(other);
    assert!(matches!(gone.check_epoch(), Err(storage::CommitError::Closed)));
}
