//! Personal servers on the wire: real TLS, a directory, clients that write lines. The names of the
//! tests begin with the numbers of the protocol's conformance checklist that they prove.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attacks;
mod authentication;
mod batch;
mod client;
mod clients;
mod config;
mod enrolment;
mod framing;
mod gaps;
mod grants;
mod hostile;
mod keys;
mod lab;
mod lookout;
mod notifications;
mod notify_all;
mod peer;
mod refresh;
mod restart;
mod sdk;
mod sharing;
mod statements;
mod stats;
mod sync;
mod tap;
