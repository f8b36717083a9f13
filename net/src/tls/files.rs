//! PEM files: read within a limit, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::TlsError;
use crate::limits::PEM_BYTES_MAX;

/// Reads a PEM file.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { file: file.to_owned(), source };
    let mut text = Vec::new();
    let mut source = File::open(file).map_err(failed)?.take(PEM_BYTES_MAX + 1);
    source.read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > PEM_BYTES_MAX {
        return Err(TlsError::Malformed(file.to_owned()));
    }
    Ok(text)
}

/// Reads all certificates of a PEM file; at least one.
pub(super) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(file)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|_| TlsError::Malformed(file.to_owned()))?;
    match certificates.is_empty() {
        true => Err(TlsError::NoCertificate(file.to_owned())),
        false => Ok(certificates),
    }
}

/// Writes a file with the given mode so that after a crash it is there whole or not at all.
pub(super) fn write_atomically(file: &Path, text: &[u8], mode: u32) -> Result<(), TlsError> {
    let failed = |source| TlsError::Write { file: file.to_owned(), source };
    let draft = file.with_extension("new");
    // A draft left by a crash may carry another mode; it is never worth keeping.
    drop(fs::remove_file(&draft));
    let mut target =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft).map_err(failed)?;
    target.write_all(text).and_then(|()| target.sync_all()).map_err(failed)?;
    fs::rename(&draft, file).map_err(failed)?;
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(failed)
}
