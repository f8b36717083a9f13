//! An authority of our own: it certifies the servers of our program and whoever calls them.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::SetupError;

/// Issues certificates that nobody outside this run trusts.
pub struct Authority {
    /// What is to be trusted.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub struct Leaf {
    /// The certificate.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    pem: (String, String),
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn make() -> Result<Self, SetupError> {
        Self::try_make().map_err(|error| SetupError::new("making an authority", error))
    }

    fn try_make() -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = named("Conformance CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// A certificate for these hosts, for serving and for calling.
    ///
    /// # Errors
    /// Where the library refuses.
    pub fn issue(&self, hosts: &[&str]) -> Result<Leaf, SetupError> {
        self.try_issue(hosts).map_err(|error| SetupError::new("issuing a certificate", error))
    }

    fn try_issue(&self, hosts: &[&str]) -> Result<Leaf, rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = leaf(hosts)?.signed_by(&key, &self.issuer)?;
        Ok(Leaf {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            pem: (certificate.pem(), key.serialize_pem()),
        })
    }
}

/// A certificate that nobody vouches for.
///
/// # Errors
/// Where the library refuses.
pub fn self_signed(host: &str) -> Result<Leaf, SetupError> {
    let made = || {
        let key = KeyPair::generate()?;
        let certificate = leaf(&[host])?.self_signed(&key)?;
        Ok::<_, rcgen::Error>(Leaf {
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            pem: (certificate.pem(), key.serialize_pem()),
        })
    };
    made().map_err(|error| SetupError::new("making a certificate", error))
}

impl Leaf {
    /// Writes certificate and key as PEM.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn write(&self, chain: &Path, key: &Path) -> Result<(), SetupError> {
        for (file, text) in [(chain, &self.pem.0), (key, &self.pem.1)] {
            std::fs::write(file, text)
                .map_err(|error| SetupError::new(format!("writing {}", file.display()), error))?;
        }
        Ok(())
    }
}

fn leaf(hosts: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    for host in hosts {
        params.subject_alt_names.push(match host.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*host).try_into()?),
        });
    }
    params.distinguished_name = named(hosts.first().copied().unwrap_or("nobody"));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}
