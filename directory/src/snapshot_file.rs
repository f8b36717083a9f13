//! The directory's own file: what it starts from when nobody else is up.
//!
//! Text, a line each: the format with its version; feed, number and time; every entry; and the
//! BLAKE3 of all bytes before. It is written beside and renamed, so a crash leaves the old one.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use protocol::control::feed::{Entry, Snapshot};
use protocol::{FeedId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const FORMAT: &str = "warren directory snapshot 1";
const SEAL: &str = "blake3 ";
/// Longest line: an entry has a name, a host name and three numbers.
const LINE_BYTES_MAX: u64 = 4096;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFileError {
    /// The system refuses.
    #[error("the snapshot file cannot be read or written")]
    Io(#[from] io::Error),
    /// The first line is not ours.
    #[error("the snapshot file has another format or version")]
    Format,
    /// A line is not what it should be.
    #[error("line {0} of the snapshot file is damaged")]
    Line(u64),
    /// The file ends early, goes on after its end, or its checksum is wrong.
    #[error("the snapshot file is cut short or damaged")]
    Seal,
}

#[derive(Serialize, Deserialize)]
struct Head {
    feed: FeedId,
    number: u64,
    confirmed: Timestamp,
    entries: u64,
}

/// Writes the file. `confirmed` is when the registrar last confirmed this knowledge.
pub(crate) fn save(
    file: &Path,
    snapshot: &Snapshot,
    confirmed: Timestamp,
) -> Result<(), SnapshotFileError> {
    let draft = file.with_extension("new");
    let mut target =
        Sealing { target: BufWriter::new(File::create(&draft)?), hash: blake3::Hasher::new() };
    let head = Head {
        feed: snapshot.feed,
        number: snapshot.number,
        confirmed,
        entries: snapshot.entries.len() as u64,
    };
    writeln!(target, "{FORMAT}")?;
    write_line(&mut target, &head)?;
    snapshot.entries.iter().try_for_each(|entry| write_line(&mut target, entry))?;
    let Sealing { mut target, hash } = target;
    writeln!(target, "{SEAL}{}", hash.finalize().to_hex())?;
    target.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&draft, file)?;
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(File::open(folder)?.sync_all()?)
}

/// Reads the file; none if there is none.
pub(crate) fn load(file: &Path) -> Result<Option<(Snapshot, Timestamp)>, SnapshotFileError> {
    let source = match File::open(file) {
        Ok(source) => source,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    read(BufReader::new(source)).map(Some)
}

fn read(source: impl BufRead) -> Result<(Snapshot, Timestamp), SnapshotFileError> {
    let mut lines = Lines { source, hash: blake3::Hasher::new(), count: 0 };
    if lines.next()? != FORMAT.as_bytes() {
        return Err(SnapshotFileError::Format);
    }
    let head: Head = lines.parse()?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..head.entries {
        entries.push(lines.parse()?);
    }
    lines.check_seal()?;
    Ok((Snapshot { feed: head.feed, number: head.number, entries }, head.confirmed))
}

fn write_line(target: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *target, value)?;
    target.write_all(b"\n")
}

/// Hashes what passes.
struct Sealing<W> {
    target: W,
    hash: blake3::Hasher,
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.target.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}

struct Lines<R> {
    source: R,
    hash: blake3::Hasher,
    count: u64,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its end.
    fn next(&mut self) -> Result<Vec<u8>, SnapshotFileError> {
        let mut line = self.read()?;
        self.hash.update(&line);
        self.count += 1;
        match line.pop() {
            Some(b'\n') => Ok(line),
            Some(_) => Err(SnapshotFileError::Line(self.count)),
            None => Err(SnapshotFileError::Seal),
        }
    }

    fn parse<T: DeserializeOwned>(&mut self) -> Result<T, SnapshotFileError> {
        let line = self.next()?;
        serde_json::from_slice(&line).map_err(|_| SnapshotFileError::Line(self.count))
    }

    /// The last line must be the seal of all before, and the last.
    fn check_seal(mut self) -> Result<(), SnapshotFileError> {
        let expected = format!("{SEAL}{}\n", self.hash.finalize().to_hex());
        match self.read()? == expected.as_bytes() && self.read()?.is_empty() {
            true => Ok(()),
            false => Err(SnapshotFileError::Seal),
        }
    }

    fn read(&mut self) -> Result<Vec<u8>, SnapshotFileError> {
        let mut line = Vec::new();
        self.source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use protocol::{Address, AtSign, Epoch};

    fn snapshot() -> Snapshot {
        let entry = |name: &str, at: &str| Entry {
            identity: AtSign::parse(name).unwrap(),
            address: Address::parse(at).unwrap(),
            epoch: Epoch::FIRST,
        };
        Snapshot {
            feed: FeedId::from_bytes([7; 16]),
            number: 12,
            entries: vec![entry("alice", "localhost:25000"), entry("bob🛠", "other.example:1")],
        }
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("directory.snapshot");
        assert!(load(&file).unwrap().is_none());
        save(&file, &snapshot(), Timestamp(5)).unwrap();
        save(&file, &snapshot(), Timestamp(6)).unwrap();
        assert_eq!(load(&file).unwrap(), Some((snapshot(), Timestamp(6))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("directory.snapshot");
        save(&file, &snapshot(), Timestamp(5)).unwrap();
        let good = fs::read(&file).unwrap();
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert!(read(&bad[..]).is_err(), "byte {at} bit {bit}");
            }
            assert!(read(&good[..at]).is_err(), "cut at {at}");
        }
        let longer = [&good[..], b"\n"].concat();
        assert!(matches!(read(&longer[..]), Err(SnapshotFileError::Seal)), "longer than it says");
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("directory.snapshot");
        fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
        assert!(matches!(load(&file), Err(SnapshotFileError::Line(1))));
    }
}
