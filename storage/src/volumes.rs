//! The volumes of a cell: made, opened, looked for and removed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::{AtSign, Epoch, VolumeId};

use crate::disk::{Disk, ensure_dir};
use crate::error::{OpenError, Why};
use crate::fence::Names;
use crate::keyring::{Key, Keyring};
use crate::log::mark;
use crate::open_set::{OpenMark, OpenSet};
use crate::opening;
use crate::recover::{Recovered, recover, recover_foreign, recover_unmarked};
use crate::scan::EMPTY_SEGMENT_BYTES;
use crate::store::Store;
use crate::volume::{SegmentName, Volume, remove_folder};
use crate::watermark::{Mark, WatermarkError, Watermarks};

/// The volumes of a cell. Clones are the same.
#[derive(Clone)]
pub struct Volumes(Arc<Inner>);

struct Inner {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    watermarks: Arc<Watermarks>,
    wrapping: Key,
    open: OpenSet,
    /// In which epoch a take-over here planted its fence and got no further.
    begun: Mutex<HashMap<VolumeId, Epoch>>,
}

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
        let (open, begun) = (OpenSet::default(), Mutex::default());
        Ok(Self(Arc::new(Inner { disk, root, watermarks, wrapping, open, begun })))
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

    /// The highest epoch that anybody opened the volume with, or began to, on whichever machine;
    /// none for a volume that nobody has made.
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub fn highest_epoch(&self, id: VolumeId, name: &AtSign) -> Result<Option<Epoch>, OpenError> {
        Ok(self.volume(id, name).list()?.highest())
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
        let names = volume.list()?;
        refuse_stale(id, epoch, names.highest())?;
        let old = names.segments;
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
    /// which shuts out all lower ones, on whichever machine they write. An epoch belongs to one
    /// machine: whoever hands epochs out never gives the same one to two.
    ///
    /// # Errors
    /// [`OpenError`]; nothing that the log does not prove is ever served.
    pub fn open_store(
        &self,
        id: VolumeId,
        name: &AtSign,
        epoch: Epoch,
    ) -> Result<Store, OpenError> {
        self.open_known(id, name, epoch).map_err(|error| self.judge(id, name, epoch, error))
    }

    fn open_known(&self, id: VolumeId, name: &AtSign, epoch: Epoch) -> Result<Store, OpenError> {
        let open_mark = self.take(id)?;
        let volume = self.volume(id, name);
        let names = volume.list()?;
        let (known, mut slot) = self.0.watermarks.read(id).map_err(|error| match error {
            WatermarkError::Missing { .. } if names.segments.is_empty() => OpenError::NotFound(id),
            error => error.into(),
        })?;
        refuse_stale(id, epoch, names.highest().max(Some(known.epoch)))?;
        // A restart in the same epoch fences nobody. Without a segment there is nothing to fence.
        let is_new = epoch > known.epoch && !names.segments.is_empty();
        let names = if is_new {
            volume.make_fence(epoch).map_err(|error| disk_failed(&volume, error))?;
            behind_fence(&volume, epoch)?
        } else {
            names
        };
        let watermarks = &self.0.watermarks;
        let mut found = match recover_foreign(&volume, &names.segments, Some(&known))? {
            Ok(found) => found,
            Err(begun) => recover_own(&volume, names, &known, begun)?,
        };
        if found.epoch() < Some(epoch) {
            (found, slot) = opening::go_on(&volume, found, watermarks, Some(slot), epoch)?;
        } else {
            // This machine's own segment, though its watermark may not have followed.
            opening::mend(&volume, &found, watermarks, &mut slot, Some(&known), epoch)?;
        }
        opening::store(volume, found, watermarks, slot, epoch, open_mark)
    }

    /// Opens a volume that another machine wrote to, and of which this one has no watermark: in an
    /// epoch that nobody had before, which shuts out all lower ones. That nothing is missing at the
    /// log's end is then as good as the volume: no watermark says how far it went. A master key that
    /// is not the volume's is refused before anybody is shut out.
    ///
    /// # Errors
    /// [`OpenError::EpochTaken`] if anybody else began to open it in this epoch; what failed here can
    /// be repeated. [`OpenError::AlreadyExists`] if there is a watermark: then
    /// [`Volumes::open_store`] opens it. And as that.
    pub fn take_over(&self, id: VolumeId, name: &AtSign, epoch: Epoch) -> Result<Store, OpenError> {
        self.open_unknown(id, name, epoch).map_err(|error| self.judge(id, name, epoch, error))
    }

    fn open_unknown(&self, id: VolumeId, name: &AtSign, epoch: Epoch) -> Result<Store, OpenError> {
        let open_mark = self.take(id)?;
        if self.exists(id) {
            return Err(OpenError::AlreadyExists(id));
        }
        let volume = self.volume(id, name);
        let names = volume.list()?;
        let Some(first) = names.segments.first() else {
            return Err(OpenError::NotFound(id));
        };
        refuse_stale(id, epoch, names.highest())?;
        prove_key(&volume, &names)?;
        let is_again = self.begun().get(&id) == Some(&epoch);
        let taken = OpenError::EpochTaken { volume: id, epoch };
        if names.highest() == Some(epoch) && !is_again {
            return Err(taken);
        }
        if volume.make_fence(epoch).map_err(|error| disk_failed(&volume, error))? {
            self.begun().insert(id, epoch);
        } else if !is_again {
            return Err(taken);
        }
        let names = behind_fence(&volume, epoch)?;
        let found = recover_foreign(&volume, &names.segments, None)?
            .map_err(|_| volume.damage(*first, 0, 0, Why::NoBeginning))?;
        let watermarks = &self.0.watermarks;
        let (found, slot) = match found.segments.last() {
            // From an earlier try, which nobody else can have made.
            Some(last) if last.name.epoch == epoch => {
                let mut slot = watermarks.create(id, &mark(last, &found.at))?;
                opening::mend(&volume, &found, watermarks, &mut slot, None, epoch)?;
                (found, slot)
            }
            _ => opening::go_on(&volume, found, watermarks, None, epoch)?,
        };
        self.begun().remove(&id);
        opening::store(volume, found, watermarks, slot, epoch, open_mark)
    }

    /// Gives a volume a new watermark at the end of its log as it is found now, because the old one
    /// is lost: whether the end of the log or the whole copy is the newest can't be told any more.
    ///
    /// # Errors
    /// [`OpenError`]; a log with damage in it is refused here, too.
    pub fn trust(&self, id: VolumeId, name: &AtSign) -> Result<(), OpenError> {
        let _open_mark = self.take(id)?;
        let volume = self.volume(id, name);
        let found = recover_unmarked(&volume, &volume.list()?.segments)?;
        let Some(last) = found.segments.last() else {
            return Err(OpenError::NotFound(id));
        };
        let (watermarks, epoch) = (&self.0.watermarks, last.name.epoch);
        let mut slot = watermarks.create(id, &mark(last, &found.at))?;
        opening::mend(&volume, &found, watermarks, &mut slot, None, epoch)
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
        self.begun().remove(&id);
        self.0.watermarks.remove(id).map_err(io)
    }

    fn take(&self, id: VolumeId) -> Result<OpenMark, OpenError> {
        self.0.open.take(id).ok_or(OpenError::AlreadyOpen(id))
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<VolumeId, Epoch>> {
        // Each change is one call.
        self.0.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, id: VolumeId) -> PathBuf {
        let text = id.to_string();
        self.0.root.join(text.get(..2).unwrap_or_default()).join(&text)
    }

    fn volume(&self, id: VolumeId, name: &AtSign) -> Volume {
        let (disk, wrapping) = (Arc::clone(&self.0.disk), self.0.wrapping.clone());
        Volume::new(id, name, disk, self.path(id), wrapping)
    }

    /// Says of an opening that failed whether a higher epoch took away what it was reading.
    fn judge(&self, id: VolumeId, name: &AtSign, epoch: Epoch, error: OpenError) -> OpenError {
        let is_of_the_log = matches!(
            error,
            OpenError::Damaged(_)
                | OpenError::Forked { .. }
                | OpenError::LostTail { .. }
                | OpenError::OldCopy { .. }
                | OpenError::Io { .. }
        );
        let volume = self.volume(id, name);
        match volume.look(epoch) {
            Err(failure) if is_of_the_log => opening::refused(&volume, failure),
            _ => error,
        }
    }

    /// What reading the watermark says, for a volume that has data.
    fn no_watermark(&self, id: VolumeId) -> OpenError {
        match self.0.watermarks.read(id) {
            Err(error) => error.into(),
            Ok(_) => OpenError::AlreadyExists(id),
        }
    }
}

/// Plants a fence that was made, and reads the folder after that. Whatever the lower epochs acknowledged
/// is there by then, and they will acknowledge nothing more.
fn behind_fence(volume: &Volume, epoch: Epoch) -> Result<Names, OpenError> {
    // Also if the fence was there: whoever made it may have died before this line.
    volume.sync().map_err(|error| disk_failed(volume, error))?;
    let names = volume.list()?;
    refuse_stale(volume.id, epoch, names.highest())?;
    volume.prune_fences(&names);
    Ok(names)
}

fn disk_failed(volume: &Volume, source: io::Error) -> OpenError {
    OpenError::Io { path: volume.path().clone(), source }
}

/// Recovers a volume whose last writer was this machine; `begun` counts no more.
fn recover_own(
    volume: &Volume,
    names: Names,
    known: &Mark,
    begun: Vec<SegmentName>,
) -> Result<Recovered, OpenError> {
    let mut own = names.segments;
    own.retain(|name| name.epoch <= known.epoch);
    let mut found = recover(volume, &own, known, None)?;
    found.report.unfinished_segments += begun.len();
    found.unfinished.extend(begun);
    Ok(found)
}

/// Whether the master key opens what is there. Segments that are just coming or going prove nothing.
fn prove_key(volume: &Volume, names: &Names) -> Result<(), OpenError> {
    let mut refused = Ok(());
    for name in names.segments.iter().rev() {
        match volume.open(*name) {
            Ok(_) => return Ok(()),
            Err(OpenError::Damaged(damage)) if damage.why == Why::HeaderSeal => {
                refused = Err(damage.into());
            }
            Err(_) => {}
        }
    }
    refused
}

fn refuse_stale(volume: VolumeId, asked: Epoch, highest: Option<Epoch>) -> Result<(), OpenError> {
    match highest {
        Some(found) if found > asked => Err(OpenError::StaleEpoch { volume, asked, found }),
        _ => Ok(()),
    }
}
