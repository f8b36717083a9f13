//! A dump of Redis (RDB), versions 1 to 12: keys are names, and values that are texts their addresses.
//!
//! It is read once, from its beginning to its end, and little of it is kept at a time. What is no
//! text is passed over and counted as a bad row.

mod source;
mod value;

use std::io::{self, BufRead};

use self::source::Source;
use super::survey::{Reason, Survey};

/// What a dump begins with.
pub(super) const MAGIC: &[u8; 5] = b"REDIS";
/// The newest version that is read, that of Redis 7.4 and 8.
const VERSION_MAX: u32 = 12;
/// The first version with a checksum at its end.
const VERSION_WITH_CHECKSUM: u32 = 5;

/// Why a dump cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RdbError {
    /// The system refuses.
    #[error("the dump cannot be read")]
    Io(#[from] io::Error),
    /// It does not begin like one.
    #[error("this is no dump of Redis: it does not begin with REDIS and four digits")]
    Magic,
    /// Newer than what is known here.
    #[error("the dump has version {0}; versions 1 to {VERSION_MAX} can be read")]
    Version(u32),
    /// A value of a kind whose end cannot be told.
    #[error("the dump has a value of the unknown kind {0}")]
    Kind(u8),
    /// Something is not what it should be.
    #[error("the dump is damaged at byte {at}: {what}")]
    Damaged {
        /// How many bytes were read.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A bit was flipped on the way.
    #[error("the dump's checksum is wrong")]
    Checksum,
}

/// Reads a dump to its end.
///
/// # Errors
/// [`RdbError`].
pub(super) fn read(source: impl BufRead, survey: &mut Survey) -> Result<(), RdbError> {
    let mut source = Source::new(source);
    let version = version(&mut source)?;
    let mut keys = Keys { survey, key: Vec::new(), value: Vec::new(), number: 0 };
    let mut expires = false;
    loop {
        let code = source.byte()?;
        match code {
            0xff => return source.end(version >= VERSION_WITH_CHECKSUM),
            // When the next key expires, in seconds and in milliseconds.
            0xfd | 0xfc => {
                source.skip(if code == 0xfd { 4 } else { 8 })?;
                expires = true;
            }
            _ if aside(code, &mut source)? => {}
            kind => {
                keys.next(kind, expires, &mut source)?;
                expires = false;
            }
        }
    }
}

fn version<R: BufRead>(source: &mut Source<R>) -> Result<u32, RdbError> {
    let head: [u8; 9] = source.array().map_err(|error| match error {
        RdbError::Damaged { .. } => RdbError::Magic,
        other => other,
    })?;
    let digits = head.strip_prefix(MAGIC).filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let version = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    match version.ok_or(RdbError::Magic)? {
        version @ 1..=VERSION_MAX => Ok(version),
        other => Err(RdbError::Version(other)),
    }
}

/// Passes over what is no key; false for anything else.
fn aside<R: BufRead>(code: u8, source: &mut Source<R>) -> Result<bool, RdbError> {
    match code {
        // Slot, module, function, how long unused, how often used, field, sizes, number of a database.
        0xf4 => (0..3).try_for_each(|_| source.length().map(drop))?,
        0xf7 => {
            (0..3).try_for_each(|_| source.length().map(drop))?;
            value::module_parts(source)?;
        }
        0xf5 => source.skip_text()?,
        0xf8 | 0xfe => source.length().map(drop)?,
        0xf9 => source.skip(1)?,
        0xfa => (0..2).try_for_each(|_| source.skip_text())?,
        0xfb => (0..2).try_for_each(|_| source.length().map(drop))?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The keys that were read, one at a time.
struct Keys<'a> {
    survey: &'a mut Survey,
    key: Vec<u8>,
    value: Vec<u8>,
    number: u64,
}

impl Keys<'_> {
    fn next<R: BufRead>(
        &mut self,
        kind: u8,
        expires: bool,
        source: &mut Source<R>,
    ) -> Result<(), RdbError> {
        self.number += 1;
        let mut is_short = source.text(&mut self.key)?;
        let other = match kind {
            value::TEXT => {
                is_short &= source.text(&mut self.value)?;
                None
            }
            other => Some(value::skip(other, source)?),
        };
        let bad = match other {
            Some(kind) => Some(Reason::Kind(kind)),
            None if expires => Some(Reason::Expires),
            None if !is_short => Some(Reason::LongText),
            None => None,
        };
        match bad {
            Some(why) => self.survey.refuse(self.number, &self.key, why),
            None => self.survey.take(self.number, &self.key, &self.value),
        }
        Ok(())
    }
}
