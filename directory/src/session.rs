//! One client's conversation (the protocol's sections 1.1 and 1.2). Pure: it gets lines and the
//! time, and says what to send when.

use std::time::Duration;

use protocol::directory::DirectoryRequest;
use tokio::time::Instant;

use crate::limits::{MISS_DELAY, MISS_FORGOTTEN_AFTER, MISSES_MAX};
use crate::misses::Accounts;

/// How many unknown names a connection has asked for lately, and what its address block has.
#[derive(Debug)]
pub(crate) struct Session {
    accounts: Option<Accounts>,
    misses: u32,
    /// Up to when misses have been forgotten.
    forgotten: Instant,
}

/// What to do about a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Send the answer, after this delay.
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
    /// A conversation whose unknown names are put down to these accounts, if to any.
    pub(crate) fn new(accounts: Option<Accounts>, now: Instant) -> Self {
        Self { accounts, misses: 0, forgotten: now }
    }

    /// Says what to do about a line, once its name, if it has one, has been looked up. Known and
    /// unknown names go the same way; text that cannot be a name counts as an unknown one.
    pub(crate) fn judge(
        &mut self,
        request: &DirectoryRequest,
        is_found: bool,
        now: Instant,
    ) -> Reply {
        let delay = self.accounts.as_ref().map_or(Duration::ZERO, |accounts| accounts.delay(now));
        match request {
            DirectoryRequest::Exit => Reply::Exit,
            DirectoryRequest::Empty => at_once(Outcome::Empty),
            DirectoryRequest::Lookup(_) if is_found => at_once(Outcome::Found),
            DirectoryRequest::Lookup(_) | DirectoryRequest::Unknowable => {
                if let Some(accounts) = &self.accounts {
                    accounts.miss(now);
                }
                match self.miss(now) {
                    Some(own) => Reply::Answer { delay: own.max(delay), outcome: Outcome::Unknown },
                    None => Reply::TooManyMisses,
                }
            }
        }
    }

    /// The connection's own share of the delay; none if it has had too many.
    fn miss(&mut self, now: Instant) -> Option<Duration> {
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
                Some(Duration::ZERO)
            }
            2..=MISSES_MAX => Some(MISS_DELAY),
            _ => None,
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
    use crate::misses::{MissLimits, MissRate, Misses};

    fn take(session: &mut Session, line: &[u8], now: Instant) -> Reply {
        let request = DirectoryRequest::parse(line);
        let is_found = matches!(&request, DirectoryRequest::Lookup(name) if name.bare() == "alice");
        session.judge(&request, is_found, now)
    }

    fn delay_of(session: &mut Session, line: &[u8], now: Instant) -> Option<Duration> {
        match take(session, line, now) {
            Reply::Answer { delay, .. } => Some(delay),
            Reply::Exit | Reply::TooManyMisses => None,
        }
    }

    #[test]
    fn who_keeps_guessing_waits_and_is_closed_in_the_end() {
        let now = Instant::now();
        let mut session = Session::new(None, now);
        assert_eq!(delay_of(&mut session, b"nobody", now), Some(Duration::ZERO));
        for _ in 1..MISSES_MAX {
            assert_eq!(delay_of(&mut session, b"nobody", now), Some(MISS_DELAY));
        }
        assert_eq!(take(&mut session, b"nobody", now), Reply::TooManyMisses);
    }

    #[test]
    fn who_errs_now_and_then_never_waits() {
        let mut now = Instant::now();
        let mut session = Session::new(None, now);
        for _ in 0..3 * MISSES_MAX {
            assert_eq!(delay_of(&mut session, b"nobody", now), Some(Duration::ZERO));
            now += MISS_FORGOTTEN_AFTER;
        }
    }

    #[test]
    fn neither_found_names_nor_empty_lines_are_misses() {
        let now = Instant::now();
        let mut session = Session::new(None, now);
        for _ in 0..2 * MISSES_MAX {
            assert_eq!(delay_of(&mut session, b"alice", now), Some(Duration::ZERO));
            assert_eq!(delay_of(&mut session, b"", now), Some(Duration::ZERO));
        }
        assert_eq!(delay_of(&mut session, b"nobody", now), Some(Duration::ZERO));
    }

    #[test]
    fn text_that_is_no_name_is_answered_like_an_unknown_one() {
        let now = Instant::now();
        let unknown = take(&mut Session::new(None, now), b"nobody", now);
        assert_eq!(unknown, at_once(Outcome::Unknown));
        for line in [&b"a b"[..], b"\xff\xfe", b"@", b"al:ice"] {
            assert_eq!(take(&mut Session::new(None, now), line, now), unknown);
        }
    }
    #[test]
    fn a_block_that_guesses_waits_on_new_connections_too_but_never_for_known_names() {
        let rate = MissRate { burst: 10, per_second: 1 };
        let limits = MissLimits { address: rate, network: rate, spares_loopback: true };
        let (misses, now) = (Misses::new(limits), Instant::now());
        let connect = || {
            let accounts = misses.accounts("192.0.2.1".parse().unwrap(), now);
            Session::new(accounts, now)
        };
        for _ in 0..=10 {
            assert_eq!(delay_of(&mut connect(), b"nobody", now), Some(Duration::ZERO));
        }
        let (one, two) =
            (delay_of(&mut connect(), b"nobody", now), delay_of(&mut connect(), b"nobody", now));
        assert!(one > Some(Duration::ZERO) && one < two && two < Some(MISS_DELAY));
        (0..100).for_each(|_| assert!(delay_of(&mut connect(), b"nobody", now).is_some()));
        assert_eq!(delay_of(&mut connect(), b"nobody", now), Some(MISS_DELAY));
        assert_eq!(delay_of(&mut connect(), b"alice", now), Some(Duration::ZERO));
    }
}
