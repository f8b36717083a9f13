//! The directory: where is `@alice`? Answered from memory over TLS, one line a question.
//!
//! **For:** every client and every server, which ask here first. It follows the registrar's feed
//! and answers from what it last knew, with the registrar dead and after a cold start from its own
//! file, for as long as it takes; [`Directory::status`] says how old its knowledge is.
//! **Owns:** the map from names to addresses ([`table`]), its place in the feed ([`apply`],
//! [`follow`]), its snapshot file ([`snapshot_file`]) and what becomes one ([`import`]), the line conversation ([`session`]), the HTTPS
//! front ([`web`]) and the DNS front ([`dns`]).
//! **Never:** waits for a disk, the registrar or another machine to answer a lookup of a name that
//! is here; asks anybody but its parent ([`Parent`]) for one that is not; says `null` for a name
//! that it merely does not know yet; goes backwards in the feed; writes anything but its own
//! snapshot file; knows who a client is.
//!
//! **How it fails:** what the feed sends is applied whole or refused whole, by a named reason, and
//! the old knowledge goes on being served. Until it knows anything at all it is not ready, and
//! closes a connection that asks rather than answer.
//!
//! **Rejected:** a hash table of everything, which takes some ten times the memory of an
//! [`atlas::Atlas`] and is not faster by anything that a client could notice; the atlas alone, since
//! each change would make a segment anew.

mod apply;
mod carriers;
mod directory;
pub mod dns;
mod feed;
mod follow;
mod horizon;
mod https_feed;
pub mod import;
pub mod limits;
mod metrics;
mod misses;
mod own_file;
mod parent;
mod redis_feed;
mod relay;
mod renewal;
mod serve;
mod session;
pub mod snapshot_file;
mod table;
mod web;

pub use apply::Refusal;
pub use carriers::Carriers;
pub use directory::{Directory, Status};
pub use feed::{BoxFuture, FeedAnswer, FeedError, FeedSource};
pub use https_feed::HttpsFeed;
pub use misses::{MissLimits, MissRate};
pub use parent::{Parent, ParentError};
pub use redis_feed::RedisFeed;
pub use snapshot_file::SnapshotFileError;
pub use web::{RelayToken, RelayTokenError};
