//! Ports that no other test process uses at the same time.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// A slice of the port range that no other test process uses at the same time.
pub struct Ports {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
    _lock: File,
}

impl Ports {
    /// Reserves `count` ports below the range that the kernel hands out to outgoing connections.
    pub fn reserve(count: u16) -> Self {
        let dir = std::env::temp_dir().join("warren-test-ports");
        std::fs::create_dir_all(&dir).unwrap();
        let mut first = 12_000;
        while first + count < 32_000 {
            let blocks = (first / 100)..=((first + count - 1) / 100);
            let locks: Vec<File> = blocks.filter_map(|block| lock_block(&dir, block)).collect();
            if locks.len() == usize::from((first + count - 1) / 100 - first / 100 + 1) {
                let lock = hold_all(locks);
                return Self { first, last: first + count - 1, _lock: lock };
            }
            first += 100;
        }
        panic!("no free block of {count} ports");
    }

    /// One of them.
    pub fn get(&self, index: usize) -> u16 {
        let port = usize::from(self.first) + index;
        assert!(port <= usize::from(self.last), "so many ports were not reserved");
        u16::try_from(port).unwrap()
    }

    /// As `--ports` wants it.
    pub fn argument(&self) -> String {
        format!("{}-{}", self.first, self.last)
    }
}

fn lock_block(dir: &Path, block: u16) -> Option<File> {
    let file = File::create(dir.join(block.to_string())).unwrap();
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok().map(|()| file)
}

/// The first lock is returned; the others stay open until the process ends.
fn hold_all(mut locks: Vec<File>) -> File {
    let first = locks.remove(0);
    locks.into_iter().for_each(std::mem::forget);
    first
}
