//! A simulated cell, an oracle, and an executor of a few lines.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use protocol::{AtSign, Epoch, VolumeId};
use storage::sim::{Crash, SimDisk};
use storage::{Batch, Keyring, MasterKey, OpenError, Store, Volumes};

pub const ROOT: &str = "/data/volumes";
pub const MARKS: &str = "/elsewhere/watermarks";

pub type State = BTreeMap<Vec<u8>, Vec<u8>>;

pub fn keyring() -> Keyring {
    Keyring::new(MasterKey::from_bytes([7; 32]))
}

pub fn volumes(disk: &SimDisk) -> Volumes {
    try_volumes(disk).unwrap()
}

pub fn try_volumes(disk: &SimDisk) -> Result<Volumes, OpenError> {
    Volumes::open(Arc::new(disk.clone()), ROOT, MARKS, &keyring())
}

pub fn id(number: u8) -> VolumeId {
    VolumeId::from_bytes([number; 16])
}

pub fn alice() -> AtSign {
    AtSign::parse("@alice").unwrap()
}

pub fn epoch(number: u64) -> Epoch {
    Epoch::from_number(number).unwrap()
}

pub fn create(disk: &SimDisk) -> Store {
    volumes(disk).create(id(1), &alice(), Epoch::FIRST).unwrap()
}

pub fn open(disk: &SimDisk) -> Result<Store, OpenError> {
    try_volumes(disk)?.open_store(id(1), &alice(), Epoch::FIRST)
}

/// The segments of volume 1, oldest first.
pub fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let mut files = disk.files();
    files
        .retain(|file| file.starts_with(folder(1)) && file.extension().is_some_and(|e| e == "log"));
    files.sort_by_key(|file| file.to_str().unwrap().rsplit('-').next().unwrap().to_owned());
    files
}

pub fn folder(number: u8) -> PathBuf {
    let text = id(number).to_string();
    Path::new(ROOT).join(&text[..2]).join(text)
}

/// A copy of the disk as it is seen now, apart from the original.
pub fn copy(disk: &SimDisk) -> SimDisk {
    disk.crash(Crash::Kept)
}

/// A put, or a delete for `None`.
pub type Change<'a> = (&'a str, Option<&'a str>);

pub fn batch(changes: &[Change<'_>]) -> Batch {
    let mut batch = Batch::new();
    for (key, value) in changes {
        match value {
            Some(value) => batch.put(key.as_bytes(), value.as_bytes()),
            None => batch.delete(key.as_bytes()),
        };
    }
    batch
}

pub fn commit(store: &Store, changes: &[Change<'_>]) {
    store.commit_blocking(batch(changes)).unwrap();
}

/// Everything in a store, read in both ways, which must agree.
pub fn state(store: &Store) -> State {
    let mut state = State::new();
    let visit = &mut |key: &[u8], value: &[u8]| drop(state.insert(key.to_vec(), value.to_vec()));
    store.for_each(b"", visit).unwrap();
    assert_eq!(store.len(), state.len());
    for (key, value) in &state {
        assert_eq!(&store.get(key).unwrap().unwrap().bytes, value);
    }
    state
}

/// What every state after some batch was: `oracle[n]` after `n` of them.
pub struct Oracle(pub Vec<State>);

impl Oracle {
    pub fn new() -> Self {
        Self(vec![State::new()])
    }

    pub fn add(&mut self, changes: &[Change<'_>]) {
        let mut state = self.last().clone();
        for (key, value) in changes {
            match value {
                Some(value) => state.insert(key.as_bytes().to_vec(), value.as_bytes().to_vec()),
                None => state.remove(key.as_bytes()),
            };
        }
        self.0.push(state);
    }

    pub fn last(&self) -> &State {
        self.0.last().unwrap()
    }

    pub fn batches(&self) -> usize {
        self.0.len() - 1
    }

    /// The store must be in one of these states: that after the acknowledged batches or a later one.
    pub fn check(&self, store: &Store, acknowledged: usize, what: &str) -> usize {
        let batches = usize::try_from(store.latest().number()).unwrap();
        assert!(batches >= acknowledged, "{what}: {batches} of {acknowledged} batches are left");
        assert!(batches <= self.batches(), "{what}: more batches than there were");
        assert!(state(store) == self.0[batches], "{what}: the state is not that after {batches}");
        batches
    }
}

/// Drives a future on this thread.
pub fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Polls once without a waker that anybody listens to.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
