//! A router whose cells are elsewhere: real sockets on the loopback interface, pretended cells that
//! check how they are introduced, and a pretended registrar.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bounds;
mod carrying;
mod following;
mod holding;
mod integrity;
mod marks;
mod moving;
mod world;
