//! The directory's own file: what it starts from when nobody else is up.
//!
//! A line with the format and its version; a line of JSON with feed, number, times and counts; each
//! segment of the atlas as its length (32 bits, little-endian), the BLAKE3 of its bytes, and the
//! bytes; what the registrar has signed, each as its length and bytes; the BLAKE3 of all that is not
//! a segment's bytes. It is written beside and renamed, so a
//! crash leaves the old one. Nothing of it is used before its checksums were.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use atlas::{Atlas, Segment};
use feed::{
    Checkpoint, Chronicle, FeedKey, Forged, SIGNED_BYTES_MAX, Signed, SignedSnapshot, SnapshotError,
};
use protocol::control::feed::Batch;
use protocol::{FeedId, Timestamp};
use serde::{Deserialize, Serialize};

const FORMAT: &str = "warren directory snapshot 3\n";
/// Longest line.
const LINE_BYTES_MAX: u64 = 1024;
/// Bytes of the seal.
const SEAL_BYTES: u64 = blake3::OUT_LEN as u64;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFileError {
    /// The system refuses.
    #[error("the snapshot file cannot be read or written")]
    Io(#[from] io::Error),
    /// There is no file.
    #[error("there is no snapshot file")]
    Missing,
    /// The first line is not ours.
    #[error("the snapshot file has another format or version")]
    Format,
    /// It is whole, and not what the key has signed.
    #[error("the snapshot file is not to be believed")]
    NotSigned(#[from] SnapshotError),
    /// A part is not what it should be.
    #[error("the snapshot file is damaged: {0}")]
    Damaged(&'static str),
}

const UNREADABLE: SnapshotFileError = SnapshotFileError::Damaged("what was signed");

/// What a file says of its atlas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The feed that it comes from.
    pub feed: FeedId,
    /// The last change that the atlas contains.
    pub number: u64,
    /// When the registrar said the first snapshot of this feed that was taken over.
    pub began: Timestamp,
    /// When the registrar last confirmed this knowledge.
    pub confirmed: Timestamp,
    /// Names in the atlas.
    pub entries: u64,
    /// Its segments.
    pub segments: u64,
    /// What the registrar has signed: the checkpoint of the atlas, then the batches since. None in a
    /// file that was made without a registrar.
    pub signed: u64,
}

/// What a file holds.
#[derive(Debug)]
pub struct Stored {
    /// What it says of itself.
    pub head: Head,
    /// All names as of change [`Head::number`].
    pub atlas: Arc<Atlas>,
    /// What the registrar has signed.
    pub signed: Vec<Signed>,
}

impl Head {
    /// The head of this atlas.
    #[must_use]
    pub fn of(
        atlas: &Atlas,
        feed: FeedId,
        number: u64,
        began: Timestamp,
        confirmed: Timestamp,
    ) -> Self {
        let (entries, segments) = (atlas.len() as u64, atlas.segments().len() as u64);
        Self { feed, number, began, confirmed, entries, segments, signed: 0 }
    }
}

impl Stored {
    /// What was told, in the registrar's own words; none in a file that was made without one. No
    /// signature is checked.
    ///
    /// # Errors
    /// [`SnapshotFileError::Damaged`] if what stands there as signed is no statement.
    pub fn chronicle(&self) -> Result<Option<Chronicle>, SnapshotFileError> {
        let Some((checkpoint, batches)) = self.signed.split_first() else { return Ok(None) };
        let base = SignedSnapshot::stored(checkpoint.clone(), Arc::clone(&self.atlas));
        let mut told = Chronicle::new(base.map_err(|_| UNREADABLE)?);
        for signed in batches {
            let batch: Batch = signed.stated().map_err(|_| UNREADABLE)?;
            told.add(signed, &batch);
        }
        Ok(Some(told))
    }

    /// What the file says in the end: its last change, and all names as of then.
    ///
    /// # Errors
    /// [`SnapshotFileError::Damaged`].
    pub fn end(&self) -> Result<(u64, Arc<Atlas>), SnapshotFileError> {
        match self.chronicle()? {
            None => Ok((self.head.number, Arc::clone(&self.atlas))),
            Some(told) => Ok((told.number(), Arc::new(told.atlas().map_err(|_| UNREADABLE)?))),
        }
    }

    /// Checks that the registrar has signed all of it.
    ///
    /// # Errors
    /// [`SnapshotError`] says what it has not.
    pub fn check(&self, key: &FeedKey) -> Result<(), SnapshotError> {
        let (checkpoint, batches) = self.signed.split_first().ok_or(Forged::Form)?;
        let said: Checkpoint = checkpoint.open(key)?;
        SignedSnapshot::matching(checkpoint.clone(), said, Arc::clone(&self.atlas))?;
        batches.iter().try_for_each(|batch| batch.open::<Batch>(key).map(drop))?;
        Ok(())
    }
}

/// Writes the file, whole or not at all.
///
/// # Errors
/// [`SnapshotFileError::Io`].
pub fn save(
    file: &Path,
    head: &Head,
    atlas: &Atlas,
    signed: &[Signed],
) -> Result<(), SnapshotFileError> {
    let draft = file.with_extension("new");
    let mut target = BufWriter::new(File::create(&draft)?);
    write(&mut target, head, atlas, signed)?;
    target.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&draft, file)?;
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(File::open(folder)?.sync_all()?)
}

/// Reads the file; none if there is none.
///
/// # Errors
/// [`SnapshotFileError`] says what is wrong with it.
pub fn load(file: &Path) -> Result<Option<Stored>, SnapshotFileError> {
    let source = match File::open(file) {
        Ok(source) => source,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    read(BufReader::with_capacity(1 << 20, source)).map(Some)
}

/// Writes, and hashes what the seal covers.
struct Sealing<W> {
    target: W,
    seal: blake3::Hasher,
}

impl<W: Write> Sealing<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.seal.update(bytes);
        self.target.write_all(bytes)
    }

    fn put_length(&mut self, of: &[u8]) -> Result<(), SnapshotFileError> {
        let length = u32::try_from(of.len())
            .map_err(|_| SnapshotFileError::Damaged("a part is too large"))?;
        Ok(self.put(&length.to_le_bytes())?)
    }
}

fn write(
    target: &mut impl Write,
    head: &Head,
    atlas: &Atlas,
    signed: &[Signed],
) -> Result<(), SnapshotFileError> {
    let head = Head { signed: signed.len() as u64, ..head.clone() };
    let mut out = Sealing { target, seal: blake3::Hasher::new() };
    out.put(FORMAT.as_bytes())?;
    let mut line = serde_json::to_vec(&head).map_err(io::Error::from)?;
    line.push(b'\n');
    out.put(&line)?;
    for segment in atlas.segments() {
        let bytes = segment.bytes();
        out.put_length(bytes)?;
        out.put(blake3::hash(bytes).as_bytes())?;
        out.target.write_all(bytes)?;
    }
    for one in signed {
        let bytes = one.to_bytes();
        out.put_length(&bytes)?;
        out.put(&bytes)?;
    }
    let seal = out.seal.finalize();
    Ok(out.target.write_all(seal.as_bytes())?)
}

/// Reads, and hashes what the seal covers.
struct Unsealing<R> {
    source: R,
    seal: blake3::Hasher,
}

impl<R: BufRead> Unsealing<R> {
    /// A line with its end.
    fn line(&mut self) -> Result<Vec<u8>, SnapshotFileError> {
        let mut line = Vec::new();
        self.source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        self.seal.update(&line);
        Ok(line)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotFileError> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes).map_err(cut)?;
        self.seal.update(&bytes);
        Ok(bytes)
    }

    fn segment(&mut self) -> Result<Segment, SnapshotFileError> {
        let length = u64::from(u32::from_le_bytes(self.array()?));
        let hash: [u8; blake3::OUT_LEN] = self.array()?;
        // Memory grows with what is really there, whatever the length says.
        let mut bytes = Vec::new();
        self.source.by_ref().take(length).read_to_end(&mut bytes)?;
        if blake3::hash(&bytes) != hash {
            return Err(SnapshotFileError::Damaged("a segment's checksum is wrong"));
        }
        bytes.shrink_to_fit();
        Segment::from_bytes(bytes).map_err(|_| SnapshotFileError::Damaged("a segment is none"))
    }

    fn signed(&mut self) -> Result<Signed, SnapshotFileError> {
        let length = u64::from(u32::from_le_bytes(self.array()?));
        let mut bytes = Vec::new();
        let length = length.min(SIGNED_BYTES_MAX as u64 + 1);
        self.source.by_ref().take(length).read_to_end(&mut bytes)?;
        self.seal.update(&bytes);
        Signed::from_bytes(&bytes).map_err(|_| SnapshotFileError::Damaged("what was signed"))
    }

    /// The seal must be right, and the last.
    fn check_seal(mut self) -> Result<(), SnapshotFileError> {
        let seal = self.seal.finalize();
        let mut rest = Vec::new();
        self.source.by_ref().take(SEAL_BYTES + 1).read_to_end(&mut rest)?;
        match rest == seal.as_bytes() {
            true => Ok(()),
            false => Err(SnapshotFileError::Damaged("its end is missing or wrong")),
        }
    }
}

fn read(source: impl BufRead) -> Result<Stored, SnapshotFileError> {
    let mut file = Unsealing { source, seal: blake3::Hasher::new() };
    if file.line()? != FORMAT.as_bytes() {
        return Err(SnapshotFileError::Format);
    }
    let line = file.line()?;
    let json = line.strip_suffix(b"\n").unwrap_or_default();
    let head: Head =
        serde_json::from_slice(json).map_err(|_| SnapshotFileError::Damaged("its head"))?;
    let mut segments = Vec::new();
    for _ in 0..head.segments {
        segments.push(Arc::new(file.segment()?));
    }
    let mut signed = Vec::new();
    for _ in 0..head.signed {
        signed.push(file.signed()?);
    }
    file.check_seal()?;
    let atlas =
        Atlas::new(segments).map_err(|_| SnapshotFileError::Damaged("its segments' order"))?;
    match u64::try_from(atlas.len()) == Ok(head.entries) {
        true => Ok(Stored { head, atlas: Arc::new(atlas), signed }),
        false => Err(SnapshotFileError::Damaged("its count of names")),
    }
}

fn cut(error: io::Error) -> SnapshotFileError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => SnapshotFileError::Damaged("it is cut short"),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use protocol::control::feed::Entry;
    use protocol::{Address, AtSign, Epoch};

    fn snapshot(number: u64) -> (Head, Arc<Atlas>) {
        let entry = |name: &str, at: &str| Entry {
            identity: AtSign::parse(name).unwrap(),
            address: Address::parse(at).unwrap(),
            epoch: Epoch::FIRST,
        };
        let entries = [entry("alice", "localhost:25000"), entry("bob🛠", "other.example:1")];
        let atlas = Arc::new(feed::pack(&entries).unwrap());
        let id = FeedId::from_bytes([7; 16]);
        (Head::of(&atlas, id, number, Timestamp(1), Timestamp(5)), atlas)
    }

    fn signed() -> Vec<Signed> {
        [b'a', b'b'].map(|byte| Signed::from_bytes(&[byte; 70]).unwrap()).to_vec()
    }

    fn rows(atlas: &Atlas) -> Vec<(Vec<u8>, Address)> {
        let mut rows = Vec::new();
        let mut cursor = atlas.cursor();
        while let Some(row) = cursor.next() {
            let row = row.unwrap();
            rows.push((row.name.to_vec(), row.place.address()));
        }
        rows
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("directory.snapshot");
        assert!(load(&file).unwrap().is_none());
        for number in [5, 6] {
            let (head, atlas) = snapshot(number);
            save(&file, &head, &atlas, &signed()).unwrap();
            let loaded = load(&file).unwrap().unwrap();
            assert_eq!(loaded.head, Head { signed: 2, ..head });
            assert_eq!((rows(&loaded.atlas), loaded.signed), (rows(&atlas), signed()));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (head, atlas) = snapshot(5);
        let mut good = Vec::new();
        write(&mut good, &head, &atlas, &signed()).unwrap();
        assert!(read(&good[..]).is_ok());
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert!(read(&bad[..]).is_err(), "byte {at} bit {bit}");
            }
            assert!(read(&good[..at]).is_err(), "cut at {at}");
        }
        let longer = [&good[..], b"\n"].concat();
        assert!(read(&longer[..]).is_err(), "longer than it says");
    }

    #[test]
    fn a_line_without_end_is_not_read_to_its_end() {
        let mut endless = BufReader::with_capacity(512, io::repeat(b'x'));
        assert!(matches!(read(&mut endless), Err(SnapshotFileError::Format)));
    }

    #[test]
    fn a_length_that_lies_reserves_nothing() {
        let (head, atlas) = snapshot(5);
        let mut bytes = Vec::new();
        write(&mut bytes, &head, &atlas, &[]).unwrap();
        let at = FORMAT.len() + serde_json::to_vec(&head).unwrap().len() + 1;
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(read(&bytes[..]), Err(SnapshotFileError::Damaged(_))));
    }
}
