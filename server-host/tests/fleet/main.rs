//! Cells of a fleet: several processes on the same volumes, a registrar that is followed, routers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fencing;
mod following;
mod health;
mod lab;
mod registrar;
