//! One client's conversation (the protocol's sections 1.1 and 1.2). Pure: it gets lines and the
//! time, and says what to send when.

use std::time::Duration;

use protocol::directory::{self, DirectoryRequest};
use protocol::{Address, AtSign};
use tokio::time::Instant;

use crate::limits::{MISS_DELAY, MISS_FORGOTTEN_AFTER, MISSES_MAX};

/// How many unknown names a connection has asked for lately.
#[derive(Debug)]
pub(crate) struct Session {
    misses: u32,
    /// Up to when misses have been forgotten.
    forgotten: Instant,
}

/// What to do about a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Wait, then send this in one write.
    Answer { bytes: Vec<u8>, delay: Duration, outcome: Outcome },
    /// Close without a word: the client said so.
    Exit,
    /// Close without a word: it asks for too many unknown names.
    TooManyMisses,
}

/// How a lookup ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Found,
    Unknown,
    /// An empty line: one SDK opens with it and wants any answer.
    Empty,
}

impl Session {
    pub(crate) fn new(now: Instant) -> Self {
        Self { misses: 0, forgotten: now }
    }

    /// Takes a line. Known and unknown names go the same way; text that cannot be a name counts as
    /// an unknown one.
    pub(crate) fn take(
        &mut self,
        line: &[u8],
        now: Instant,
        lookup: impl FnOnce(&AtSign) -> Option<Address>,
    ) -> Reply {
        let found = match DirectoryRequest::parse(line) {
            DirectoryRequest::Exit => return Reply::Exit,
            DirectoryRequest::Empty => return not_found(Duration::ZERO, Outcome::Empty),
            DirectoryRequest::Lookup(name) => lookup(&name),
            DirectoryRequest::Unknowable => None,
        };
        match found {
            Some(address) => Reply::Answer {
                bytes: directory::found(&address),
                delay: Duration::ZERO,
                outcome: Outcome::Found,
            },
            None => self.miss(now),
        }
    }

    fn miss(&mut self, now: Instant) -> Reply {
        while now.duration_since(self.forgotten) >= MISS_FORGOTTEN_AFTER {
            if self.misses == 0 {
                self.forgotten = now;
                break;
            }
            self.misses -= 1;
            self.forgotten += MISS_FORGOTTEN_AFTER;
        }
        self.misses += 1;
        match self.misses {
            1 => {
                self.forgotten = now;
                not_found(Duration::ZERO, Outcome::Unknown)
            }
            2..=MISSES_MAX => not_found(MISS_DELAY, Outcome::Unknown),
            _ => Reply::TooManyMisses,
        }
    }
}

fn not_found(delay: Duration, outcome: Outcome) -> Reply {
    Reply::Answer { bytes: directory::NOT_FOUND.to_vec(), delay, outcome }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn delay_of(reply: &Reply) -> Option<Duration> {
        match reply {
            Reply::Answer { delay, .. } => Some(*delay),
            Reply::Exit | Reply::TooManyMisses => None,
        }
    }

    #[test]
    fn who_keeps_guessing_waits_and_is_closed_in_the_end() {
        let now = Instant::now();
        let mut session = Session::new(now);
        let mut miss = || session.take(b"nobody", now, |_| None);
        assert_eq!(delay_of(&miss()), Some(Duration::ZERO));
        for _ in 1..MISSES_MAX {
            assert_eq!(delay_of(&miss()), Some(MISS_DELAY));
        }
        assert_eq!(miss(), Reply::TooManyMisses);
    }

    #[test]
    fn who_errs_now_and_then_never_waits() {
        let mut now = Instant::now();
        let mut session = Session::new(now);
        for _ in 0..3 * MISSES_MAX {
            assert_eq!(delay_of(&session.take(b"nobody", now, |_| None)), Some(Duration::ZERO));
            now += MISS_FORGOTTEN_AFTER;
        }
    }

    #[test]
    fn neither_found_names_nor_empty_lines_are_misses() {
        let now = Instant::now();
        let mut session = Session::new(now);
        let alice = || Some(Address::parse("localhost:1").unwrap());
        for _ in 0..2 * MISSES_MAX {
            assert_eq!(delay_of(&session.take(b"alice", now, |_| alice())), Some(Duration::ZERO));
            assert_eq!(delay_of(&session.take(b"", now, |_| None)), Some(Duration::ZERO));
        }
        assert_eq!(delay_of(&session.take(b"nobody", now, |_| None)), Some(Duration::ZERO));
    }

    #[test]
    fn text_that_is_no_name_is_answered_like_an_unknown_one() {
        let now = Instant::now();
        let unknown = Session::new(now).take(b"nobody", now, |_| None);
        for line in [&b"a b"[..], b"\xff\xfe", b"@", b"al:ice"] {
            assert_eq!(Session::new(now).take(line, now, |_| None), unknown);
        }
    }
}
