//! The numbered statements of the protocol notes (section 10), run from outside.
//!
//! **For:** finding out whether a directory and the servers of some identities are what existing
//! clients and servers expect, ours or anybody's.
//! **Owns:** the statements, a line client that sees the records of TLS, the report.
//! **Never:** imports a part of the product: what it knows, it was told over the wire.
//!
//! A [`Statement`] is a number, a sentence and a way to see it: from outside, or in a test of this
//! workspace that is named. The statements do not depend on one another: each has keys of its own
//! names, connections of its own, and, where it changes how a server treats others, an identity of
//! its own ([`World::spare`]). So they run side by side.

pub mod check;
pub mod report;
pub mod run;
pub mod select;
pub mod statement;
pub mod statements;
pub mod wire;
pub mod world;

pub use check::{Check, Stop};
pub use report::{Outcome, Row};
pub use statement::{How, Statement};
pub use world::World;
