//! Where the registrar keeps its records: in the data directory, or in a PostgreSQL.

use net::postgres::PostgresPlace;
use net::tls::{ClientTls, TlsError, TrustRoots};
use protocol::{AtSign, Epoch, VolumeId};
use registrar::{PostgresTarget, Store, StoreOpenError};
use storage::Volumes;

use crate::args::StoreArgs;
use crate::failure::{Exit, Failure};
use crate::files::read_password;

/// The registrar's own store is a volume like any other, under a fixed id.
const VOLUME: [u8; 16] = *b"warren registrar";

/// Opens what the command line names. A data directory whose registrar had its names there does not
/// go on with others: they would all be unknown. `own` is how servers check certificates.
pub fn open(args: &StoreArgs, volumes: &Volumes, own: &ClientTls) -> Result<Store, Failure> {
    let Some(target) = target(args, own)? else { return embedded(volumes) };
    if volumes.exists(VolumeId::from_bytes(VOLUME)) {
        let what = "the registrar of this data directory keeps its names in it";
        return Err(Failure::new(Exit::Conflict, what)
            .fix("leave --registrar-store out, or pass --data-dir with a new directory"));
    }
    Store::postgres(target).map_err(|error| {
        let exit = match &error {
            StoreOpenError::Held => Exit::Conflict,
            StoreOpenError::Postgres(error) if error.may_pass() => Exit::Unavailable,
            StoreOpenError::ReadOnly => Exit::Unavailable,
            _ => Exit::Failed,
        };
        Failure::from_error(exit, &error).fix("look at --registrar-store, and at PostgreSQL's log")
    })
}

fn embedded(volumes: &Volumes) -> Result<Store, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::from_error(Exit::Failed, error);
    let name = AtSign::parse("registrar").map_err(|e| failed(&e))?;
    let id = VolumeId::from_bytes(VOLUME);
    let opened = if volumes.exists(id) {
        volumes.open_store(id, &name, Epoch::FIRST)
    } else {
        volumes.create(id, &name, Epoch::FIRST)
    };
    opened.map(Store::from).map_err(|e| failed(&e))
}

fn target(args: &StoreArgs, own: &ClientTls) -> Result<Option<PostgresTarget>, Failure> {
    let Some(url) = &args.registrar_store else { return Ok(None) };
    let mut place: PostgresPlace = url.parse().map_err(|error| {
        Failure::from_error(Exit::Usage, &error)
            .fix("pass --registrar-store postgres://USER@HOST:PORT/DATABASE")
    })?;
    if let Some(file) = &args.registrar_store_password_file {
        let password = read_password(file, "--registrar-store-password-file")?;
        place = place.with_password(&password);
    }
    let usage = |error: TlsError| Failure::from_error(Exit::Usage, &error);
    let tls = match &args.registrar_store_ca_file {
        Some(file) => {
            let roots = TrustRoots::from_pem_file(file).map_err(usage)?;
            ClientTls::new(&roots, None).map_err(usage)?
        }
        None => own.clone(),
    };
    Ok(Some(PostgresTarget { place, tls: Some(tls) }))
}
