//! `noop:<milliseconds>` (protocol notes 5.19).

use super::VerbError;
use crate::limits::NOOP_MILLIS_MAX;

const HINT: &str = "e.g. noop:0";

pub(super) fn parse(args: &str) -> Result<u64, VerbError> {
    if args.is_empty() || !args.bytes().all(|b| b.is_ascii_digit()) {
        return Err(VerbError::Syntax { hint: HINT });
    }
    // Digits that do not fit 64 bits are too long a time as well.
    match args.parse() {
        Ok(millis) if millis <= NOOP_MILLIS_MAX => Ok(millis),
        _ => Err(VerbError::Arguments(format!(
            "noop:<durationInMillis> where the duration maximum is {NOOP_MILLIS_MAX} milliseconds"
        ))),
    }
}
