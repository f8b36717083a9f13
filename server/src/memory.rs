//! The memory that callers can make us hold for what is large: long commands, long answers, what
//! waits for monitors. It is reserved before it is held, from what one server may have and from what
//! all servers of the process may; who gets none is told so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes for one server, or for all of a process.
#[derive(Debug)]
pub(crate) struct Memory {
    used: AtomicUsize,
    max: usize,
    of_all: Option<Arc<Memory>>,
}

/// Bytes that somebody holds; given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Memory {
    /// For all servers of a process.
    pub(crate) fn of_all(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max, of_all: None })
    }

    /// For one of them.
    pub(crate) fn of_one(max: usize, of_all: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max, of_all: Some(Arc::clone(of_all)) })
    }

    /// Reserves, unless there is no room.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reserved> {
        let mut reserved = Reserved { memory: Arc::clone(self), bytes: 0 };
        reserved.grow_to(bytes).then_some(reserved)
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.max);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return false;
        }
        let is_taken = self.of_all.as_ref().is_none_or(|of_all| of_all.take(bytes));
        if !is_taken {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        is_taken
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(of_all) = &self.of_all {
            of_all.give_back(bytes);
        }
    }
}

impl Reserved {
    /// Reserves more, if it is not so much already; false: there is no room, and nothing changed.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let is_taken = more == 0 || self.memory.take(more);
        if is_taken {
            self.bytes += more;
        }
        is_taken
    }

    /// Gives back what is beyond this.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        self.memory.give_back(less);
        self.bytes -= less;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nobody_gets_more_than_one_may_have_nor_all_more_than_there_is() {
        let all = Memory::of_all(100);
        let (one, two) = (Memory::of_one(60, &all), Memory::of_one(60, &all));
        let mut first = one.reserve(50).unwrap();
        assert!(!first.grow_to(61), "more than one may have");
        assert!(first.grow_to(60) && first.grow_to(10));
        assert!(two.reserve(41).is_none(), "more than there is");
        let second = two.reserve(40).unwrap();
        first.shrink_to(30);
        assert!(two.reserve(21).is_none());
        drop(two.reserve(20).unwrap());
        drop((first, second));
        assert_eq!([&all, &one, &two].map(|memory| memory.used.load(Ordering::Relaxed)), [0; 3]);
        assert!(one.reserve(usize::MAX).is_none());
    }
}
