//! Reading small files that somebody else may have written.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::failure::{Exit, Failure};

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
