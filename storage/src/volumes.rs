//! The volumes of a cell: made, opened, looked for and removed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{AtSign, Epoch, VolumeId};

use crate::disk::{Disk, ensure_dir};
use crate::error::OpenError;
use crate::format::{HEADER_BYTES, RECORD_OVERHEAD_BYTES};
use crate::keyring::{Key, Keyring};
use crate::log::mark;
use crate::open_set::{OpenMark, OpenSet};
use crate::opening;
use crate::recover::{Recovered, recover, recover_unmarked};
use crate::scan::OPENING_BYTES;
use crate::store::Store;
use crate::volume::{Volume, remove_folder};
use crate::watermark::{WatermarkError, Watermarks};

/// The volumes of a cell. Clones are the same.
#[derive(Clone)]
pub struct Volumes(Arc<Inner>);

struct Inner {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    watermarks: Arc<Watermarks>,
    wrapping: Key,
    open: OpenSet,
}

/// Bytes of a segment in which nothing was ever put.
const EMPTY_SEGMENT_BYTES: u64 = (HEADER_BYTES + RECORD_OVERHEAD_BYTES + OPENING_BYTES) as u64;

impl Volumes {
    /// Works on the volumes under `root`, with their watermarks in a file that should lie elsewhere.
    /// What does not exist is made. The watermark file is locked until the last clone and the last
    /// store are gone, so a second process is refused.
    ///
    /// # Errors
    /// [`OpenError::Watermark`] or [`OpenError::Io`].
    pub fn open(
        disk: Arc<dyn Disk>,
        root: impl Into<PathBuf>,
        watermarks: impl AsRef<Path>,
        keyring: &Keyring,
    ) -> Result<Self, OpenError> {
        let root = root.into();
        ensure_dir(&*disk, &root).map_err(|source| OpenError::Io { path: root.clone(), source })?;
        let watermarks = Watermarks::open(&*disk, watermarks, keyring)?;
        let wrapping = keyring.derive_own("volume keys v1");
        Ok(Self(Arc::new(Inner { disk, root, watermarks, wrapping, open: OpenSet::default() })))
    }

    /// The watermarks, for whoever wants them synced now and then: after a power failure only what
    /// lies between the last sync and the failure can be lost unnoticed.
    #[must_use]
    pub fn watermarks(&self) -> &Watermarks {
        &self.0.watermarks
    }

    /// Whether the volume was created (and not removed).
    #[must_use]
    pub fn exists(&self, id: VolumeId) -> bool {
        self.0.watermarks.contains(id)
    }

    /// Makes a volume and opens it. What a crash left of an earlier attempt is made anew.
    ///
    /// # Errors
    /// [`OpenError::AlreadyExists`] if an earlier attempt was finished: open it then. If there is
    /// data but no watermark, it is left alone, and the error says so.
    pub fn create(&self, id: VolumeId, name: &AtSign, epoch: Epoch) -> Result<Store, OpenError> {
        let open_mark = self.take(id)?;
        if self.exists(id) {
            return Err(OpenError::AlreadyExists(id));
        }
        let volume = self.volume(id, name);
        let io = |source| OpenError::Io { path: volume.path().clone(), source };
        let old = volume.list()?;
        for segment in &old {
            if volume.segment_size(*segment).map_err(io)? > EMPTY_SEGMENT_BYTES {
                return Err(self.no_watermark(id));
            }
        }
        volume.remove(&old).map_err(io)?;
        let (segment, at, key) = opening::first_segment(&volume, epoch).map_err(io)?;
        let slot = self.0.watermarks.create(id, &mark(&segment, &at))?;
        let found = Recovered::new(segment, key, at);
        opening::store(volume, found, &self.0.watermarks, slot, epoch, open_mark)
    }

    /// Opens a volume for writing in this epoch: the one it was last opened with, or a higher one,
    /// which shuts out all lower ones.
    ///
    /// # Errors
    /// [`OpenError`]; nothing that the log does not prove is ever served.
    pub fn open_store(
        &self,
        id: VolumeId,
        name: &AtSign,
        epoch: Epoch,
    ) -> Result<Store, OpenError> {
        let open_mark = self.take(id)?;
        let volume = self.volume(id, name);
        let names = volume.list()?;
        let (known, slot) = self.0.watermarks.read(id).map_err(|error| match error {
            WatermarkError::Missing { .. } if names.is_empty() => OpenError::NotFound(id),
            error => error.into(),
        })?;
        refuse_stale(id, epoch, names.iter().map(|name| name.epoch).chain([known.epoch]))?;
        let found = recover(&volume, &names, &known)?;
        let mut slot = slot;
        opening::mend(&volume, &found, &self.0.watermarks, &mut slot, Some(&known))?;
        opening::store(volume, found, &self.0.watermarks, slot, epoch, open_mark)
    }

    /// Gives a volume a new watermark at the end of its log as it is found now, because the old one
    /// is lost: whether the end of the log or the whole copy is the newest can't be told any more.
    ///
    /// # Errors
    /// [`OpenError`]; a log with damage in it is refused here, too.
    pub fn trust(&self, id: VolumeId, name: &AtSign) -> Result<(), OpenError> {
        let _open_mark = self.take(id)?;
        let volume = self.volume(id, name);
        let found = recover_unmarked(&volume, &volume.list()?)?;
        let Some(last) = found.segments.last() else {
            return Err(OpenError::NotFound(id));
        };
        let mut slot = self.0.watermarks.create(id, &mark(last, &found.at))?;
        opening::mend(&volume, &found, &self.0.watermarks, &mut slot, None)
    }

    /// Removes a volume with everything in it; repeating it does no harm.
    ///
    /// # Errors
    /// [`OpenError::AlreadyOpen`], or what the disk says; then it can be repeated.
    pub fn remove(&self, id: VolumeId) -> Result<(), OpenError> {
        let _open_mark = self.take(id)?;
        let path = self.path(id);
        let io = |source| OpenError::Io { path: path.clone(), source };
        // The slot last: while it is there, a removal that was broken off shows.
        remove_folder(&*self.0.disk, &path).map_err(io)?;
        self.0.watermarks.remove(id).map_err(io)
    }

    fn take(&self, id: VolumeId) -> Result<OpenMark, OpenError> {
        self.0.open.take(id).ok_or(OpenError::AlreadyOpen(id))
    }

    fn path(&self, id: VolumeId) -> PathBuf {
        let text = id.to_string();
        self.0.root.join(text.get(..2).unwrap_or_default()).join(&text)
    }

    fn volume(&self, id: VolumeId, name: &AtSign) -> Volume {
        let (disk, wrapping) = (Arc::clone(&self.0.disk), self.0.wrapping.clone());
        Volume::new(id, name, disk, self.path(id), wrapping)
    }

    /// What reading the watermark says, for a volume that has data.
    fn no_watermark(&self, id: VolumeId) -> OpenError {
        match self.0.watermarks.read(id) {
            Err(error) => error.into(),
            Ok(_) => OpenError::AlreadyExists(id),
        }
    }
}

fn refuse_stale(
    volume: VolumeId,
    asked: Epoch,
    epochs: impl Iterator<Item = Epoch>,
) -> Result<(), OpenError> {
    match epochs.max() {
        Some(found) if found > asked => Err(OpenError::StaleEpoch { volume, asked, found }),
        _ => Ok(()),
    }
}
