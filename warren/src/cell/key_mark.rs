//! Whether a master key is the one that a swarm's volumes are made with.
//!
//! The folder that a swarm's cells share says so in a small file, which is made by whoever comes
//! first. A cell with another key would make volumes that nobody else can open, and take others from
//! those who can; so it does not begin.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use storage::Keyring;

use crate::failure::{Exit, Failure};
use crate::files::read_bounded;

/// Derived for this alone, so it tells nothing about any other key.
const LABEL: &str = "mark of the volumes' master key";

const MARK: &str = "master-key.mark";

/// Compares, and leaves a mark where there is none.
pub fn check(volumes: &Path, keyring: &Keyring) -> Result<(), Failure> {
    let own = hex::encode(keyring.derive(LABEL).bytes());
    let path = volumes.join(MARK);
    let failed = |error: io::Error| {
        Failure::new(Exit::Failed, format!("cannot use {}: {error}", path.display()))
            .fix("see to it that --volumes is mounted, and that this user may write there")
    };
    let found = match read_bounded(&path, 4096) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            leave(volumes, &own).and_then(|()| read_bounded(&path, 4096)).map_err(failed)?
        }
        read => read.map_err(failed)?,
    };
    if found.trim() == own {
        return Ok(());
    }
    let what = format!("the volumes in {} were made with another master key", volumes.display());
    Err(Failure::new(Exit::Refused, what)
        .fix("pass --master-key-file with the key that the swarm's other cells have"))
}

/// Others see the whole file or none; of two who come at once, the first counts.
fn leave(volumes: &Path, own: &str) -> io::Result<()> {
    let draft = volumes.join(format!("{MARK}.{}", own_name()?));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = file.write_all(format!("{own}\n").as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&draft, volumes.join(MARK)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    fs::remove_file(&draft)?;
    linked
}

fn own_name() -> io::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use storage::MasterKey;

    use super::*;

    #[test]
    fn the_first_key_counts_and_another_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = |byte| Keyring::new(MasterKey::from_bytes([byte; 32]));
        for _ in 0..2 {
            check(folder.path(), &keyring(1)).unwrap();
        }
        assert_eq!(check(folder.path(), &keyring(2)).unwrap_err().exit, Exit::Refused);
        check(folder.path(), &keyring(1)).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::write(folder.path().join(MARK), "").unwrap();
        assert_eq!(check(folder.path(), &keyring(1)).unwrap_err().exit, Exit::Refused);
    }
}
