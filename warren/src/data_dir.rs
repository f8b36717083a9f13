//! What lies where under the data directory, and the lock that keeps a second process out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::failure::{Exit, Failure};

/// A data directory. All paths under it are named here and nowhere else.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The one that was asked for, or the user's default.
    pub fn resolve(asked: Option<&Path>) -> Result<Self, Failure> {
        if let Some(dir) = asked {
            return Ok(Self(dir.to_owned()));
        }
        let home = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        home("XDG_DATA_HOME")
            .map(|dir| PathBuf::from(dir).join("warren"))
            .or_else(|| home("HOME").map(|dir| PathBuf::from(dir).join(".local/share/warren")))
            .map(Self)
            .ok_or_else(|| {
                Failure::new(Exit::Usage, "there is no home directory to keep data in")
                    .fix("pass --data-dir DIR")
            })
    }

    /// Makes the directory, readable by its owner only.
    pub fn create(&self) -> Result<(), Failure> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot make {}: {error}", self.0.display()))
                .fix("pass --data-dir with a directory that you may write to")
        })
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn endpoints(&self) -> PathBuf {
        self.0.join("endpoints.json")
    }

    pub fn admin_token(&self) -> PathBuf {
        self.0.join("admin.token")
    }

    pub fn authority(&self) -> PathBuf {
        self.0.join("tls")
    }

    pub fn master_key(&self) -> PathBuf {
        self.0.join("keys/master.key")
    }

    pub fn volumes(&self) -> PathBuf {
        self.0.join("volumes")
    }

    pub fn watermarks(&self) -> PathBuf {
        self.0.join("watermarks")
    }

    pub fn waiting(&self) -> PathBuf {
        self.0.join("waiting")
    }

    pub fn registrar(&self) -> PathBuf {
        self.0.join("registrar")
    }

    pub fn registrar_watermark(&self) -> PathBuf {
        self.0.join("registrar.watermark")
    }

    pub fn directory_snapshot(&self) -> PathBuf {
        self.0.join("directory.snapshot")
    }
}

/// Held for as long as a process works on a data directory. The kernel lets go of it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Takes the directory, or says who holds it.
    pub fn take(dir: &DataDir) -> Result<Self, Failure> {
        let path = dir.path().join("lock");
        let failed = |error: io::Error| {
            Failure::new(Exit::Failed, format!("cannot lock {}: {error}", path.display()))
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            let _ = (&mut file).take(200).read_to_string(&mut holder);
            let holder: String = holder.chars().filter(|c| !c.is_control()).collect();
            let what = format!("{} is in use by {holder}", dir.path().display());
            return Err(Failure::new(Exit::Conflict, what)
                .fix("stop that process, or pass another --data-dir"));
        }
        let holder = format!("warren, process {}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(failed)?;
        Ok(Self(file))
    }
}

/// Writes a file so that a reader sees the old content or the new, never half of it.
pub fn write_atomically(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_second_to_lock_a_directory_is_told_who_holds_it() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = DataDir::resolve(Some(scratch.path())).unwrap();
        let held = Lock::take(&dir).unwrap();
        let refusal = Lock::take(&dir).unwrap_err();
        assert_eq!(refusal.exit, Exit::Conflict);
        assert!(refusal.what().contains(&format!("process {}", std::process::id())));
        drop(held);
        Lock::take(&dir).unwrap();
    }
}
