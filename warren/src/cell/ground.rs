//! What stands before a cell asks for its term: a start that is no good must not take the place of
//! one that is.

use std::path::Path;
use std::sync::Arc;

use net::clock::SystemClock;
use net::dial::{DialPolicy, Dialer};
use net::lookup::DirectoryClient;
use net::preface::LinkKey;
use net::tls::{ClientTls, ServerTls, TlsError, TlsMaterial, TrustRoots};
use server::{Limits, World};
use storage::{Keyring, MasterKey, RealDisk, VolumeSet, Volumes};

use crate::cell::{CellServeArgs, key_mark};
use crate::failure::{Exit, Failure};
use crate::files::{read_token, system_authorities};
use crate::renewal::Shown;

/// All that a cell stands on.
pub struct Ground {
    pub server_tls: ServerTls,
    pub client_tls: ClientTls,
    pub world: Arc<World>,
    pub volumes: Volumes,
    pub waiting: Arc<VolumeSet>,
    pub link_key: LinkKey,
}

impl Ground {
    pub fn prepare(args: &CellServeArgs) -> Result<Self, Failure> {
        let usage = |error: TlsError| Failure::from_error(Exit::Usage, &error);
        let material = TlsMaterial::load(&args.tls_cert, &args.tls_key).map_err(usage)?;
        let ca = args.tls_ca.clone().or_else(system_authorities).ok_or_else(|| {
            Failure::new(Exit::Usage, "there are no authorities to trust on this system")
                .fix("pass --tls-ca with the authority that issued --tls-cert")
        })?;
        let files = std::iter::once(&ca).chain(&args.trust).map(|file| file.as_path());
        let roots = Arc::new(TrustRoots::from_pem_files(files).map_err(usage)?);
        let client_tls = ClientTls::new(&roots, Some(&material)).map_err(usage)?;
        let keyring = keyring(&args.master_key_file)?;
        folder(&args.volumes)?;
        folder(&args.scratch)?;
        key_mark::check(&args.volumes, &keyring)?;
        let (servers, marks) = (args.volumes.join("servers"), args.scratch.join("watermarks"));
        let volumes = Volumes::open(Arc::new(RealDisk), servers, marks, &keyring)
            .map_err(|error| Failure::from_error(Exit::Failed, &error))?;
        Ok(Self {
            server_tls: ServerTls::new(&material).map_err(usage)?,
            world: world(args, &client_tls, roots)?,
            client_tls,
            volumes,
            waiting: Arc::new(waiting(args)?),
            link_key: link_key(&args.link_key_file)?,
        })
    }

    /// Who shows the certificate.
    pub fn shown(&self) -> Shown {
        Shown { server: self.server_tls.clone(), client: Some(self.client_tls.clone()) }
    }
}

/// A key that is not there is not made: the swarm's other cells would have another one.
fn keyring(file: &Path) -> Result<Keyring, Failure> {
    if !file.exists() {
        let what = format!("there is no master key in {}", file.display());
        return Err(Failure::new(Exit::Usage, what)
            .fix("pass --master-key-file with the key that all cells of the swarm have"));
    }
    let master = MasterKey::load_or_create(file);
    master.map(Keyring::new).map_err(|error| Failure::from_error(Exit::Failed, &error))
}

fn link_key(file: &Path) -> Result<LinkKey, Failure> {
    let text = read_token(file).map_err(|failure| {
        failure.fix("pass --link-key-file with the key that the swarm's routers have")
    })?;
    LinkKey::parse(&text).map_err(|error| Failure::from_error(Exit::Usage, &error))
}

fn folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot make {}: {error}", path.display()))
            .fix("see to it that it is mounted, and that this user may write there")
    })
}

fn waiting(args: &CellServeArgs) -> Result<VolumeSet, Failure> {
    let folder = args.volumes.join("cells").join(args.cell.to_string());
    VolumeSet::open(Arc::new(RealDisk), &folder).map_err(|error| {
        let what = format!("cannot read {}: {error}", folder.display());
        Failure::new(Exit::Failed, what).fix("see to it that this user may read and write there")
    })
}

/// Whom the operator names is called wherever it is; whom a stranger names, and be it by a
/// directory's answer, only where nobody is harmed.
fn world(
    args: &CellServeArgs,
    tls: &ClientTls,
    roots: Arc<TrustRoots>,
) -> Result<Arc<World>, Failure> {
    let Some((first, replicas)) = args.directory.split_first() else {
        return Err(Failure::new(Exit::Usage, "there is no directory to ask")
            .fix("pass --directory HOST:PORT"));
    };
    let own = Dialer::new(tls.clone(), DialPolicy::Any, net::limits::UPSTREAM_DIAL_DEADLINE);
    let directory = DirectoryClient::new(first.clone(), own).with_replicas(replicas.to_vec());
    let policy = DialPolicy::PublicAnd(args.dial_to.iter().cloned().collect());
    let strangers = Dialer::new(tls.clone(), policy, net::limits::DIAL_DEADLINE);
    let (clock, directory) = (Arc::new(SystemClock), Arc::new(directory));
    Ok(Arc::new(World::new(clock, directory, strangers, roots, Limits::default())))
}
