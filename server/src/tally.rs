//! What a server's callers use of it, for its host's accounts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::server::Server;

/// What was used since it was asked for last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tallied {
    /// Commands.
    pub commands: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Bytes of answers and of what monitors were told.
    pub bytes_out: u64,
    /// How long the server was awake.
    pub awake: Duration,
    /// Bytes of its log now.
    pub stored_bytes: u64,
}

/// Counts.
pub(crate) struct Tally {
    commands: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    since: Mutex<Instant>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let (commands, bytes_in, bytes_out) = Default::default();
        Self { commands, bytes_in, bytes_out, since: Mutex::new(Instant::now()) }
    }

    /// A command came.
    pub(crate) fn command(&self, bytes: usize) {
        self.commands.fetch_add(1, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Something went out.
    pub(crate) fn wrote(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Server {
    /// What was used since this was asked last. Each use is told once.
    #[must_use]
    pub fn take_tally(&self) -> Tallied {
        let tally = self.tally();
        let now = Instant::now();
        let mut since = tally.since.lock().unwrap_or_else(PoisonError::into_inner);
        let awake = now.saturating_duration_since(std::mem::replace(&mut *since, now));
        Tallied {
            commands: tally.commands.swap(0, Ordering::Relaxed),
            bytes_in: tally.bytes_in.swap(0, Ordering::Relaxed),
            bytes_out: tally.bytes_out.swap(0, Ordering::Relaxed),
            awake,
            stored_bytes: self.ledger().log_bytes(),
        }
    }
}
