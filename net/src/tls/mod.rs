//! TLS 1.2 and 1.3 with the `ring` provider: material from files, a private CA, both ends'
//! configurations, and the proof that a client's certificate is good.

mod authority;
mod client;
mod files;
mod key_slot;
mod material;
mod roots;
mod server;
mod unproven;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use authority::{CertificateAuthority, SubjectName};
pub use client::ClientTls;
pub use material::TlsMaterial;
pub use roots::{TrustRoots, VerifiedPeer};
pub use server::ServerTls;

/// Why TLS cannot be set up. These are an operator's mistakes, so each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {file}: check that it exists and that this user may read it")]
    Read {
        /// Which.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {file}: check that the folder exists and that this user may write there")]
    Write {
        /// Which.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file has no certificate in PEM form.
    #[error(
        "{0} holds no certificate: it must be PEM text with BEGIN CERTIFICATE, the server's own first, then those of its issuers"
    )]
    NoCertificate(PathBuf),
    /// The file has no private key in PEM form.
    #[error(
        "{0} holds no private key: it must be PEM text with BEGIN PRIVATE KEY, not encrypted with a passphrase"
    )]
    NoKey(PathBuf),
    /// The text is damaged.
    #[error("{0} is not valid PEM text: save it again in the form that begins with -----BEGIN")]
    Malformed(PathBuf),
    /// A certificate in the file cannot be used.
    #[error(
        "{file} holds a certificate that cannot be used: it must be X.509 version 3, RSA or P-256"
    )]
    Unusable {
        /// Which.
        file: PathBuf,
        /// What the TLS library said.
        source: rustls::Error,
    },
    /// Key and certificate are not a pair.
    #[error(
        "the key in {key_file} cannot serve the certificate in {cert_file}: give the key that the certificate was made for"
    )]
    Mismatch {
        /// The chain.
        cert_file: PathBuf,
        /// The key.
        key_file: PathBuf,
        /// What the TLS library said.
        source: rustls::Error,
    },
    /// The CA's two files do not belong together.
    #[error(
        "ca.pem and ca.key in {0} do not belong together: restore both from one backup, or remove both to have a new CA made (clients must then be given the new ca.pem)"
    )]
    ForeignAuthority(PathBuf),
    /// One of the CA's two files is missing.
    #[error(
        "{0} is missing beside its counterpart: restore it from a backup, or remove both ca.pem and ca.key to have a new CA made (clients must then be given the new ca.pem)"
    )]
    HalfAuthority(PathBuf),
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Issue(#[source] rcgen::Error),
    /// A certificate must be made for somebody.
    #[error("a certificate needs at least one name")]
    NoSubject,
    /// The TLS library refuses its configuration.
    #[error("TLS cannot be configured")]
    Configure(#[source] rustls::Error),
}

/// Makes `ring` the process-wide provider, for code that asks for the default one. Nothing in this
/// crate depends on it. Doing it twice changes nothing.
pub fn install_provider() {
    // An error means that somebody was first; our own configurations name their provider anyway.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// The provider that every configuration here is built with.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
