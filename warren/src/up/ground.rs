//! What stands before any port is opened: keys, certificates, volumes.

use std::path::Path;
use std::sync::Arc;

use storage::{Keyring, MasterKey, RealDisk, VolumeSet, Volumes};

use crate::args::UpArgs;
use crate::data_dir::DataDir;
use crate::failure::{Exit, Failure};
use crate::files::token_or_new;
use crate::registrar::store as registrar_store;
use crate::tls::Tls;

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
        let tls = Tls::prepare(&args.tls, &args.hostname, args.listen, &dir.authority())?;
        let own = volumes(&dir.registrar(), &dir.registrar_watermark(), &keyring)?;
        Ok(Self {
            registrar_store: registrar_store::open(&args.store, &own, &tls.client)?,
            tls,
            volumes: volumes(&dir.volumes(), &dir.watermarks(), &keyring)?,
            waiting: Arc::new(waiting(&dir.waiting())?),
            activation_key,
            admin_token: token_or_new(&dir.admin_token())?,
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
