//! The atlas: where every identity is, packed so that one machine's memory holds them all.
//!
//! **For:** the directory, which answers from it, and whoever builds one for it. A name costs about
//! as many bytes as tell it from its neighbour, and four more for its host and port.
//! **Owns:** the packed form ([`Segment`]), the order of segments ([`Atlas`]), packing ([`Packer`]),
//! merging in what changed ([`Atlas::merge`]), and the hash tree over all names ([`Atlas::root`],
//! [`Proof`]).
//! **Never:** touches a file, a clock or a network; changes a segment once it is made; panics on
//! bytes, whatever they are.
//!
//! # The packed form
//! Names are sorted by their bytes and cut into segments. A segment begins at each name whose hash
//! says so, one in [`SEGMENT_NAMES`] on average: where the cuts are depends on the names alone, not
//! on how an atlas came to be, so equal contents have equal bytes. A change touches one segment, or
//! two when it adds or removes a cut.
//!
//! In a segment, names stand in blocks of [`BLOCK_NAMES`]. The first name of a block is whole; each
//! other one is the length that it shares with the one before, and the rest. Host names are kept
//! once a segment; those that begin with their identity's own labels (`docs/dns.md`), or with the one
//! label that is made of her name (`protocol::HostLabel`), as a router needs that tells servers apart
//! by name, are kept as one template. An index of the blocks' first
//! names says which block, and that one is read through.
//!
//! **How it fails:** a segment whose parts do not fit together is refused by [`Segment::from_bytes`];
//! damage inside a block makes its names unknown, or is found by [`Segment::verify`]. Whoever stores
//! segments keeps a checksum beside them.
//!
//! **Rejected:** a hash table (21 bytes an identity against 13); mapping a file into memory (it
//! needs `unsafe`, and a file that shrinks under it kills the process).

mod atlas;
mod cut;
mod hosts;
mod index;
mod merge;
mod pack;
mod place;
mod proof;
mod root;
mod rows;
mod segment;
mod tree;
mod varint;

pub use atlas::{Atlas, Cursor};
pub use cut::SEGMENT_NAMES;
pub use hosts::{HostForm, HostForms};
pub use merge::{MergeError, Patch};
pub use pack::{PackError, Packer};
pub use place::Place;
pub use proof::{Proof, ProofError};
pub use root::Root;
pub use rows::{BLOCK_NAMES, Row};
pub use segment::{Damaged, Segment};

#[cfg(test)]
mod tests;
