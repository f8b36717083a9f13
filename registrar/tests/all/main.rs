//! The registrar from outside: registrations and deletions that are interrupted anywhere, the feed,
//! the API and the page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[macro_use]
mod world;

mod api;
mod browser;
mod by_name;
mod crash;
mod deletion;
mod feed;
mod fleet;
mod http;
mod moving;
mod page;
mod patroni;
mod placing;
mod postgres;
mod random;
mod registration;
mod relay;
mod swarm;
mod usage;
