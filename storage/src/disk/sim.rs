//! A disk that forgets what was not synced, tears what was being written, fails at a chosen call
//! and fills up.
//!
//! What is modelled: the bytes and the length of a file are durable only after the file's sync; a
//! name is durable only after its folder's sync; a failed sync leaves the bytes readable but will
//! never make them durable, however often one syncs again (as Linux does); a full disk takes a part
//! of a write before it refuses. What is not: bytes that rot by themselves. Tests do that by hand,
//! with [`SimDisk::put_file`].

mod restart;
mod world;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};
use world::{Entry, World};

/// What a restart finds of the things that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Everything: the process was killed, the machine went on.
    Kept,
    /// Nothing: the power failed.
    Lost,
    /// Any part of it, in sectors and names of their own, as the number draws it.
    Torn(u64),
}

/// The disk. Clones are the same disk; [`SimDisk::crash`] makes another one.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<World>>);

impl SimDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::from_world(World::default())
    }

    fn from_world(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls so far; each call of the two traits counts as one.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.world().calls
    }

    /// Syncs of files and folders so far, failed ones included.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.world().syncs
    }

    /// The machine dies in the `call`-th call from now (the first is 1): that call still reaches the
    /// disk's cache, but it and all later ones report an error.
    pub fn power_off_in(&self, call: u64) {
        let mut world = self.world();
        world.off_at = Some(world.calls + call);
    }

    /// The `call`-th call from now fails, once, without any effect.
    pub fn fail_in(&self, call: u64) {
        let mut world = self.world();
        world.fail_at = Some(world.calls + call);
    }

    /// The `call`-th call from now takes effect, once, and reports an error all the same.
    pub fn lie_in(&self, call: u64) {
        let mut world = self.world();
        world.lie_at = Some(world.calls + call);
    }

    /// The `sync`-th sync from now fails, once, and what it should have saved never will be.
    pub fn fail_sync_in(&self, sync: u64) {
        let mut world = self.world();
        world.fail_sync_at = Some(world.syncs + sync);
    }

    /// The disk has room for so many more bytes; `None` for endless.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.world().room = bytes;
    }

    /// Takes all faults back that have not struck yet.
    pub fn heal(&self) {
        let mut world = self.world();
        (world.off_at, world.fail_at, world.lie_at) = (None, None, None);
        (world.fail_sync_at, world.room) = (None, None);
    }

    /// The disk as a restart finds it. This one lives on apart, with all handles to it.
    #[must_use]
    pub fn crash(&self, how: Crash) -> Self {
        Self::from_world(self.world().after(how))
    }

    /// Every file that can be seen now, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.world().files()
    }

    /// What a file holds now.
    #[must_use]
    pub fn file(&self, path: &Path) -> Option<Vec<u8>> {
        self.world().file(path)
    }

    /// Whether a name would be found after a power failure.
    #[must_use]
    pub fn has_durable_name(&self, path: &Path) -> bool {
        self.world().has_durable_name(path)
    }

    /// Puts these bytes under this name, durable at once, past all faults and counters.
    pub fn put_file(&self, path: &Path, bytes: &[u8]) {
        self.world().put(path, bytes);
    }

    /// Takes a file away, durable at once, past all faults and counters.
    pub fn take_file(&self, path: &Path) {
        self.world().take(path);
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        let (after, node) = world.call(|world| world.create(path));
        after?;
        Ok(Box::new(SimFile { disk: self.clone(), node: node?, locked: Mutex::new(false) }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        let (after, node) = world.call(|world| world.lookup(path));
        after?;
        Ok(Box::new(SimFile { disk: self.clone(), node: node?, locked: Mutex::new(false) }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let (after, done) = self.world().call(|world| world.create_dir(path));
        after.and(done)
    }

    fn list(&self, path: &Path, names_max: usize) -> io::Result<Vec<String>> {
        let (after, names) = self.world().call(|world| world.list(path));
        after?;
        names.and_then(|names| match names.len() <= names_max {
            true => Ok(names),
            false => Err(io::ErrorKind::InvalidData.into()),
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let (after, done) = self.world().call(|world| world.remove(path, Entry::is_file));
        after.and(done)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let (after, done) = self.world().call(|world| world.remove_dir(path));
        after.and(done)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let (after, done) = self.world().sync(|world, works| world.sync_dir(path, works));
        after.and(done)
    }
}

struct SimFile {
    disk: SimDisk,
    node: usize,
    locked: Mutex<bool>,
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        let (after, size) = self.disk.world().call(|world| Ok(world.bytes(self.node)?.len()));
        after?;
        Ok(size? as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.disk.world();
        let (after, read) = world.call(|world| {
            let bytes = world.bytes(self.node)?;
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let count = buffer.len().min(bytes.len() - start);
            buffer[..count].copy_from_slice(&bytes[start..start + count]);
            Ok(count)
        });
        after?;
        read
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (after, done) = self.disk.world().call(|world| world.write(self.node, bytes, offset));
        after.and(done)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let (after, done) = self.disk.world().call(|world| world.set_size(self.node, size));
        after.and(done)
    }

    fn sync(&self) -> io::Result<()> {
        let (after, done) =
            self.disk.world().sync(|world, works| world.sync_file(self.node, works));
        after.and(done)
    }

    fn try_lock(&self) -> io::Result<bool> {
        let free = self.disk.world().lock(self.node);
        *self.locked.lock().unwrap_or_else(PoisonError::into_inner) |= free;
        Ok(free)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if *self.locked.get_mut().unwrap_or_else(PoisonError::into_inner) {
            self.disk.world().unlock(self.node);
        }
    }
}
