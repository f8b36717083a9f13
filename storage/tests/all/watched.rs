//! A simulated disk that tells what is asked of it, before it does it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use storage::sim::SimDisk;
use storage::{Disk, DiskFile};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Create,
    Write,
    Sync,
    SyncDir,
    Other,
}

type Watcher = Arc<dyn Fn(Event) + Send + Sync>;

pub struct Watched {
    disk: SimDisk,
    watcher: Watcher,
}

struct WatchedFile {
    file: Box<dyn DiskFile>,
    watcher: Watcher,
}

impl Watched {
    pub fn new(disk: &SimDisk, watcher: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self { disk: disk.clone(), watcher: Arc::new(watcher) }
    }

    fn file(&self, file: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(WatchedFile { file: file?, watcher: Arc::clone(&self.watcher) }))
    }
}

impl Disk for Watched {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        (self.watcher)(Event::Create);
        self.file(self.disk.create(path))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        (self.watcher)(Event::Other);
        self.file(self.disk.open(path))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        (self.watcher)(Event::Other);
        self.disk.create_dir(path)
    }
    fn list(&self, path: &Path, names_max: usize) -> io::Result<Vec<String>> {
        (self.watcher)(Event::Other);
        self.disk.list(path, names_max)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        (self.watcher)(Event::Other);
        self.disk.remove_file(path)
    }
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        (self.watcher)(Event::Other);
        self.disk.remove_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        (self.watcher)(Event::SyncDir);
        self.disk.sync_dir(path)
    }
}

impl DiskFile for WatchedFile {
    fn size(&self) -> io::Result<u64> {
        (self.watcher)(Event::Other);
        self.file.size()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        (self.watcher)(Event::Other);
        self.file.read_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        (self.watcher)(Event::Write);
        self.file.write_all_at(bytes, offset)
    }
    fn set_size(&self, size: u64) -> io::Result<()> {
        (self.watcher)(Event::Other);
        self.file.set_size(size)
    }
    fn sync(&self) -> io::Result<()> {
        (self.watcher)(Event::Sync);
        self.file.sync()
    }
    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
}
