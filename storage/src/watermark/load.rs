//! Opening the file: once, from its beginning to its end. A volume's slot is judged only when the
//! volume is opened.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use protocol::VolumeId;

use super::slot::{self, SLOT_BYTES};
use super::{WatermarkError, place};
use crate::disk::{Disk, DiskFile, ensure_dir, read_full_at};
use crate::keyring::Key;
use crate::limits::WATERMARK_SLOTS_MAX;

/// Stands for a volume to which two slots lay claim.
pub(super) const CLAIMED_TWICE: u32 = u32::MAX;
/// Slots that are read at once.
const SLOTS_PER_READ: usize = 512;

/// Whose slots a file has.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) by_volume: BTreeMap<VolumeId, u32>,
    pub(super) free: Vec<u32>,
    /// Slots in the file, the first included.
    pub(super) count: u32,
}

/// Opens the file, or makes it.
pub(super) fn open_or_create(disk: &dyn Disk, path: &Path) -> io::Result<Box<dyn DiskFile>> {
    match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| ensure_dir(disk, folder))?;
    let file = disk.create(path)?;
    disk.sync_dir(folder.unwrap_or_else(|| Path::new(".")))?;
    Ok(file)
}

/// Writes slot 0 if the file is new, or if its maker died over that: a file that holds nothing.
pub(super) fn begin(file: &dyn DiskFile, key: &Key) -> io::Result<()> {
    let size = file.size()?;
    let mut bytes = [0; SLOT_BYTES];
    read_full_at(file, &mut bytes, 0)?;
    if size < SLOT_BYTES as u64 || (size == SLOT_BYTES as u64 && bytes == [0; SLOT_BYTES]) {
        file.write_all_at(&slot::first(key), 0)?;
        file.sync()?;
    }
    Ok(())
}

/// Reads whose slots the file has.
pub(super) fn read_slots(
    file: &dyn DiskFile,
    key: &Key,
    path: &Path,
) -> Result<Slots, WatermarkError> {
    let mut slots = Slots::default();
    let mut bytes = vec![0; SLOTS_PER_READ * SLOT_BYTES];
    loop {
        let count = read_full_at(file, &mut bytes, place(slots.count))
            .map_err(|source| WatermarkError::Io { path: path.to_path_buf(), source })?;
        // What is left of a slot at the end was never finished, so it is nobody's.
        let (whole, _) = bytes.get(..count).unwrap_or_default().as_chunks::<SLOT_BYTES>();
        if whole.is_empty() {
            return Ok(slots);
        }
        for slot in whole {
            slots.take_in(key, slot, path)?;
        }
    }
}

impl Slots {
    fn take_in(
        &mut self,
        key: &Key,
        bytes: &[u8; SLOT_BYTES],
        path: &Path,
    ) -> Result<(), WatermarkError> {
        let index = self.count;
        if index >= WATERMARK_SLOTS_MAX {
            return Err(WatermarkError::TooLarge { path: path.to_path_buf() });
        }
        self.count += 1;
        if index == 0 {
            return match *bytes == slot::first(key) {
                true => Ok(()),
                false => Err(WatermarkError::Foreign { path: path.to_path_buf() }),
            };
        }
        match slot::volume(bytes) {
            Some(volume) => {
                self.by_volume
                    .entry(volume)
                    .and_modify(|known| *known = CLAIMED_TWICE)
                    .or_insert(index);
            }
            None => self.free.push(index),
        }
        Ok(())
    }
}
