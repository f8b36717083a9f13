//! Why there is no watermark to trust.

use std::io;
use std::path::PathBuf;

use protocol::VolumeId;

/// Why there is no watermark to trust.
#[derive(Debug, thiserror::Error)]
pub enum WatermarkError {
    /// The volume's slot is not in the file.
    #[error(
        "volume {volume} has no watermark in {path}, so nobody can tell whether its log is whole; \
         put back the watermark file that belongs to the volume, or accept the log as it is \
         (Volumes::trust)", path = path.display()
    )]
    Missing {
        /// The volume.
        volume: VolumeId,
        /// The watermark file.
        path: PathBuf,
    },
    /// The volume's slot is damaged.
    #[error(
        "the watermark of volume {volume} in {path} is damaged, so nobody can tell whether its \
         log is whole; put back the watermark file, or accept the log as it is (Volumes::trust)",
        path = path.display()
    )]
    Damaged {
        /// The volume.
        volume: VolumeId,
        /// The watermark file.
        path: PathBuf,
    },
    /// The file is no watermark file, or was written under another master key.
    #[error(
        "{path} is no watermark file of this master key; \
         give the master key and the watermark file that belong together",
        path = path.display()
    )]
    Foreign {
        /// The watermark file.
        path: PathBuf,
    },
    /// The file has more slots than a cell may have.
    #[error("{path} is too large for a watermark file", path = path.display())]
    TooLarge {
        /// The watermark file.
        path: PathBuf,
    },
    /// Another process works on these volumes.
    #[error("{path} is in use by another process; end it first", path = path.display())]
    InUse {
        /// The watermark file.
        path: PathBuf,
    },
    /// The disk does not do what it is asked.
    #[error("the watermark file {path} cannot be used", path = path.display())]
    Io {
        /// The watermark file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
