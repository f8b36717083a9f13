//! A disk on which single calls hang until they are let go, or panic: for tests of whoever has to
//! notice that.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Disk, DiskFile};

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Snag {
    /// It does not return until all snags are taken away.
    Hang,
    /// The same for one such call alone: the first is 1.
    HangNth(u32),
    /// It panics.
    Panic,
}

/// Which calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The sync of a file.
    Sync,
    /// The opening of an existing file.
    Open,
    /// Reading from a file.
    Read,
}

/// Which calls on which paths do not get on.
#[derive(Clone, Default)]
pub struct Snags(Arc<Inner>);

#[derive(Default)]
struct Inner {
    set: Mutex<Set>,
    changed: Condvar,
}

#[derive(Default)]
struct Set {
    snags: Vec<(Call, String, Snag)>,
    hanging: usize,
    /// How often everything was let go.
    clears: u64,
}

impl Snags {
    /// From now on these calls, on paths that contain this text, do not get on.
    pub fn set(&self, call: Call, text: &str, snag: Snag) {
        self.lock().snags.push((call, text.to_owned(), snag));
    }

    /// Lets everything go.
    pub fn clear(&self) {
        let mut set = self.lock();
        set.snags.clear();
        set.clears += 1;
        self.0.changed.notify_all();
    }

    /// How many calls hang now.
    #[must_use]
    pub fn hanging(&self) -> usize {
        self.lock().hanging
    }

    fn meet(&self, call: Call, path: &Path) {
        let path = path.to_string_lossy();
        let mut set = self.lock();
        let is_met =
            |(at, text, _): &(Call, String, Snag)| *at == call && path.contains(text.as_str());
        let Some(place) = set.snags.iter().position(is_met) else { return };
        match &mut set.snags[place].2 {
            Snag::Panic => {
                drop(set);
                #[expect(clippy::panic, reason = "it is what a test asked for")]
                std::panic::panic_any("a planted panic");
            }
            Snag::HangNth(nth) if *nth > 1 => {
                *nth -= 1;
                return;
            }
            Snag::HangNth(_) => drop(set.snags.remove(place)),
            Snag::Hang => {}
        }
        let began = set.clears;
        set.hanging += 1;
        while set.clears == began {
            set = self.0.changed.wait(set).unwrap_or_else(PoisonError::into_inner);
        }
        set.hanging -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, Set> {
        self.0.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another disk, with snags.
pub struct SnagDisk<D>(pub D, pub Snags);

struct SnagFile {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    snags: Snags,
}

impl<D: Disk> SnagDisk<D> {
    fn file(&self, path: &Path, file: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(SnagFile { file, path: path.to_owned(), snags: self.1.clone() })
    }
}

impl<D: Disk> Disk for SnagDisk<D> {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(self.file(path, self.0.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.1.meet(Call::Open, path);
        Ok(self.file(path, self.0.open(path)?))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir(path)
    }

    fn list(&self, path: &Path, names_max: usize) -> io::Result<Vec<String>> {
        self.0.list(path, names_max)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }
}

impl DiskFile for SnagFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.snags.meet(Call::Read, &self.path);
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.file.set_size(size)
    }

    fn sync(&self) -> io::Result<()> {
        self.snags.meet(Call::Sync, &self.path);
        self.file.sync()
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
}
