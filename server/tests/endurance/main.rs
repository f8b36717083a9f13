//! Personal servers for a long time: random sessions against a model, days and leaps of years on a
//! simulated clock. Nothing here waits for real time: connections are pipes, TLS included, and the
//! wall clock moves with the paused time of the runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod commits;
mod days;
mod enrolled;
mod grants;
mod model;
mod player;
mod script;
mod sessions;
mod world;
