//! `warren directory key …`: the keys that snapshot files are signed with, where no registrar does it.
//!
//! A key file has 64 hexadecimal digits, and nobody but its owner may read it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use feed::SigningKey;

use crate::failure::{Exit, Failure};
use crate::files::read_bounded;
use crate::output;

/// More than the digits and a line's end take.
const FILE_BYTES_MAX: u64 = 256;

const FIX: &str = "warren directory key new --out FILE";

/// Makes a key file, and prints the public half.
pub fn make(file: &Path) -> Result<(), Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| Failure::from_error(Exit::Failed, &error))?;
    let key = signing_key(&seed)?;
    write_new(file, &format!("{}\n", hex::encode(seed))).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::new(Exit::Conflict, format!("{} is there already", file.display()))
                .fix("warren directory key show FILE prints its feed key")
        }
        _ => Failure::new(Exit::Failed, format!("cannot write {}: {error}", file.display())),
    })?;
    output::line(format_args!("{}", key.public()))
}

/// Prints the public half of a key file.
pub fn show(file: &Path) -> Result<(), Failure> {
    output::line(format_args!("{}", read(file)?.public()))
}

/// Reads a key file.
pub fn read(file: &Path) -> Result<SigningKey, Failure> {
    let cannot = |error: io::Error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Failed,
        };
        Failure::new(exit, format!("cannot read the key {}: {error}", file.display())).fix(FIX)
    };
    if fs::metadata(file).map_err(cannot)?.mode() & 0o077 != 0 {
        let what = format!("others than its owner may read the key {}", file.display());
        return Err(Failure::new(Exit::Refused, what).fix("chmod 600 FILE"));
    }
    let text = read_bounded(file, FILE_BYTES_MAX).map_err(cannot)?;
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim(), &mut seed).map_err(|_| {
        let what = format!("{} is no key: it should have 64 hexadecimal digits", file.display());
        Failure::new(Exit::Usage, what).fix(FIX)
    })?;
    signing_key(&seed)
}

fn signing_key(seed: &[u8; 32]) -> Result<SigningKey, Failure> {
    SigningKey::from_seed(seed).map_err(|error| Failure::from_error(Exit::Failed, &error))
}

fn write_new(file: &Path, text: &str) -> io::Result<()> {
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    target.write_all(text.as_bytes())?;
    target.sync_all()
}
