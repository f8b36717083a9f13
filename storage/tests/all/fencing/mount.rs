//! A shared volume as one machine sees it through a network mount.
//!
//! What a machine writes stays in its cache until it syncs, or until the system feels like sending a
//! part; a crash of the machine loses what is there. What it reads of a file that others write may be
//! as old as its opening of the file. Names are made at the server at once, each of them once; but
//! others need not see one before its folder was synced. Calls fail, with and without effect. Every
//! call is a point at which other machines may come first, and this one may die.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use storage::sim::{Crash, SimDisk};
use storage::{Disk, DiskFile};

use super::schedule::Schedule;

pub const SHARED: &str = "/shared";

/// What is done wrong, by a disk that does the calls of a right program in a wrong order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    None,
    /// It acknowledges without a look.
    NoLook,
    /// It looks before it writes and syncs, and acknowledges after that.
    LookBeforeSync,
    /// It reads before its fence is durable.
    FenceNotDurable,
    /// It reads before it plants its fence.
    ReadBeforeFence,
}

#[derive(Clone)]
pub struct Mount(Arc<Inner>);

struct Inner {
    disk: SimDisk,
    schedule: Arc<Schedule>,
    me: usize,
    bug: Bug,
    local: Mutex<Local>,
}

#[derive(Default)]
struct Local {
    dead: bool,
    opening: bool,
    /// What this machine has written and not sent.
    unsent: BTreeMap<PathBuf, Vec<Change>>,
    /// What it has sent: its own cache always has its own writes.
    sent: BTreeMap<PathBuf, Vec<Change>>,
    made: BTreeSet<PathBuf>,
    /// For planted bugs: what an earlier look saw, and what is still to be made.
    seen: Option<Vec<String>>,
    owed: Option<PathBuf>,
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Size(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Size(size) => bytes.resize(usize::try_from(*size).unwrap(), 0),
            Self::Write(offset, new) => {
                let start = usize::try_from(*offset).unwrap();
                bytes.resize(bytes.len().max(start + new.len()), 0);
                bytes[start..start + new.len()].copy_from_slice(new);
            }
        }
    }

    fn send(&self, file: &dyn DiskFile) -> io::Result<()> {
        match self {
            Self::Size(size) => file.set_size(*size),
            Self::Write(offset, bytes) => file.write_all_at(bytes, *offset),
        }
    }
}

fn is_shared(path: &Path) -> bool {
    path.starts_with(SHARED)
}

pub fn marks(machine: usize) -> PathBuf {
    PathBuf::from(format!("/machine{machine}/marks"))
}

impl Mount {
    pub fn new(disk: &SimDisk, schedule: &Arc<Schedule>, me: usize, bug: Bug) -> Self {
        let (disk, schedule, local) = (disk.clone(), Arc::clone(schedule), Mutex::default());
        Self(Arc::new(Inner { disk, schedule, me, bug, local }))
    }

    pub fn set_opening(&self, opening: bool) {
        let mut local = self.0.local();
        (local.opening, local.seen) = (opening, None);
    }

    fn file(&self, path: &Path, file: Box<dyn DiskFile>, frozen: bool) -> Box<dyn DiskFile> {
        let view = frozen.then(|| self.0.disk.file(path)).flatten();
        Box::new(MountFile {
            mount: self.clone(),
            path: path.to_path_buf(),
            file,
            view: Mutex::new(view),
        })
    }
}

impl Inner {
    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap()
    }

    /// Does a call, unless the machine is dead or dies, or the call is lost on the way.
    fn call<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.schedule.step(self.me);
        if self.local().dead {
            return Err(io::Error::other("the machine is off"));
        }
        self.send_some();
        let (dies, fails, first) =
            self.schedule.dice(|d| (d.once_in(250), d.once_in(400), d.once_in(2)));
        if !dies && !fails {
            return work();
        }
        // With its effect, or without.
        if first {
            drop(work());
        }
        if dies {
            self.die();
        }
        Err(io::Error::other("injected"))
    }

    fn die(&self) {
        let mut local = self.local();
        local.dead = true;
        local.unsent.clear();
        if self.schedule.dice(|d| d.once_in(2)) {
            // The power failed, and not only the process.
            let own = marks(self.me);
            if let Some(bytes) = self.disk.crash(Crash::Lost).file(&own) {
                self.disk.put_file(&own, &bytes);
            }
        }
    }

    /// The system sends a part of what waits: some changes, the last one cut short.
    fn send_some(&self) {
        if !self.schedule.dice(|d| d.once_in(4)) {
            return;
        }
        let mut local = self.local();
        let Local { unsent, sent, .. } = &mut *local;
        for (path, changes) in unsent {
            let Ok(file) = self.disk.open(path) else { continue };
            let count = self.schedule.dice(|d| d.below(changes.len() as u64 + 1));
            for change in changes.drain(..usize::try_from(count).unwrap()) {
                change.send(&*file).unwrap();
                sent.entry(path.clone()).or_default().push(change);
            }
            if let Some(Change::Write(offset, bytes)) = changes.first() {
                let cut = self.schedule.dice(|d| d.below(bytes.len() as u64 + 1));
                file.write_all_at(&bytes[..usize::try_from(cut).unwrap()], *offset).unwrap();
            }
        }
    }

    /// The names in a folder: all that are durable, and of those that others just made, any.
    fn names(&self, path: &Path, names_max: usize) -> io::Result<Vec<String>> {
        let mut names = self.disk.list(path, names_max)?;
        let made = self.local().made.clone();
        names.retain(|name| {
            let file = path.join(name);
            made.contains(&file)
                || self.disk.has_durable_name(&file)
                || self.schedule.dice(|d| d.once_in(2))
        });
        Ok(names)
    }
}

impl Disk for Mount {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.0.call(|| {
            let is_fence = path.extension().is_some_and(|end| end == "fence");
            if is_fence && self.0.bug == Bug::ReadBeforeFence {
                self.0.local().owed = Some(path.to_path_buf());
                return self.0.disk.open(&marks(self.0.me));
            }
            if let Some(owed) = self.0.local().owed.take() {
                drop(self.0.disk.create(&owed));
                self.0.disk.sync_dir(owed.parent().unwrap())?;
            }
            let file = self.0.disk.create(path)?;
            self.0.local().made.insert(path.to_path_buf());
            Ok(file)
        })?;
        Ok(self.file(path, file, false))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.0.call(|| self.0.disk.open(path))?;
        let frozen = is_shared(path) && self.0.schedule.dice(|d| d.once_in(2));
        Ok(self.file(path, file, frozen))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.0.call(|| self.0.disk.create_dir(path))
    }

    fn list(&self, path: &Path, names_max: usize) -> io::Result<Vec<String>> {
        self.0.call(|| {
            let local = self.0.local();
            let seen = local.seen.clone().filter(|_| !local.opening);
            drop(local);
            if let (Some(seen), Bug::LookBeforeSync) = (seen, self.0.bug) {
                return Ok(seen);
            }
            let mut names = self.0.names(path, names_max)?;
            if self.0.bug == Bug::NoLook && !self.0.local().opening {
                names.clear();
            }
            Ok(names)
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.call(|| {
            let mut local = self.0.local();
            local.unsent.remove(path);
            local.sent.remove(path);
            drop(local);
            self.0.disk.remove_file(path)
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.0.call(|| self.0.disk.remove_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.call(|| {
            let newest = self.0.local().made.last().cloned();
            let is_fence =
                newest.is_some_and(|made| made.extension().is_some_and(|e| e == "fence"));
            if self.0.bug == Bug::FenceNotDurable && self.0.local().opening && is_fence {
                return Ok(());
            }
            self.0.disk.sync_dir(path)
        })
    }
}

struct MountFile {
    mount: Mount,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// What the cache has of a file that was opened, if it asks the server no more.
    view: Mutex<Option<Vec<u8>>>,
}

impl MountFile {
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let view = self.view.lock().unwrap().clone();
        let mut bytes = match view {
            Some(mut view) => {
                let local = self.mount.0.local();
                let sent = local.sent.get(&self.path).into_iter().flatten();
                sent.for_each(|change| change.apply(&mut view));
                view
            }
            None => {
                let mut bytes = vec![0; usize::try_from(self.file.size()?).unwrap()];
                self.file.read_at(&mut bytes, 0)?;
                bytes
            }
        };
        let local = self.mount.0.local();
        let unsent = local.unsent.get(&self.path).into_iter().flatten();
        unsent.for_each(|change| change.apply(&mut bytes));
        Ok(bytes)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        if !is_shared(&self.path) {
            return change.send(&*self.file);
        }
        if let Some(view) = &mut *self.view.lock().unwrap() {
            change.apply(view);
        }
        self.mount.0.local().unsent.entry(self.path.clone()).or_default().push(change);
        Ok(())
    }
}

impl DiskFile for MountFile {
    fn size(&self) -> io::Result<u64> {
        self.mount.0.call(|| Ok(self.bytes()?.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.mount.0.call(|| {
            let bytes = self.bytes()?;
            let rest = bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            Ok(count)
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.mount.0.call(|| {
            if self.mount.0.bug == Bug::LookBeforeSync && is_shared(&self.path) {
                let names = self.mount.0.names(self.path.parent().unwrap(), usize::MAX)?;
                self.mount.0.local().seen = Some(names);
            }
            self.change(Change::Write(offset, bytes.to_vec()))
        })
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.mount.0.call(|| self.change(Change::Size(size)))
    }

    fn sync(&self) -> io::Result<()> {
        self.mount.0.call(|| {
            let unsent = self.mount.0.local().unsent.remove(&self.path).unwrap_or_default();
            unsent.iter().try_for_each(|change| change.send(&*self.file))?;
            self.mount.0.local().sent.entry(self.path.clone()).or_default().extend(unsent);
            self.file.sync()
        })
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.file.try_lock()
    }
}
