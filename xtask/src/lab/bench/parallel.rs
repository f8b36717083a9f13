//! Doing the same several times at once.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::lab::error::Error;

/// Does it for all numbers from 0, so many at once; the first that fails ends it.
///
/// # Errors
/// Whatever doing it fails with.
pub fn each<T: Send>(
    count: u16,
    at_once: u16,
    act: impl Fn(u16) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    let (next, failed, done) = (AtomicU16::new(0), Mutex::new(None), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return;
            }
            match act(number) {
                Ok(value) => done.lock().unwrap_or_else(PoisonError::into_inner).push(value),
                Err(error) => {
                    next.store(count, Ordering::Relaxed);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(count) {
            scope.spawn(work);
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_are_done_once_and_one_that_fails_ends_it() {
        let mut done = each(9, 4, Ok).unwrap();
        done.sort_unstable();
        assert_eq!(done, (0..9).collect::<Vec<_>>());
        let begun = AtomicU16::new(0);
        let failed = each(1_000, 1, |number| {
            begun.fetch_add(1, Ordering::Relaxed);
            if number < 3 { Ok(()) } else { Err(Error::NoNetwork) }
        });
        assert!(failed.is_err());
        assert_eq!(begun.into_inner(), 4);
    }
}
