//! The state of a simulated disk: what can be seen, what is durable, and what lies between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    File(usize),
    Dir,
}

impl Entry {
    pub(super) fn is_file(self) -> bool {
        matches!(self, Self::File(_))
    }
}

#[derive(Clone)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Size(usize),
}

#[derive(Clone, Default)]
pub(super) struct Node {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// What was done since the last sync.
    pub(super) unsynced: Vec<Change>,
}

#[derive(Clone, Default)]
pub(super) struct Dir {
    pub(super) seen: BTreeMap<PathBuf, Entry>,
    pub(super) durable: BTreeMap<PathBuf, Entry>,
}

#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) dirs: BTreeMap<PathBuf, Dir>,
    locked: BTreeSet<usize>,
    pub(super) calls: u64,
    pub(super) syncs: u64,
    pub(super) off_at: Option<u64>,
    pub(super) fail_at: Option<u64>,
    pub(super) lie_at: Option<u64>,
    pub(super) fail_sync_at: Option<u64>,
    pub(super) room: Option<u64>,
}

fn fault(text: &str) -> io::Error {
    io::Error::other(text.to_owned())
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

pub(super) fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Size(size) => bytes.resize(*size, 0),
        Change::Write { offset, bytes: new } => write_piece(bytes, *offset, new),
    }
}

fn write_piece(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    if bytes.len() < offset + new.len() {
        bytes.resize(offset + new.len(), 0);
    }
    bytes[offset..offset + new.len()].copy_from_slice(new);
}

impl World {
    /// Counts a call and does it. The first of the pair says whether the caller hears of it.
    pub(super) fn call<T>(
        &mut self,
        action: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> (io::Result<()>, io::Result<T>) {
        self.calls += 1;
        match self.off_at {
            Some(off) if self.calls > off => {
                return (Err(fault("the machine is off")), Err(fault("the machine is off")));
            }
            Some(off) if self.calls == off => {
                return (Err(fault("the machine went off")), action(self));
            }
            _ => {}
        }
        if self.fail_at == Some(self.calls) {
            return (Err(fault("injected")), Err(fault("injected")));
        }
        if self.lie_at == Some(self.calls) {
            return (Err(fault("injected")), action(self));
        }
        (Ok(()), action(self))
    }

    /// The same for a sync; the action learns whether it is to work.
    pub(super) fn sync(
        &mut self,
        action: impl FnOnce(&mut Self, bool) -> io::Result<()>,
    ) -> (io::Result<()>, io::Result<()>) {
        self.syncs += 1;
        // A sync that fails as a call fails as a sync, too.
        let fails = self.fail_sync_at == Some(self.syncs) || self.fail_at == Some(self.calls + 1);
        if fails {
            self.fail_at = self.fail_at.filter(|call| *call != self.calls + 1);
        }
        let (after, done) = self.call(|world| action(world, !fails));
        (after, if fails { Err(fault("the sync failed")) } else { done })
    }

    fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        // The root of a simulated disk is there from the start.
        let Some(up) = path.parent() else {
            return Ok(self.dirs.entry(path.to_path_buf()).or_default());
        };
        let is_linked = self.dirs.get(up).is_some_and(|dir| dir.seen.contains_key(path));
        let dir = self.dirs.get_mut(path).filter(|_| is_linked);
        dir.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn entry(&mut self, path: &Path) -> io::Result<Option<Entry>> {
        Ok(self.dir(&parent(path))?.seen.get(path).copied())
    }

    pub(super) fn create(&mut self, path: &Path) -> io::Result<usize> {
        if self.entry(path)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let node = self.nodes.len();
        self.nodes.push(Node::default());
        self.dir(&parent(path))?.seen.insert(path.to_path_buf(), Entry::File(node));
        Ok(node)
    }

    pub(super) fn lookup(&mut self, path: &Path) -> io::Result<usize> {
        match self.entry(path)? {
            Some(Entry::File(node)) => Ok(node),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        if path.parent().is_none() || self.entry(path)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.dir(&parent(path))?.seen.insert(path.to_path_buf(), Entry::Dir);
        self.dirs.insert(path.to_path_buf(), Dir::default());
        Ok(())
    }

    pub(super) fn list(&mut self, path: &Path) -> io::Result<Vec<String>> {
        let names = self.dir(path)?.seen.keys().filter_map(|entry| entry.file_name()?.to_str());
        Ok(names.map(str::to_owned).collect())
    }

    pub(super) fn remove(&mut self, path: &Path, is: fn(Entry) -> bool) -> io::Result<()> {
        match self.entry(path)? {
            Some(entry) if is(entry) => {}
            _ => return Err(io::ErrorKind::NotFound.into()),
        }
        self.dir(&parent(path))?.seen.remove(path);
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> io::Result<()> {
        if !self.dir(path)?.seen.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.remove(path, |entry| !entry.is_file())
    }

    pub(super) fn sync_dir(&mut self, path: &Path, works: bool) -> io::Result<()> {
        let dir = self.dir(path)?;
        if works {
            dir.durable = dir.seen.clone();
        }
        Ok(())
    }

    fn node(&mut self, node: usize) -> io::Result<&mut Node> {
        self.nodes.get_mut(node).ok_or_else(|| fault("no such node"))
    }

    pub(super) fn bytes(&mut self, node: usize) -> io::Result<&[u8]> {
        Ok(&self.node(node)?.seen)
    }

    pub(super) fn write(&mut self, node: usize, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| fault("beyond this disk"))?;
        let size = self.node(node)?.seen.len();
        let growth = (offset + bytes.len()).saturating_sub(size);
        let room = self.room.map_or(growth, |room| usize::try_from(room).unwrap_or(growth));
        let taken = bytes.len() - growth.saturating_sub(room).min(bytes.len());
        if let Some(left) = &mut self.room {
            *left = left.saturating_sub(growth as u64);
        }
        let change = Change::Write { offset, bytes: bytes[..taken].to_vec() };
        let node = self.node(node)?;
        apply(&mut node.seen, &change);
        node.unsynced.push(change);
        match taken == bytes.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    pub(super) fn set_size(&mut self, node: usize, size: u64) -> io::Result<()> {
        let size = usize::try_from(size).map_err(|_| fault("beyond this disk"))?;
        let node = self.node(node)?;
        apply(&mut node.seen, &Change::Size(size));
        node.unsynced.push(Change::Size(size));
        Ok(())
    }

    pub(super) fn sync_file(&mut self, node: usize, works: bool) -> io::Result<()> {
        let node = self.node(node)?;
        for change in std::mem::take(&mut node.unsynced).iter().filter(|_| works) {
            apply(&mut node.durable, change);
        }
        Ok(())
    }

    pub(super) fn lock(&mut self, node: usize) -> bool {
        self.locked.insert(node)
    }

    pub(super) fn unlock(&mut self, node: usize) {
        self.locked.remove(&node);
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let entries = self.dirs.values().flat_map(|dir| dir.seen.iter());
        entries.filter(|(_, entry)| entry.is_file()).map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn file(&mut self, path: &Path) -> Option<Vec<u8>> {
        let node = self.lookup(path).ok()?;
        self.bytes(node).ok().map(<[u8]>::to_vec)
    }

    pub(super) fn has_durable_name(&self, path: &Path) -> bool {
        self.dirs.get(&parent(path)).is_some_and(|dir| dir.durable.contains_key(path))
    }

    pub(super) fn put(&mut self, path: &Path, bytes: &[u8]) {
        let node = self.nodes.len();
        let (seen, durable) = (bytes.to_vec(), bytes.to_vec());
        self.nodes.push(Node { seen, durable, unsynced: Vec::new() });
        let dir = self.dirs.entry(parent(path)).or_default();
        dir.seen.insert(path.to_path_buf(), Entry::File(node));
        dir.durable.insert(path.to_path_buf(), Entry::File(node));
    }

    pub(super) fn take(&mut self, path: &Path) {
        if let Some(dir) = self.dirs.get_mut(&parent(path)) {
            dir.seen.remove(path);
            dir.durable.remove(path);
        }
    }
}
