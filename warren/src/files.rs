//! Reading small files that somebody else may have written.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::data_dir::write_atomically;
use crate::failure::{Exit, Failure};

/// Where Debian, Fedora and Alpine keep the authorities that the system trusts.
const SYSTEM_AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The file with the authorities that the system trusts, if there is one.
pub fn system_authorities() -> Option<PathBuf> {
    SYSTEM_AUTHORITIES.iter().map(PathBuf::from).find(|path| path.exists())
}

/// Reads a text file of at most `bytes_max` bytes.
pub fn read_bounded(path: &Path, bytes_max: u64) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(bytes_max + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        let what = format!("it has more than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    Ok(text)
}

/// Reads a token: the first line of a small file.
pub fn read_token(path: &Path) -> Result<String, Failure> {
    let text = read_bounded(path, 4096).map_err(|error| {
        Failure::new(Exit::Refused, format!("cannot read the token {}: {error}", path.display()))
            .fix("run as the user that started warren up, or pass --token-file")
    })?;
    let token = text.lines().next().unwrap_or_default().trim().to_owned();
    if token.is_empty() || !token.is_ascii() {
        let what = format!("{} holds no token", path.display());
        return Err(Failure::new(Exit::Refused, what).fix("pass --token-file with the admin token"));
    }
    Ok(token)
}

/// Reads a password: the first line of a small file, which `option` names.
pub fn read_password(path: &Path, option: &str) -> Result<String, Failure> {
    let text = read_bounded(path, 4096).map_err(|error| {
        let what = format!("cannot read the password {}: {error}", path.display());
        Failure::new(Exit::Refused, what).fix(format!("pass {option} with a file to read"))
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Reads a token, or makes one where there is none.
pub fn token_or_new(path: &Path) -> Result<String, Failure> {
    if path.exists() {
        return read_token(path);
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Exit::Failed, format!("no random numbers: {error}")))?;
    let token = hex::encode(bytes);
    write_atomically(path, 0o600, format!("{token}\n").as_bytes())
        .map_err(|error| Failure::from_error(Exit::Failed, &error))?;
    Ok(token)
}
