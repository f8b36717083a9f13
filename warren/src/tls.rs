//! The certificate that is shown, and whom to trust.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use net::tls::{
    CertificateAuthority, ClientTls, ServerTls, SubjectName, TlsError, TlsMaterial, TrustRoots,
};
use protocol::{HostName, Hosts};

use crate::args::TlsArgs;
use crate::failure::{Exit, Failure};
use crate::files::system_authorities;

/// Certificates and whom to trust.
pub struct Tls {
    pub server: ServerTls,
    pub client: ClientTls,
    pub roots: Arc<TrustRoots>,
    pub ca_file: PathBuf,
    /// Whether the authority is ours, which clients do not know.
    pub is_own_authority: bool,
}

impl Tls {
    /// Loads the operator's certificate, or issues one with the authority in a folder of ours.
    pub fn prepare(
        args: &TlsArgs,
        hostname: &Hosts,
        listen: IpAddr,
        authority: &Path,
    ) -> Result<Self, Failure> {
        let (material, ca_file) = match (&args.tls_cert, &args.tls_key) {
            (Some(cert), Some(key)) => {
                (TlsMaterial::load(cert, key).map_err(usage)?, trusted_authorities(args)?)
            }
            _ => {
                let authority = CertificateAuthority::load_or_create(authority).map_err(usage)?;
                let subjects = subjects(hostname, &args.san, listen);
                let material = authority.issue(&subjects).map_err(usage)?;
                (material, absolute(authority.pem_file()))
            }
        };
        let files = std::iter::once(&ca_file).chain(&args.trust).map(PathBuf::as_path);
        let roots = TrustRoots::from_pem_files(files).map_err(usage)?;
        Ok(Self {
            server: ServerTls::new(&material).map_err(usage)?,
            client: ClientTls::new(&roots, Some(&material)).map_err(usage)?,
            roots: Arc::new(roots),
            ca_file,
            is_own_authority: args.tls_cert.is_none(),
        })
    }
}

fn usage(error: TlsError) -> Failure {
    Failure::from_error(Exit::Usage, &error)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn trusted_authorities(args: &TlsArgs) -> Result<PathBuf, Failure> {
    args.tls_ca.clone().or_else(system_authorities).map(|path| absolute(&path)).ok_or_else(|| {
        Failure::new(Exit::Usage, "there are no authorities to trust on this system")
            .fix("pass --tls-ca with the PEM file of the authority that issued --tls-cert")
    })
}

/// The names that clients may use, and the loopback address for those on this machine.
fn subjects(hostname: &Hosts, san: &[Hosts], listen: IpAddr) -> Vec<SubjectName> {
    // Beside a pattern its domain, where the directory and the registrar are.
    let mut names = vec![hostname.clone(), Hosts::One(hostname.own().clone())];
    names.extend(san.iter().cloned());
    names.extend(HostName::parse("localhost").map(Hosts::One));
    let mut subjects: Vec<SubjectName> = Vec::new();
    for name in names {
        let subject = SubjectName::from(name);
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    let mut addresses = vec![IpAddr::V4(Ipv4Addr::LOCALHOST)];
    if !listen.is_unspecified() {
        addresses.push(listen);
    }
    for address in addresses {
        if !subjects.contains(&SubjectName::Ip(address)) {
            subjects.push(SubjectName::Ip(address));
        }
    }
    subjects
}
