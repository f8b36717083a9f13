//! A durable set of volumes, for whoever must find some among very many without opening any.
//!
//! A member is an empty file with the volume's id for a name, in a folder of their own: adding and
//! removing are one call each, nothing can be half written, and a start reads one folder. The set
//! tells a thief of the disk no more than the volumes' own folders do.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::VolumeId;

use crate::disk::{Disk, ensure_dir};
use crate::limits::WATERMARK_SLOTS_MAX;

/// The volumes of which something is to be remembered.
pub struct VolumeSet {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    members: Mutex<BTreeSet<VolumeId>>,
}

impl VolumeSet {
    /// Opens the set in this folder, or makes it. Names that are no volume's are left alone.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(disk: Arc<dyn Disk>, folder: impl Into<PathBuf>) -> io::Result<Self> {
        let folder = folder.into();
        ensure_dir(&*disk, &folder)?;
        let names_max = usize::try_from(WATERMARK_SLOTS_MAX).unwrap_or(usize::MAX);
        let names = disk.list(&folder, names_max)?;
        let members = names.iter().filter_map(|name| name.parse().ok()).collect();
        Ok(Self { disk, folder, members: Mutex::new(members) })
    }

    /// Adds a volume; durable when this returns. Blocks.
    ///
    /// # Errors
    /// What the disk says; the volume may then be a member after the next start or not.
    pub fn add(&self, volume: VolumeId) -> io::Result<()> {
        if self.contains(volume) {
            return Ok(());
        }
        match self.disk.create(&self.path(volume)) {
            // An earlier attempt may have ended before its sync.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => drop(created?),
        }
        self.disk.sync_dir(&self.folder)?;
        self.members().insert(volume);
        Ok(())
    }

    /// Removes a volume. Not synced: after a power failure it may be a member again. Blocks.
    ///
    /// # Errors
    /// What the disk says; the volume is then a member still.
    pub fn remove(&self, volume: VolumeId) -> io::Result<()> {
        if !self.contains(volume) {
            return Ok(());
        }
        match self.disk.remove_file(&self.path(volume)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        self.members().remove(&volume);
        Ok(())
    }

    /// Whether the volume is a member.
    #[must_use]
    pub fn contains(&self, volume: VolumeId) -> bool {
        self.members().contains(&volume)
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members().is_empty()
    }

    fn path(&self, volume: VolumeId) -> PathBuf {
        Path::new(&self.folder).join(volume.to_string())
    }

    fn members(&self) -> MutexGuard<'_, BTreeSet<VolumeId>> {
        // Each change is one call.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::disk::sim::{Crash, SimDisk};

    fn volume(number: u8) -> VolumeId {
        VolumeId::from_bytes([number; 16])
    }

    fn open(disk: &SimDisk) -> VolumeSet {
        VolumeSet::open(Arc::new(disk.clone()), "/cell/waiting").unwrap()
    }

    #[test]
    fn a_member_is_one_after_a_power_failure_until_it_is_removed() {
        let disk = SimDisk::new();
        let set = open(&disk);
        set.add(volume(1)).unwrap();
        set.add(volume(1)).unwrap();
        set.add(volume(2)).unwrap();
        set.remove(volume(2)).unwrap();
        set.remove(volume(2)).unwrap();
        assert!(set.contains(volume(1)) && !set.contains(volume(2)));
        let after = open(&disk.crash(Crash::Lost));
        assert!(after.contains(volume(1)), "adding was durable");
        after.remove(volume(1)).unwrap();
        assert!(after.is_empty() || after.contains(volume(2)));
    }

    #[test]
    fn an_addition_that_failed_is_no_member_and_can_be_repeated() {
        let disk = SimDisk::new();
        let set = open(&disk);
        disk.fail_sync_in(1);
        set.add(volume(1)).unwrap_err();
        assert!(!set.contains(volume(1)));
        disk.heal();
        set.add(volume(1)).unwrap();
        assert!(open(&disk.crash(Crash::Lost)).contains(volume(1)));
    }

    #[test]
    fn what_is_no_volume_is_left_alone() {
        let disk = SimDisk::new();
        drop(open(&disk));
        disk.put_file(Path::new("/cell/waiting/notes.txt"), b"mine");
        assert!(open(&disk).is_empty());
        assert!(disk.file(Path::new("/cell/waiting/notes.txt")).is_some());
    }
}
