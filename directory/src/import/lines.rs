//! Texts with a name and an address a line: our own lists, and the `atServers` file of a
//! split-horizon directory.
//!
//! In a list a tab is between the two, as `snapshot dump` writes them. In an `atServers` file it is
//! any blanks, and whatever follows the address says nothing. In both a line that begins with `#` is
//! a comment.

use std::io::{self, BufRead};

use super::survey::{Reason, Survey};
use crate::limits::IMPORT_TEXT_BYTES_MAX;

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A name, a tab and an address.
    Tsv,
    /// A name, blanks and an address.
    AtServers,
}

impl Form {
    /// That of the first row, where nobody says which.
    fn of(row: &[u8]) -> Self {
        if row.contains(&b'\t') { Self::Tsv } else { Self::AtServers }
    }

    fn split(self, row: &[u8]) -> Result<(&[u8], &[u8]), Reason> {
        match self {
            Self::Tsv => {
                let at = row.iter().position(|byte| *byte == b'\t').ok_or(Reason::Tsv)?;
                let (name, address) = row.split_at(at);
                Ok((name, address.get(1..).unwrap_or_default()))
            }
            Self::AtServers => {
                let words = row.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                let mut words = words.take(2);
                words.next().zip(words.next()).ok_or(Reason::AtServers)
            }
        }
    }
}

/// Reads a text to its end.
///
/// # Errors
/// What the system says.
pub(super) fn read(
    mut source: impl BufRead,
    mut form: Option<Form>,
    survey: &mut Survey,
) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        let is_whole = match next(&mut source, &mut line)? {
            Next::End => break,
            Next::Line => true,
            Next::TooLong => false,
        };
        let row = line.trim_ascii_end();
        if row.is_empty() || row.trim_ascii_start().starts_with(b"#") {
            continue;
        }
        if !is_whole {
            survey.refuse(number, b"", Reason::LongText);
            continue;
        }
        match form.get_or_insert_with(|| Form::of(row)).split(row) {
            Ok((name, address)) => survey.take(number, name, address),
            Err(why) => survey.refuse(number, b"", why),
        }
    }
    Ok(())
}

enum Next {
    End,
    Line,
    /// Passed over; what is there is its beginning.
    TooLong,
}

/// Reads a line, without more of it than could be of use.
fn next(source: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Next> {
    line.clear();
    let (mut is_there, mut is_short) = (false, true);
    loop {
        let there = match source.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            there => there?,
        };
        if there.is_empty() {
            break;
        }
        is_there = true;
        let end = there.iter().position(|byte| *byte == b'\n');
        let part = there.get(..end.unwrap_or(there.len())).unwrap_or_default();
        let room = (IMPORT_TEXT_BYTES_MAX - line.len()).min(part.len());
        line.extend_from_slice(part.get(..room).unwrap_or_default());
        is_short &= room == part.len();
        let used = part.len() + usize::from(end.is_some());
        source.consume(used);
        if end.is_some() {
            break;
        }
    }
    Ok(match (is_there, is_short) {
        (false, _) => Next::End,
        (true, true) => Next::Line,
        (true, false) => Next::TooLong,
    })
}
