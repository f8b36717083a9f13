//! The store's promises, each under every fault that a disk can have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod compaction;
mod crash;
mod faults;
mod fencing;
mod given_up;
mod group;
mod hostile;
mod life;
mod model;
mod mounts;
mod parsers;
mod secrets;
mod support;
mod tail;
mod take_over;
mod watched;
mod watermarks;
