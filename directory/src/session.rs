//! One client's conversation (the protocol's sections 1.1 and 1.2). Pure: it gets lines and the
//! time, and says what to send when.

use std::time::Duration;

use protocol::AtSign;
use protocol::directory::{DirectoryRequest, NOT_FOUND};
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
    /// Send the answer that was appended, after this delay.
    Answer { delay: Duration, outcome: Outcome },
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

    /// Takes a line, and appends the answer to `out`. Known and unknown names go the same way; text
    /// that cannot be a name counts as an unknown one. `find` appends the answer for a known name.
    pub(crate) fn take(
        &mut self,
        line: &[u8],
        now: Instant,
        out: &mut Vec<u8>,
        find: impl FnOnce(&AtSign, &mut Vec<u8>) -> bool,
    ) -> Reply {
        let is_found = match DirectoryRequest::parse(line) {
            DirectoryRequest::Exit => return Reply::Exit,
            DirectoryRequest::Empty => {
                out.extend_from_slice(NOT_FOUND);
                return at_once(Outcome::Empty);
            }
            DirectoryRequest::Lookup(name) => find(&name, out),
            DirectoryRequest::Unknowable => false,
        };
        if is_found {
            return at_once(Outcome::Found);
        }
        let reply = self.miss(now);
        if matches!(reply, Reply::Answer { .. }) {
            out.extend_from_slice(NOT_FOUND);
        }
        reply
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
                at_once(Outcome::Unknown)
            }
            2..=MISSES_MAX => Reply::Answer { delay: MISS_DELAY, outcome: Outcome::Unknown },
            _ => Reply::TooManyMisses,
        }
    }
}

fn at_once(outcome: Outcome) -> Reply {
    Reply::Answer { delay: Duration::ZERO, outcome }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn take(session: &mut Session, line: &[u8], now: Instant) -> (Reply, Vec<u8>) {
        let mut out = Vec::new();
        let reply = session.take(line, now, &mut out, |name, out| {
            let is_alice = name.bare() == "alice";
            out.extend_from_slice(if is_alice { b"localhost:1\r\n@" } else { b"" });
            is_alice
        });
        (reply, out)
    }

    fn delay_of(session: &mut Session, line: &[u8], now: Instant) -> Option<Duration> {
        match take(session, line, now).0 {
            Reply::Answer { delay, .. } => Some(delay),
            Reply::Exit | Reply::TooManyMisses => None,
        }
    }

    #[test]
    fn who_keeps_guessing_waits_and_is_closed_in_the_end() {
        let now = Instant::now();
        let mut session = Session::new(now);
        assert_eq!(delay_of(&mut session, b"nobody", now), Some(Duration::ZERO));
        for _ in 1..MISSES_MAX {
            assert_eq!(delay_of(&mut session, b"nobody", now), Some(MISS_DELAY));
        }
        assert_eq!(take(&mut session, b"nobody", now), (Reply::TooManyMisses, Vec::new()));
    }

    #[test]
    fn who_errs_now_and_then_never_waits() {
        let mut now = Instant::now();
        let mut session = Session::new(now);
        for _ in 0..3 * MISSES_MAX {
            assert_eq!(delay_of(&mut session, b"nobody", now), Some(Duration::ZERO));
            now += MISS_FORGOTTEN_AFTER;
        }
    }

    #[test]
    fn neither_found_names_nor_empty_lines_are_misses() {
        let now = Instant::now();
        let mut session = Session::new(now);
        for _ in 0..2 * MISSES_MAX {
            assert_eq!(delay_of(&mut session, b"alice", now), Some(Duration::ZERO));
            assert_eq!(delay_of(&mut session, b"", now), Some(Duration::ZERO));
        }
        assert_eq!(delay_of(&mut session, b"nobody", now), Some(Duration::ZERO));
    }

    #[test]
    fn text_that_is_no_name_is_answered_like_an_unknown_one() {
        let now = Instant::now();
        let unknown = take(&mut Session::new(now), b"nobody", now);
        assert_eq!(unknown.1, NOT_FOUND);
        for line in [&b"a b"[..], b"\xff\xfe", b"@", b"al:ice"] {
            assert_eq!(take(&mut Session::new(now), line, now), unknown);
        }
    }
}
