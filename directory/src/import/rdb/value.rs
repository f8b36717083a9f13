//! Values of a dump that are no texts: passed over, since a key behind them may be of use.

use std::io::BufRead;

use super::RdbError;
use super::source::Source;

/// The kind of a value that is a text.
pub(super) const TEXT: u8 = 0;

/// Passes over a value that is no text, and says what it is.
pub(super) fn skip<R: BufRead>(kind: u8, from: &mut Source<R>) -> Result<&'static str, RdbError> {
    match kind {
        1 => texts(from, 1).map(|()| "list"),
        2 => texts(from, 1).map(|()| "set"),
        3 => old_sorted_set(from).map(|()| "sorted set"),
        4 => texts(from, 2).map(|()| "hash"),
        5 => sorted_set(from).map(|()| "sorted set"),
        7 => module(from).map(|()| "value of a module"),
        9 | 13 | 16 => from.skip_text().map(|()| "hash"),
        10 => from.skip_text().map(|()| "list"),
        11 | 20 => from.skip_text().map(|()| "set"),
        12 | 17 => from.skip_text().map(|()| "sorted set"),
        14 => texts(from, 1).map(|()| "list"),
        15 | 19 | 21 => stream(from, kind).map(|()| "stream"),
        18 => list(from).map(|()| "list"),
        24 => expiring_hash(from).map(|()| "hash"),
        25 => from.skip(8).and_then(|()| from.skip_text()).map(|()| "hash"),
        _ => Err(RdbError::Kind(kind)),
    }
}

fn times<R: BufRead>(
    count: u64,
    from: &mut Source<R>,
    mut one: impl FnMut(&mut Source<R>) -> Result<(), RdbError>,
) -> Result<(), RdbError> {
    // However large a count is: each takes a byte at least, and they are no more than the file has.
    (0..count).try_for_each(|_| one(from))
}

fn lengths<R: BufRead>(from: &mut Source<R>, count: u64) -> Result<(), RdbError> {
    times(count, from, |from| from.length().map(drop))
}

fn texts<R: BufRead>(from: &mut Source<R>, each: u64) -> Result<(), RdbError> {
    let count = from.length()?;
    times(count, from, |from| times(each, from, Source::skip_text))
}

fn old_sorted_set<R: BufRead>(from: &mut Source<R>) -> Result<(), RdbError> {
    let count = from.length()?;
    times(count, from, |from| {
        from.skip_text()?;
        match from.byte()? {
            // Not a number, and the two infinities.
            253..=255 => Ok(()),
            digits => from.skip(u64::from(digits)),
        }
    })
}

fn sorted_set<R: BufRead>(from: &mut Source<R>) -> Result<(), RdbError> {
    let count = from.length()?;
    times(count, from, |from| from.skip_text().and_then(|()| from.skip(8)))
}

fn list<R: BufRead>(from: &mut Source<R>) -> Result<(), RdbError> {
    let count = from.length()?;
    times(count, from, |from| from.length().and_then(|_| from.skip_text()))
}

fn expiring_hash<R: BufRead>(from: &mut Source<R>) -> Result<(), RdbError> {
    from.skip(8)?;
    let count = from.length()?;
    times(count, from, |from| {
        from.length()?;
        times(2, from, Source::skip_text)
    })
}

/// What a module has written: its id, then numbers and texts to a zero.
pub(super) fn module<R: BufRead>(from: &mut Source<R>) -> Result<(), RdbError> {
    from.length()?;
    module_parts(from)
}

pub(super) fn module_parts<R: BufRead>(from: &mut Source<R>) -> Result<(), RdbError> {
    loop {
        match from.length()? {
            0 => return Ok(()),
            1 | 2 => from.length().map(drop)?,
            3 => from.skip(4)?,
            4 => from.skip(8)?,
            5 => from.skip_text()?,
            _ => return Err(from.damaged("a module's value is written in an unknown way")),
        }
    }
}

fn stream<R: BufRead>(from: &mut Source<R>, kind: u8) -> Result<(), RdbError> {
    texts(from, 2)?;
    // How many there are, and the last one's id; later also the first's, the last that was deleted,
    // and how many there ever were.
    lengths(from, if kind == 15 { 3 } else { 8 })?;
    let groups = from.length()?;
    times(groups, from, |from| {
        from.skip_text()?;
        lengths(from, if kind == 15 { 2 } else { 3 })?;
        let pending = from.length()?;
        // An id, a time, and how often it was delivered.
        times(pending, from, |from| from.skip(16 + 8).and_then(|()| lengths(from, 1)))?;
        let consumers = from.length()?;
        times(consumers, from, |from| {
            from.skip_text()?;
            from.skip(if kind == 21 { 16 } else { 8 })?;
            let pending = from.length()?;
            times(pending, from, |from| from.skip(16))
        })
    })
}
