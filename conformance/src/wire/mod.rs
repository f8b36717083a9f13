//! Talking to a directory and to personal servers, as plainly as it is done.

mod client;
mod record;

use std::time::Duration;

pub use client::Client;
pub use record::{Record, Wire};

/// How long any single answer may take.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How long we listen before we believe that nothing comes.
pub const SILENCE: Duration = Duration::from_millis(300);
