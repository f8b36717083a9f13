//! The master key in its file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::keyring::{KEY_BYTES, Key};

/// A key file holds 32 bytes, or 64 hexadecimal digits and perhaps a line's end.
const FILE_BYTES_MAX: u64 = 66;

/// The key that everything else hangs from. Keep it apart from the data if the disk is not trusted.
#[derive(Debug, Clone)]
pub struct MasterKey(Key);

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// Others than its owner may read or change the file.
    #[error(
        "the key file {path} is open to others (mode {mode:03o}): run `chmod 600 {path}`",
        path = path.display()
    )]
    OpenToOthers {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds something else.
    #[error(
        "the key file {path} holds no key (32 bytes, or 64 hexadecimal digits): \
         put the right file there",
        path = path.display()
    )]
    Malformed {
        /// The key file.
        path: PathBuf,
    },
    /// The file can be neither read nor made.
    #[error("the key file {path} cannot be used", path = path.display())]
    Io {
        /// The key file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl MasterKey {
    /// A key from elsewhere than a file.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Key::from_bytes(bytes))
    }

    pub(crate) fn key(&self) -> &Key {
        &self.0
    }

    /// Reads the key file; makes it, and the folders it lies in, if there is none.
    ///
    /// # Errors
    /// [`MasterKeyError`]; a file that others may read is refused, never repaired silently.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, MasterKeyError> {
        let path = path.as_ref();
        match load(path) {
            Err(MasterKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        match create(path) {
            // Somebody else was quicker: their key counts.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => created.map_err(|source| io_error(path, source))?,
        }
        load(path)
    }
}

fn io_error(path: &Path, source: io::Error) -> MasterKeyError {
    MasterKeyError::Io { path: path.to_path_buf(), source }
}

fn load(path: &Path) -> Result<MasterKey, MasterKeyError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let mode = file.metadata().map_err(|source| io_error(path, source))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(MasterKeyError::OpenToOthers { path: path.to_path_buf(), mode });
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize + 1));
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| io_error(path, source))?;
    parse(&bytes).ok_or_else(|| MasterKeyError::Malformed { path: path.to_path_buf() })
}

fn parse(bytes: &[u8]) -> Option<MasterKey> {
    if let Ok(raw) = <[u8; KEY_BYTES]>::try_from(bytes) {
        return Some(MasterKey::from_bytes(raw));
    }
    let digits = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let digits = digits.strip_suffix(b"\r").unwrap_or(digits);
    if digits.len() != 2 * KEY_BYTES {
        return None;
    }
    let mut key = Key::from_bytes([0; KEY_BYTES]);
    for (byte, pair) in key.0.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(MasterKey(key))
}

/// Writes a new key beside its place, makes it durable, and links it there: a crash leaves either no
/// key file or a whole one, and an existing one is never replaced.
fn create(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}.new", std::process::id()));
    let draft = PathBuf::from(draft);
    let linked = write_new(&draft).and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    linked?;
    File::open(folder)?.sync_all()
}

fn write_new(path: &Path) -> io::Result<()> {
    let key = Key::random()?;
    let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 1));
    for byte in key.bytes() {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or_default());
        }
    }
    text.push('\n');
    let mut options = OpenOptions::new();
    // A draft of the same name is a leftover of a process that died.
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_master_key_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/master.key");
        let first = MasterKey::load_or_create(&path).unwrap();
        let second = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(first.key().bytes(), second.key().bytes());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_key_file_that_others_may_read_is_refused_with_the_fix() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKey::load_or_create(&path).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = MasterKey::load_or_create(&path).unwrap_err();
            assert!(
                matches!(&error, MasterKeyError::OpenToOthers { mode: found, .. } if *found == mode)
            );
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_damaged_key_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let overlong = [b'a'; 1_000];
        for content in [&b""[..], b"short", &[b'g'; 64], &[b'a'; 63], &overlong] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = MasterKey::load_or_create(&path).unwrap_err();
            assert!(matches!(error, MasterKeyError::Malformed { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn raw_and_hexadecimal_keys_are_the_same_key() {
        let raw = parse(&[0xAB; 32]).unwrap();
        for text in ["ab".repeat(32), "AB".repeat(32) + "\n", "ab".repeat(32) + "\r\n"] {
            assert_eq!(parse(text.as_bytes()).unwrap().0.bytes(), raw.0.bytes());
        }
    }
}
