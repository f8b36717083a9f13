//! What stands before any port is opened: keys, certificates, volumes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use net::tls::{CertificateAuthority, ClientTls, ServerTls, SubjectName, TlsMaterial, TrustRoots};
use protocol::HostName;
use storage::{Keyring, MasterKey, RealDisk, VolumeSet, Volumes};

use crate::args::UpArgs;
use crate::data_dir::{DataDir, write_atomically};
use crate::failure::{Exit, Failure};
use crate::files::{read_token, system_authorities};
use crate::up::registrar_store;

/// Certificates and whom to trust.
pub struct Tls {
    pub server: ServerTls,
    pub client: ClientTls,
    pub roots: Arc<TrustRoots>,
    pub ca_file: PathBuf,
}

/// All that the parts stand on.
pub struct Ground {
    pub tls: Tls,
    pub volumes: Volumes,
    pub waiting: Arc<VolumeSet>,
    pub registrar_store: registrar::Store,
    pub activation_key: storage::Key,
    pub admin_token: String,
}

impl Ground {
    /// Loads or makes everything; a second start finds what the first one made.
    pub fn prepare(args: &UpArgs, dir: &DataDir) -> Result<Self, Failure> {
        let key_file = args.master_key_file.clone().unwrap_or_else(|| dir.master_key());
        let master = MasterKey::load_or_create(&key_file).map_err(|e| failed(&e))?;
        let keyring = Keyring::new(master);
        let activation_key = keyring.derive("registrar activation");
        let tls = tls(args, dir)?;
        let own = volumes(&dir.registrar(), &dir.registrar_watermark(), &keyring)?;
        Ok(Self {
            registrar_store: registrar_store::open(&args.store, &own, &tls.client)?,
            tls,
            volumes: volumes(&dir.volumes(), &dir.watermarks(), &keyring)?,
            waiting: Arc::new(waiting(&dir.waiting())?),
            activation_key,
            admin_token: admin_token(dir)?,
        })
    }
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Exit::Failed, error)
}

fn volumes(root: &Path, watermarks: &Path, keyring: &Keyring) -> Result<Volumes, Failure> {
    Volumes::open(Arc::new(RealDisk), root, watermarks, keyring).map_err(|e| failed(&e))
}

fn waiting(folder: &Path) -> Result<VolumeSet, Failure> {
    VolumeSet::open(Arc::new(RealDisk), folder).map_err(|error| {
        let what = format!("cannot read {}: {error}", folder.display());
        Failure::new(Exit::Failed, what).fix("see to it that this user may read and write there")
    })
}

fn tls(args: &UpArgs, dir: &DataDir) -> Result<Tls, Failure> {
    let usage = |error: net::tls::TlsError| Failure::from_error(Exit::Usage, &error);
    let (material, ca_file) = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => {
            (TlsMaterial::load(cert, key).map_err(usage)?, trusted_authorities(args)?)
        }
        _ => {
            let authority =
                CertificateAuthority::load_or_create(&dir.authority()).map_err(usage)?;
            let material = authority.issue(&subjects(args)).map_err(usage)?;
            (material, absolute(authority.pem_file()))
        }
    };
    let files = std::iter::once(&ca_file).chain(&args.trust).map(PathBuf::as_path);
    let roots = TrustRoots::from_pem_files(files).map_err(usage)?;
    Ok(Tls {
        server: ServerTls::new(&material).map_err(usage)?,
        client: ClientTls::new(&roots, Some(&material)).map_err(usage)?,
        roots: Arc::new(roots),
        ca_file,
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn trusted_authorities(args: &UpArgs) -> Result<PathBuf, Failure> {
    args.tls_ca.clone().or_else(system_authorities).map(|path| absolute(&path)).ok_or_else(|| {
        Failure::new(Exit::Usage, "there are no authorities to trust on this system")
            .fix("pass --tls-ca with the PEM file of the authority that issued --tls-cert")
    })
}

/// The names that clients may use, and the loopback address for those on this machine.
fn subjects(args: &UpArgs) -> Vec<SubjectName> {
    let mut names: Vec<HostName> = vec![args.hostname.clone()];
    names.extend(args.san.iter().cloned());
    names.extend(HostName::parse("localhost"));
    let mut subjects: Vec<SubjectName> = Vec::new();
    for name in names {
        let subject = match name.as_str().parse() {
            Ok(address) => SubjectName::Ip(address),
            Err(_) => SubjectName::Dns(name),
        };
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    let mut addresses = vec![std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)];
    if !args.listen.is_unspecified() {
        addresses.push(args.listen);
    }
    for address in addresses {
        if !subjects.contains(&SubjectName::Ip(address)) {
            subjects.push(SubjectName::Ip(address));
        }
    }
    subjects
}

fn admin_token(dir: &DataDir) -> Result<String, Failure> {
    let path = dir.admin_token();
    if path.exists() {
        return read_token(&path);
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Exit::Failed, format!("no random numbers: {error}")))?;
    let token = hex::encode(bytes);
    write_atomically(&path, 0o600, format!("{token}\n").as_bytes()).map_err(|e| failed(&e))?;
    Ok(token)
}
