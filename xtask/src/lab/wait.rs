//! Waiting for what other programs do: never without an end, and not in silence.

use std::path::Path;
use std::time::{Duration, Instant};

use super::error::Error;

/// How often is looked.
const PERIOD: Duration = Duration::from_millis(50);

/// How often somebody who waits hears of it.
const NEWS: Duration = Duration::from_secs(5);

/// Says what is waited for, looks until there is something, and says now and then that it goes on.
///
/// # Errors
/// [`Error::Late`], or whatever looking fails with.
pub fn until<T>(
    what: &str,
    seconds: u64,
    logs: &Path,
    look: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    eprintln!("xtask: lab: {what}");
    poll(what, seconds, logs, true, look)
}

/// The same without a word, for what takes no time to speak of.
///
/// # Errors
/// [`Error::Late`], or whatever looking fails with.
pub fn quietly<T>(
    seconds: u64,
    what: &str,
    look: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    poll(what, seconds, Path::new(super::state::ROOT), false, look)
}

fn poll<T>(
    what: &str,
    seconds: u64,
    logs: &Path,
    is_loud: bool,
    mut look: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let start = Instant::now();
    let mut told = start;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() >= Duration::from_secs(seconds) {
            return Err(Error::Late { what: what.into(), seconds, logs: logs.into() });
        }
        if is_loud && told.elapsed() >= NEWS {
            told = Instant::now();
            eprintln!("xtask: lab: {what}: {} s of at most {seconds} s", start.elapsed().as_secs());
        }
        std::thread::sleep(PERIOD);
    }
}
