//! `cram:<digest>` (protocol notes 4.2).

use super::VerbError;

const HINT: &str = "e.g. cram:<digest of secret and challenge>";

/// Longest digest that is read, in bytes; a right one has 128.
const DIGEST_BYTES_MAX: usize = 1_024;

pub(super) fn parse(args: &str) -> Result<String, VerbError> {
    if (1..=DIGEST_BYTES_MAX).contains(&args.len()) {
        Ok(args.to_owned())
    } else {
        Err(VerbError::Syntax { hint: HINT })
    }
}
