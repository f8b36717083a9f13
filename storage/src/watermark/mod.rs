//! The watermarks of a cell: how far each volume's log was acknowledged, in one file that lies
//! outside the volumes' folders.
//!
//! A log alone can't tell that its end is gone, or that the whole volume was replaced by an older
//! copy: both look like a sound log. The watermark can. It is written after a batch is durable and
//! before the batch is acknowledged, and it is not synced then: a crash of the process keeps it, and
//! after a power failure it may be behind the log, but never ahead. It is synced when a volume is
//! created, closed or begins a segment.
//!
//! The file is a row of slots of 128 bytes. Slot 0 says what the file is; every other slot belongs to
//! one volume and has two halves, written in turns, so that a torn write leaves one of them. (A slot
//! lies within a sector. Whatever mixture of older and newer bytes a power failure leaves there, as
//! long as it has one seam, one of the halves is whole.)

mod error;
mod load;
mod slot;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::VolumeId;

use crate::disk::{Disk, DiskFile, read_full_at};
use crate::keyring::{Key, Keyring};
use crate::limits::WATERMARK_SLOTS_MAX;
use load::{CLAIMED_TWICE, Slots};
use slot::{HALF_BYTES, SLOT_BYTES};

pub use error::WatermarkError;
pub(crate) use slot::Mark;

/// The watermarks of a cell.
pub struct Watermarks {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    key: Key,
    slots: Mutex<Slots>,
    /// Slots written so far, and how many of those writes are known to be durable.
    writes: AtomicU64,
    synced: AtomicU64,
}

/// One volume's slot, held by whoever has the volume open.
pub(crate) struct Slot {
    volume: VolumeId,
    index: u32,
    /// The half to write next: never the one that holds the newest mark.
    half: usize,
}

impl Watermarks {
    /// Opens the file, or makes it, and reads whose slots it has. The file is locked until this is
    /// dropped.
    ///
    /// # Errors
    /// [`WatermarkError`]; a volume's slot is judged only when the volume is opened.
    pub fn open(
        disk: &dyn Disk,
        path: impl AsRef<Path>,
        keyring: &Keyring,
    ) -> Result<Arc<Self>, WatermarkError> {
        let path = path.as_ref().to_path_buf();
        let io = |source| WatermarkError::Io { path: path.clone(), source };
        let key = keyring.derive_own("watermarks v1");
        let file = load::open_or_create(disk, &path).map_err(io)?;
        if !file.try_lock().map_err(io)? {
            return Err(WatermarkError::InUse { path });
        }
        load::begin(&*file, &key).map_err(io)?;
        let slots = load::read_slots(&*file, &key, &path)?;
        let (writes, synced) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Arc::new(Self { path, file, key, slots: Mutex::new(slots), writes, synced }))
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn io(&self, source: io::Error) -> WatermarkError {
        WatermarkError::Io { path: self.path.clone(), source }
    }

    /// Reads a volume's newest mark.
    pub(crate) fn read(&self, volume: VolumeId) -> Result<(Mark, Slot), WatermarkError> {
        let path = || self.path.clone();
        let index = self.slots().by_volume.get(&volume).copied();
        let index = match index {
            Some(CLAIMED_TWICE) => return Err(WatermarkError::Damaged { volume, path: path() }),
            Some(index) => index,
            None => return Err(WatermarkError::Missing { volume, path: path() }),
        };
        let mut bytes = [0; SLOT_BYTES];
        read_full_at(&*self.file, &mut bytes, place(index)).map_err(|e| self.io(e))?;
        let (mark, newest) = slot::newest(&self.key, index, volume, &bytes)
            .ok_or_else(|| WatermarkError::Damaged { volume, path: path() })?;
        Ok((mark, Slot { volume, index, half: 1 - newest }))
    }

    /// Whether a sound slot of this volume exists.
    pub(crate) fn contains(&self, volume: VolumeId) -> bool {
        self.read(volume).is_ok()
    }

    /// Gives a volume a slot (its old one, if it has one), durable when this returns.
    pub(crate) fn create(&self, volume: VolumeId, mark: &Mark) -> Result<Slot, WatermarkError> {
        let index = self.claim(volume)?;
        let mut bytes = [0; SLOT_BYTES];
        let halves = [0, 1].map(|half| slot::half(&self.key, index, volume, half, mark));
        let fields = [&volume.as_bytes()[..], &halves[0], &halves[1]];
        for (place, byte) in bytes.iter_mut().zip(fields.into_iter().flatten()) {
            *place = *byte;
        }
        self.file.write_all_at(&bytes, place(index)).map_err(|e| self.io(e))?;
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.sync().map_err(|e| self.io(e))?;
        Ok(Slot { volume, index, half: 0 })
    }

    fn claim(&self, volume: VolumeId) -> Result<u32, WatermarkError> {
        let mut slots = self.slots();
        if let Some(index) = slots.by_volume.get(&volume).filter(|i| **i != CLAIMED_TWICE) {
            return Ok(*index);
        }
        let index = match slots.free.pop() {
            Some(index) => index,
            None if slots.count < WATERMARK_SLOTS_MAX => {
                slots.count += 1;
                slots.count - 1
            }
            None => return Err(WatermarkError::TooLarge { path: self.path.clone() }),
        };
        slots.by_volume.insert(volume, index);
        Ok(index)
    }

    /// Writes a mark, without a sync of its own.
    pub(crate) fn write(&self, slot: &mut Slot, mark: &Mark) -> io::Result<()> {
        let bytes = slot::half(&self.key, slot.index, slot.volume, slot.half, mark);
        let offset = slot::half_start(slot.half) as u64;
        self.file.write_all_at(&bytes, place(slot.index) + offset)?;
        self.writes.fetch_add(1, Ordering::SeqCst);
        slot.half = 1 - slot.half;
        Ok(())
    }

    /// Writes a mark into both halves, durably: from now on no older mark of the volume can come
    /// back, not even by a torn write.
    pub(crate) fn write_durably(&self, slot: &mut Slot, mark: &Mark) -> io::Result<()> {
        for _half in 0..2 {
            self.write(slot, mark)?;
            self.sync()?;
        }
        Ok(())
    }

    /// Notes durably that a volume was closed: in both halves, so that the slot says nothing else.
    pub(crate) fn write_closed(&self, slot: &mut Slot, mark: Mark) -> io::Result<()> {
        let mark = Mark { is_closed: true, ..mark };
        self.write(slot, &mark)?;
        self.write(slot, &mark)?;
        self.sync()
    }

    /// Makes all marks durable that were written so far; costs nothing if they are.
    ///
    /// # Errors
    /// What the system says. The marks are then as good as before; the next sync tries again.
    pub fn sync(&self) -> io::Result<()> {
        let writes = self.writes.load(Ordering::SeqCst);
        if self.synced.load(Ordering::SeqCst) < writes {
            self.file.sync()?;
            self.synced.fetch_max(writes, Ordering::SeqCst);
        }
        Ok(())
    }

    /// Takes a volume's slot away; durable when this returns.
    pub(crate) fn remove(&self, volume: VolumeId) -> io::Result<()> {
        let mut slots = self.slots();
        let index = slots.by_volume.get(&volume).copied();
        let Some(index) = index.filter(|index| *index != CLAIMED_TWICE) else {
            return Ok(());
        };
        self.file.write_all_at(&[0; SLOT_BYTES], place(index))?;
        self.file.sync()?;
        slots.by_volume.remove(&volume);
        slots.free.push(index);
        Ok(())
    }

    /// How many volumes have a slot.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots().by_volume.len()
    }

    /// Whether no volume has a slot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn place(index: u32) -> u64 {
    u64::from(index) * SLOT_BYTES as u64
}

const _: () = assert!(16 + 2 * HALF_BYTES == SLOT_BYTES);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use protocol::Epoch;

    use super::*;
    use crate::disk::sim::{Crash, SimDisk};
    use crate::keyring::Keyring;
    use crate::master_key::MasterKey;

    fn mark(segment: u32, end: u32) -> Mark {
        Mark { seq: 1, epoch: Epoch::FIRST, segment, end, chain: [4; 16], is_closed: false }
    }

    /// Whatever mixture with one seam a power failure makes of the versions since the last sync.
    #[test]
    fn after_a_durable_mark_no_torn_write_brings_an_older_segment_back() {
        let (disk, path) = (SimDisk::new(), Path::new("/marks"));
        let keyring = Keyring::new(MasterKey::from_bytes([1; 32]));
        let marks = Watermarks::open(&disk, path, &keyring).unwrap();
        let volume = VolumeId::from_bytes([2; 16]);
        for commits in 0..3 {
            let mut slot = marks.create(volume, &mark(1, 100)).unwrap();
            (0..commits).for_each(|n| marks.write(&mut slot, &mark(1, 200 + n)).unwrap());
            marks.write_durably(&mut slot, &mark(2, 100)).unwrap();
            let mut versions = vec![disk.crash(Crash::Lost).file(path).unwrap()];
            for end in [200, 300, 400] {
                marks.write(&mut slot, &mark(2, end)).unwrap();
                versions.push(disk.file(path).unwrap());
            }
            for (one, two) in versions.iter().flat_map(|v| versions.iter().map(move |w| (v, w))) {
                for seam in 0..one.len() {
                    let torn: Vec<u8> = one[..seam].iter().chain(&two[seam..]).copied().collect();
                    let bytes = torn[SLOT_BYTES..].try_into().unwrap();
                    let (found, _) = slot::newest(&marks.key, 1, volume, &bytes).unwrap();
                    assert_eq!(found.segment, 2, "seam at {seam}");
                }
            }
        }
    }
}
