//! Taking over an existing directory: what it knows, in whatever form it is, becomes an atlas.

mod crc64;
mod lines;
mod lzf;
mod rdb;
mod survey;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Cursor, Read};

use self::lines::Form;
pub use self::rdb::RdbError;
pub use self::survey::{BadRows, Survey, SurveyError, Unit};

/// In which form a directory's contents come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A name, a tab and `host:port` a line.
    Tsv,
    /// The `atServers` file of a split-horizon directory: blanks in place of the tab.
    AtServers,
    /// A dump of the Redis of a directory: keys are names, values are `host:port`.
    Rdb,
}

/// Why nothing of it is taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The system refuses.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It is a dump, or should be one, and cannot be read.
    #[error(transparent)]
    Rdb(#[from] RdbError),
}

/// Reads it to its end; without a format, the one that its beginning looks like.
///
/// # Errors
/// [`ImportError`].
pub fn read(mut source: impl BufRead, format: Option<Format>) -> Result<Survey, ImportError> {
    let mut head = Vec::new();
    source.by_ref().take(rdb::MAGIC.len() as u64).read_to_end(&mut head)?;
    let is_dump = head == rdb::MAGIC;
    let source = Cursor::new(head).chain(source);
    match format {
        Some(Format::Rdb) => read_dump(source),
        None if is_dump => read_dump(source),
        None => read_lines(source, None),
        Some(Format::Tsv) => read_lines(source, Some(Form::Tsv)),
        Some(Format::AtServers) => read_lines(source, Some(Form::AtServers)),
    }
}

fn read_dump(source: impl BufRead) -> Result<Survey, ImportError> {
    let mut survey = Survey::new(Unit::Key);
    rdb::read(source, &mut survey)?;
    Ok(survey)
}

fn read_lines(source: impl BufRead, form: Option<Form>) -> Result<Survey, ImportError> {
    let mut survey = Survey::new(Unit::Line);
    lines::read(source, form, &mut survey)?;
    Ok(survey)
}
