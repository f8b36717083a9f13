//! The registrar's feed as bytes that only the registrar can have made.
//!
//! **For:** the registrar, which signs; every directory, which believes nothing else, whoever carried
//! it; and clients that do not trust the directory they ask.
//! **Owns:** the feed's key pair ([`SigningKey`], [`FeedKey`]), what a signature covers ([`Signed`]),
//! the promise about everything as of one change ([`Checkpoint`]), and both with all names in one
//! piece ([`SignedSnapshot`]), what was said since ([`Chronicle`]), how a snapshot is brought up to
//! date where it stands ([`Renewal`]), and what both prove about one name ([`Evidence`]).
//! **Never:** touches a file, a clock or a network; looks into bytes before their signature was
//! checked; decides what is new (that is the directory's).
//!
//! A batch is signed as the bytes that travel, so no second way of writing the same thing can break
//! a signature. A snapshot is not signed as a whole: its checkpoint is, and names the root of the
//! hash tree over the atlas, which the receiver computes itself.
//!
//! **How it fails:** [`Forged`] for what the key did not sign, [`SnapshotError`] for a snapshot that
//! is not what its checkpoint says.
//!
//! **Rejected:** a signature for each record (64 bytes an identity, where the tree costs a fraction
//! of one); a chain of hashes over all changes, which would bind a carrier to deliver them in the
//! pieces in which they were signed.

mod changes;
mod checkpoint;
mod chronicle;
mod evidence;
mod key;
mod keys;
mod renewal;
mod signed;
mod snapshot;

pub use checkpoint::Checkpoint;
pub use chronicle::{Chronicle, News};
pub use evidence::{Evidence, EvidenceError, Proven};
pub use key::{FeedKey, FeedKeyError, SigningKey};
pub use keys::CarrierKeys;
pub use renewal::Renewal;
pub use signed::{Forged, SIGNED_BYTES_MAX, Signed, Statement};
pub use snapshot::{SignedSnapshot, SnapshotError, pack};
