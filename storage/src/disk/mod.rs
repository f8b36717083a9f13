//! The seam between the store and the operating system.
//!
//! Everything that the store asks of a disk is in these two traits, so that a simulated disk can
//! forget, tear, fail and fill up at every single call. A call means what the same call means on
//! POSIX: nothing is durable before a sync, and a name is durable only after its folder is synced.

mod real;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
#[cfg(any(test, feature = "sim"))]
pub mod snag;

use std::io;
use std::path::Path;

pub use real::RealDisk;

/// A file system.
pub trait Disk: Send + Sync + 'static {
    /// Makes a new file for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken, and whatever the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound`, and whatever the system says.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Makes a folder whose parent exists.
    ///
    /// # Errors
    /// `AlreadyExists`, `NotFound` for the parent, and whatever the system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, in no order; names that are not text are left out.
    ///
    /// # Errors
    /// `NotFound`; `InvalidData` if there are more than `names_max`; whatever the system says.
    fn list(&self, path: &Path, names_max: usize) -> io::Result<Vec<String>>;

    /// Removes a file. Open handles go on reading it.
    ///
    /// # Errors
    /// `NotFound`, and whatever the system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// `NotFound`, `DirectoryNotEmpty`, and whatever the system says.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// Whatever the system says.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// An open file. Reads and writes name their place, so one handle serves many threads.
pub trait DiskFile: Send + Sync + 'static {
    /// Its length in bytes.
    ///
    /// # Errors
    /// Whatever the system says.
    fn size(&self) -> io::Result<u64>;

    /// Reads some bytes at `offset`; 0 only at the end.
    ///
    /// # Errors
    /// Whatever the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes at `offset`, lengthening the file where needed.
    ///
    /// # Errors
    /// Whatever the system says; a part may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts or lengthens the file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Makes data and length durable.
    ///
    /// # Errors
    /// Whatever the system says. What was written before a failed sync must be taken for lost: a
    /// second sync that succeeds proves nothing about it.
    fn sync(&self) -> io::Result<()>;

    /// Takes the file for this handle alone, until it is dropped; false if another handle has it.
    ///
    /// # Errors
    /// Whatever the system says.
    fn try_lock(&self) -> io::Result<bool>;
}

/// Reads until the buffer is full or the file ends; returns how much was read.
pub(crate) fn read_full_at(
    file: &dyn DiskFile,
    buffer: &mut [u8],
    offset: u64,
) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// Makes a folder and its missing parents, each of them durable in its own parent.
pub(crate) fn ensure_dir(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let parent = path.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
    match disk.create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            ensure_dir(disk, parent.ok_or(error)?)?;
            disk.create_dir(path)?;
        }
        Err(error) => return Err(error),
    }
    // Also when it was there: whoever made it may have died before this line.
    parent.map_or(Ok(()), |parent| disk.sync_dir(parent))
}
