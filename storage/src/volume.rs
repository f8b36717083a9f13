//! The folder of one volume: which segments there are, and how one is opened, begun and removed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{AtSign, Epoch, VolumeId};

use crate::disk::{Disk, DiskFile, read_full_at};
use crate::error::{Damage, OpenError, Seq, Why};
use crate::fence::Names;
use crate::format::{HEADER_BYTES, parse_header};
use crate::keyring::Key;
use crate::limits::FOLDER_NAMES_MAX;
use crate::seal::{Sealer, unwrap, wrap};

/// The name of a segment's file. The epoch stands in the name, so that two writers can never mean
/// the same file, and a look at the folder shows a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    // The order of the fields is the order of segments in a log.
    pub(crate) number: u32,
    pub(crate) epoch: Epoch,
}

impl SegmentName {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (epoch, number) = text.strip_suffix(".log")?.split_once('-')?;
        let name =
            Self { number: number.parse().ok()?, epoch: Epoch::from_number(epoch.parse().ok()?)? };
        // Only the one spelling that this program writes.
        (name.number > 0 && name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}-{:08}.log", self.epoch.number(), self.number)
    }
}

/// An open segment whose header has been proven.
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    pub(crate) file: Box<dyn DiskFile>,
    pub(crate) sealer: Sealer,
}

/// The folder of a volume, and what opens its segments.
pub(crate) struct Volume {
    pub(crate) id: VolumeId,
    pub(crate) name: AtSign,
    disk: Arc<dyn Disk>,
    path: PathBuf,
    wrapping: Key,
}

impl Volume {
    pub(crate) fn new(
        id: VolumeId,
        name: &AtSign,
        disk: Arc<dyn Disk>,
        path: PathBuf,
        wrapping: Key,
    ) -> Self {
        Self { id, name: name.clone(), disk, path, wrapping }
    }

    /// The names in the folder; none if there is no folder.
    pub(crate) fn list(&self) -> Result<Names, OpenError> {
        match self.texts() {
            Ok(texts) => Ok(Names::new(&texts)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Names::new(&[])),
            Err(source) => Err(OpenError::Io { path: self.path.clone(), source }),
        }
    }

    pub(crate) fn texts(&self) -> io::Result<Vec<String>> {
        self.disk.list(&self.path, FOLDER_NAMES_MAX)
    }

    /// Opens a segment, proves its header, and takes the volume's key from it.
    pub(crate) fn open(&self, name: SegmentName) -> Result<(Segment, Key), OpenError> {
        let file = self.disk.open(&self.segment_path(name)).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                self.damage(name, 0, 0, Why::Missing).into()
            } else {
                self.io(name, error)
            }
        })?;
        let mut bytes = [0; HEADER_BYTES];
        let count = read_full_at(&*file, &mut bytes, 0).map_err(|error| self.io(name, error))?;
        let damaged = |why| OpenError::from(self.damage(name, 0, 0, why));
        let header = parse_header(bytes.get(..count).unwrap_or_default())
            .map_err(|error| damaged(Why::Header(error)))?;
        let key =
            unwrap(&self.wrapping, &header, &self.name).map_err(|_| damaged(Why::HeaderSeal))?;
        let named = SegmentName { number: header.number, epoch: header.epoch };
        if header.volume != self.id || named != name {
            return Err(damaged(Why::OutOfPlace));
        }
        let sealer = Sealer::new(&key, &header, &self.name);
        Ok((Segment { name, file, sealer }, key))
    }

    /// Makes the file of a new segment; returns it with the header's bytes, which are not written
    /// yet.
    pub(crate) fn create(
        &self,
        name: SegmentName,
        key: &Key,
    ) -> io::Result<(Segment, [u8; HEADER_BYTES])> {
        let header = wrap(&self.wrapping, key, self.id, &self.name, name.epoch, name.number)?;
        let sealer = Sealer::new(key, &header, &self.name);
        let file = self.disk.create(&self.segment_path(name))?;
        Ok((Segment { name, file, sealer }, header.encode()))
    }

    /// Removes segments; durable when it returns.
    pub(crate) fn remove(&self, names: &[SegmentName]) -> io::Result<()> {
        for name in names {
            match self.disk.remove_file(&self.segment_path(*name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if names.is_empty() { Ok(()) } else { self.sync() }
    }

    /// Makes the folder's names durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.disk.sync_dir(&self.path)
    }

    /// Makes the folder and the one it lies in, if they are missing. Not durable yet: the sync of
    /// the first file makes what comes after it cheap on most file systems.
    pub(crate) fn make_folder(&self) -> io::Result<()> {
        let make = |path: &Path| match self.disk.create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        };
        self.path.parent().map_or(Ok(()), make)?;
        make(&self.path)
    }

    /// Makes the names that lead to the folder durable, also if they were there: whoever made them
    /// may have died before this.
    pub(crate) fn sync_folder_name(&self) -> io::Result<()> {
        let ancestors = self.path.ancestors().skip(1).take(2);
        ancestors.into_iter().try_for_each(|folder| self.disk.sync_dir(folder))
    }

    pub(crate) fn segment_size(&self, name: SegmentName) -> io::Result<u64> {
        self.disk.open(&self.segment_path(name))?.size()
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(crate) fn damage(&self, name: SegmentName, offset: u64, seq: u64, why: Why) -> Damage {
        Damage { volume: self.id, segment: name.to_string(), offset, seq: Seq(seq), why }
    }

    pub(crate) fn io(&self, name: SegmentName, source: io::Error) -> OpenError {
        OpenError::Io { path: self.segment_path(name), source }
    }

    fn segment_path(&self, name: SegmentName) -> PathBuf {
        self.path.join(name.to_string())
    }
}

/// Removes a volume's folder with everything in it, durably. No identity is needed for that.
pub(crate) fn remove_folder(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let names = match disk.list(path, FOLDER_NAMES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    names.iter().try_for_each(|name| disk.remove_file(&path.join(name)))?;
    disk.remove_dir(path)?;
    path.parent().map_or(Ok(()), |parent| disk.sync_dir(parent))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_one_spelling_of_a_segments_name_is_read() {
        let name = SegmentName { number: 7, epoch: Epoch::from_number(123).unwrap() };
        assert_eq!(name.to_string(), "00000123-00000007.log");
        assert_eq!(SegmentName::parse("00000123-00000007.log"), Some(name));
        for other in [
            "123-7.log",
            "00000123-00000000.log",
            "00000000-00000007.log",
            "00000123-00000007.log.old",
            "+0000123-00000007.log",
            "00000123-99999999999.log",
            "",
        ] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }
}
