//! The private CA of an installation that has no certificates of its own.

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::{HostName, HostPattern, Hosts};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{TlsError, TlsMaterial, TrustRoots, files};

const DAY: Duration = Duration::from_secs(86_400);
/// Clocks of clients may be behind ours.
const BACKDATED: Duration = DAY;
const AUTHORITY_DAYS: u32 = 3650;
/// Below the 825 days that some platforms refuse to trust beyond.
const LEAF_DAYS: u32 = 800;

/// A P-256 certificate authority in a folder: `ca.pem` for whoever shall trust it, `ca.key` (mode
/// 0600) for itself. It issues certificates that OpenSSL's strict mode, Java and mbedTLS accept.
pub struct CertificateAuthority {
    pem_file: PathBuf,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// For whom a certificate is issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectName {
    /// A DNS name.
    Dns(HostName),
    /// All names one label below a domain.
    Pattern(HostPattern),
    /// An address.
    Ip(IpAddr),
}

impl From<HostName> for SubjectName {
    /// A host name in the form of an address is an address: clients look for it among those.
    fn from(host: HostName) -> Self {
        host.as_str().parse().map_or(Self::Dns(host), Self::Ip)
    }
}

impl From<Hosts> for SubjectName {
    fn from(hosts: Hosts) -> Self {
        match hosts {
            Hosts::One(host) => host.into(),
            Hosts::Each(pattern) => Self::Pattern(pattern),
        }
    }
}

impl CertificateAuthority {
    /// Loads the CA of this folder, or makes one if neither of its files is there. If only the
    /// certificate is gone, the key makes one that stands for the old.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what to do; a key is never replaced on its own.
    pub fn load_or_create(folder: &Path) -> Result<Self, TlsError> {
        let (pem_file, key_file) = (folder.join("ca.pem"), folder.join("ca.key"));
        let key = match (pem_file.exists(), key_file.exists()) {
            (_, true) => load_key(&key_file)?,
            (true, false) => return Err(TlsError::HalfAuthority(key_file)),
            (false, false) => create_key(folder, &key_file)?,
        };
        let params = authority_params(&key);
        if !pem_file.exists() {
            let certificate = params.self_signed(&key).map_err(TlsError::Issue)?;
            files::write_atomically(&pem_file, certificate.pem().as_bytes(), 0o644)?;
        }
        let certificate = files::read_certificates(&pem_file)?.swap_remove(0);
        Self { pem_file, certificate, issuer: Issuer::new(params, key) }.checked()
    }

    /// A leaf issued with the key must be good under the certificate that clients were given.
    fn checked(self) -> Result<Self, TlsError> {
        let probe = self.issue(&[SubjectName::Ip(IpAddr::from([127, 0, 0, 1]))])?;
        match TrustRoots::from_pem_file(&self.pem_file)?.verify_client(probe.chain()) {
            Some(_) => Ok(self),
            None => {
                let folder = self.pem_file.parent().unwrap_or(Path::new("."));
                Err(TlsError::ForeignAuthority(folder.to_owned()))
            }
        }
    }

    /// The certificate that clients must trust.
    #[must_use]
    pub fn pem_file(&self) -> &Path {
        &self.pem_file
    }

    /// Issues a certificate with a fresh key for all these names, for serving and for calling,
    /// valid for 800 days. Issue anew at each start; the old one need not be kept.
    ///
    /// # Errors
    /// [`TlsError::NoSubject`] without a name, [`TlsError::Issue`] if it cannot be made.
    pub fn issue(&self, subjects: &[SubjectName]) -> Result<TlsMaterial, TlsError> {
        let (leaf, key) = self.leaf(subjects)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        TlsMaterial::pair(chain, key).map_err(TlsError::Configure)
    }

    /// Issues one as [`issue`](Self::issue) does, into a file with the chain and one with the key
    /// (mode 0600), for programs that are given theirs.
    ///
    /// # Errors
    /// As for `issue`, and [`TlsError::Write`].
    pub fn issue_files(
        &self,
        subjects: &[SubjectName],
        cert_file: &Path,
        key_file: &Path,
    ) -> Result<(), TlsError> {
        let (leaf, key) = self.leaf(subjects)?;
        let authority = String::from_utf8_lossy(&files::read(&self.pem_file)?).into_owned();
        files::write_atomically(key_file, key.serialize_pem().as_bytes(), 0o600)?;
        files::write_atomically(cert_file, (leaf.pem() + &authority).as_bytes(), 0o644)
    }

    fn leaf(&self, subjects: &[SubjectName]) -> Result<(Certificate, KeyPair), TlsError> {
        let key = KeyPair::generate().map_err(TlsError::Issue)?;
        let leaf = leaf_params(subjects)?.signed_by(&key, &self.issuer).map_err(TlsError::Issue)?;
        Ok((leaf, key))
    }
}

fn create_key(folder: &Path, key_file: &Path) -> Result<KeyPair, TlsError> {
    fs::create_dir_all(folder)
        .map_err(|source| TlsError::Write { file: folder.to_owned(), source })?;
    let key = KeyPair::generate().map_err(TlsError::Issue)?;
    files::write_atomically(key_file, key.serialize_pem().as_bytes(), 0o600)?;
    Ok(key)
}

fn load_key(key_file: &Path) -> Result<KeyPair, TlsError> {
    let text = files::read(key_file)?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(&text)
        .map_err(|_| TlsError::NoKey(key_file.to_owned()))?;
    KeyPair::try_from(&key).map_err(|_| TlsError::NoKey(key_file.to_owned()))
}

/// Everything about the CA but its dates follows from its key, so that a restart need not read the
/// certificate to issue under it.
fn authority_params(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let id = params.key_identifier(key);
    let id: String = id.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name = named(&format!("Warren CA {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, AUTHORITY_DAYS);
    params
}

fn leaf_params(subjects: &[SubjectName]) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::default();
    for subject in subjects {
        params.subject_alt_names.push(match subject {
            SubjectName::Dns(host) => {
                SanType::DnsName(host.as_str().try_into().map_err(TlsError::Issue)?)
            }
            SubjectName::Pattern(pattern) => {
                SanType::DnsName(pattern.to_string().try_into().map_err(TlsError::Issue)?)
            }
            SubjectName::Ip(address) => SanType::IpAddress(*address),
        });
    }
    let first = match subjects.first().ok_or(TlsError::NoSubject)? {
        SubjectName::Dns(host) => host.to_string(),
        SubjectName::Pattern(pattern) => pattern.to_string(),
        SubjectName::Ip(address) => address.to_string(),
    };
    // A common name has at most 64 characters; nobody reads it where there are alternative names.
    params.distinguished_name = named(first.get(..64).unwrap_or(&first));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, LEAF_DAYS);
    Ok(params)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn valid_for(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(BACKDATED);
    let from = date_time_ymd(1970, 1, 1) + now.saturating_sub(BACKDATED);
    (params.not_before, params.not_after) = (from, from + DAY * days);
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertificateAuthority({})", self.pem_file.display())
    }
}
