//! The sealed log of one identity.
//!
//! **For:** keeping the keys and values of each identity on a disk that somebody else owns. An
//! acknowledged batch survives any crash; what lies on the disk tells nothing but sizes and times;
//! no change to it goes unnoticed.
//! **Owns:** every file of a volume, the watermark file beside the volumes, the keys they are sealed
//! with, and the order of writes and syncs.
//! **Never:** acknowledges before the sync, retries a failed sync, returns a value whose seal was not
//! checked, reads a clock, starts a thread, or writes in a log that somebody opened with a higher
//! epoch. It knows no atProtocol: keys and values are bytes.
//!
//! The way of a batch: [`Store::append`] puts it into index and queue under a short lock and hands
//! out a [`Commit`], and to one caller a [`SyncJob`]. The job seals all that waits into one buffer,
//! writes it with one call, syncs once, moves the watermark, wakes the commits, and goes on for a few
//! rounds while more comes; then one of those who wait takes over. So a lone client pays one write and
//! one sync, and many clients share them.
//!
//! The way back: opening replays the log from its newest snapshot, proves each record, and holds the
//! end against the watermark (`recover`). A torn end that was never acknowledged is cut; everything
//! else that is not as it was written is refused, with a report that says where and what to do.
//!
//! What was weighed and left out: one log for many identities (fewer syncs under load, but no
//! identity could be moved, sealed or deleted alone, and 50 logs synced in parallel reach ten times
//! one log's rate anyway); sealing in `append` (it would hold the lock for the cipher, and a record
//! could not say how far the log was durable before it, which is what tells a torn write from
//! damage); segments laid out from the start (ten thousand small logs would take a gigabyte: room is
//! laid out only behind a busy log, and given back when it is closed).

mod batch;
mod chain;
mod commit;
mod compact;
pub mod disk;
mod error;
mod fence;
pub mod format;
mod index;
mod keyring;
pub mod limits;
mod log;
mod lookout;
mod master_key;
mod open_set;
mod opening;
mod pulse;
mod read;
mod recover;
mod scan;
mod seal;
mod shared;
mod state;
mod store;
mod tail;
mod volume;
mod volume_set;
mod volumes;
mod watermark;

pub use batch::{Batch, BatchError};
pub use commit::{Commit, Durable, DurableAck, SyncJob};
pub use disk::{Disk, DiskFile, RealDisk};
#[cfg(any(test, feature = "sim"))]
pub use disk::{sim, snag};
pub use error::{CommitError, Damage, Failure, MaintainError, OpenError, ReadError, Seq, Why};
pub use keyring::{Key, Keyring};
pub use lookout::Lookout;
pub use master_key::{MasterKey, MasterKeyError};
pub use pulse::{Overseer, Pulse};
pub use read::Value;
pub use recover::Recovery;
pub use store::{Digest, Maintenance, Store};
pub use volume_set::VolumeSet;
pub use volumes::Volumes;
pub use watermark::{WatermarkError, Watermarks};
