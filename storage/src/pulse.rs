//! Whether a store gets on: seen from the outside, without waiting for anything that may hang.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{MutexGuard, Weak};

use crate::log::Log;
use crate::shared::Shared;

/// What a store is at. Two that are equal, and busy, with a long time between them: it hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// Whether somebody works on the log, waits for it, or for a batch to become durable.
    pub is_busy: bool,
    /// What was finished so far.
    pub steps: u64,
}

/// Counts what is done at a log.
#[derive(Default)]
pub(crate) struct Progress {
    at_work: AtomicUsize,
    steps: AtomicU64,
}

impl Progress {
    pub(crate) fn begin(&self) -> AtWork<'_> {
        self.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(self)
    }

    /// Something is finished.
    pub(crate) fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn pulse(&self, waits: bool) -> Pulse {
        let is_busy = waits || self.at_work.load(Ordering::Relaxed) > 0;
        Pulse { is_busy, steps: self.steps.load(Ordering::Relaxed) }
    }
}

/// While it lives, somebody works on the log.
pub(crate) struct AtWork<'a>(&'a Progress);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.step();
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The log, held by one who works on it.
pub(crate) struct HeldLog<'a> {
    pub(crate) log: MutexGuard<'a, Log>,
    pub(crate) _at_work: AtWork<'a>,
}

impl Deref for HeldLog<'_> {
    type Target = Log;

    fn deref(&self) -> &Log {
        &self.log
    }
}

impl DerefMut for HeldLog<'_> {
    fn deref_mut(&mut self) -> &mut Log {
        &mut self.log
    }
}

/// Watches over a store for somebody who does not use it, and ends its use where it hangs. It keeps
/// nothing open.
#[derive(Clone)]
pub struct Overseer(Weak<Shared>);

impl Overseer {
    pub(crate) fn new(shared: Weak<Shared>) -> Self {
        Self(shared)
    }

    /// What the store is at; none if it is gone. Waits for nothing.
    #[must_use]
    pub fn pulse(&self) -> Option<Pulse> {
        Some(self.0.upgrade()?.pulse())
    }

    /// Ends the use of the store, though somebody still works at it. Whoever waits for a batch is told
    /// that it failed, and nothing will be acknowledged any more. What the worker still writes goes into
    /// the files of this store's epoch; so the volume may be opened again **only with a higher one**,
    /// whose fence that worker finds.
    pub fn give_up(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.give_up();
        }
    }
}
