//! How a host sees whether a server gets on, and ends one that does not.
//!
//! Nothing here waits for what may hang: no lock that is held over a call to the disk, no task.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol::ErrorCode;
use protocol::response::{ErrorShape, Fault, Prompt, encode_fault};
use storage::Pulse;
use tokio::sync::Semaphore;

use crate::server::Server;

/// What those are told whose server did not get on.
const GIVEN_UP: &str = "this server did not get on and is started again, connect anew";

/// How a server gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// What its store is at; none if that is gone.
    pub store: Option<Pulse>,
    /// How long the oldest command is under way, of those that are.
    pub oldest_command: Option<Duration>,
    /// Whether its store has stopped because something failed, or broke off, that a new opening may
    /// mend. Not for a full disk, which can be read from.
    pub is_broken: bool,
}

/// The end that a host has decided on.
pub(crate) struct Doom(Semaphore);

impl Doom {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(0))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until it is set. Safe to drop and call again.
    pub(crate) async fn set(&self) {
        // There are no permits: it returns when it is closed.
        drop(self.0.acquire().await);
    }
}

/// The last that the client of a server is told that was given up.
pub(crate) fn farewell(is_owner: bool, shape: ErrorShape) -> Vec<u8> {
    encode_fault(&Fault::new(ErrorCode::Paused, GIVEN_UP), is_owner, shape, Prompt::Open)
}

impl Server {
    /// How it gets on. Waits for nothing.
    #[must_use]
    pub fn vitals(&self) -> Vitals {
        Vitals {
            store: self.overseer().pulse(),
            oldest_command: self.roster().oldest_command(),
            is_broken: self.is_broken(),
        }
    }

    /// As [`Vitals::is_broken`].
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.ledger().is_broken.load(Ordering::Relaxed)
    }

    /// Gives it up: its store acknowledges nothing any more and may be opened anew **with a higher
    /// epoch**, nobody is told anything that it remembers, and all who are connected are told that it
    /// is started again. Whatever hangs in it is left behind, and dropped when it comes back.
    pub fn give_up(self: &Arc<Self>) {
        self.doom().0.close();
        self.overseer().give_up();
        self.tasks().start();
    }

    /// Whether it was given up.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.doom().is_set()
    }
}
