//! The words all parts of a warren share: names, addresses, epochs, keys, verbs, answers, and the
//! messages the daemons send one another.
//!
//! **For:** turning bytes from outside into types that cannot hold a wrong value, and back.
//! **Owns:** every grammar of the atProtocol, and the wire formats between our own daemons
//! ([`control`]).
//! **Never:** does I/O, reads a clock, draws random numbers, or panics on input. Parsers have three
//! outcomes (done, refused, incomplete) and are bounded before they allocate.

pub mod address;
pub mod control;
pub mod directory;
pub mod dns_name;
pub mod enrollment;
pub mod epoch;
pub mod error_code;
pub mod host;
pub mod host_label;
pub mod host_pattern;
pub mod id;
pub mod key;
pub mod limits;
pub mod line;
pub mod metadata;
pub mod name;
pub mod notification;
pub mod peer;
pub mod record;
pub mod response;
pub mod stat;
pub mod sync;
pub mod term;
pub mod time;
pub mod verb;

pub use address::{Address, AddressError, HostName};
pub use enrollment::EnrollmentId;
pub use epoch::Epoch;
pub use error_code::ErrorCode;
pub use host::Host;
pub use host_label::HostLabel;
pub use host_pattern::{HostPattern, Hosts};
pub use id::{FeedId, RegistrationId, VolumeId};
pub use key::{AtKey, Entity, KeyError, KeyKind};
pub use metadata::{Metadata, MetadataPatch, Patch};
pub use name::{AtSign, NameError};
pub use term::Term;
pub use time::Timestamp;
pub use verb::{Command, Verb, VerbError};
