//! Where the registrar keeps its records: in the data directory, or in a PostgreSQL.

use std::path::Path;
use std::sync::Arc;

use net::postgres::PostgresPlace;
use net::tls::{ClientTls, TlsError, TrustRoots};
use protocol::{AtSign, Epoch, VolumeId};
use registrar::{PostgresTarget, Store, StoreOpenError};
use storage::{Keyring, OpenError, RealDisk, Volumes, Why};

use crate::args::StoreArgs;
use crate::failure::{Exit, Failure};
use crate::files::read_password;

/// The registrar's own store is a volume like any other, under a fixed id.
const VOLUME: [u8; 16] = *b"warren registrar";

/// How often a start tries to be the newest.
const TAKE_OVER_TRIES: usize = 64;

/// Opens what the command line names. A data directory whose registrar had its names there does not
/// go on with others: they would all be unknown. `own` is how servers check certificates.
pub fn open(args: &StoreArgs, volumes: &Volumes, own: &ClientTls) -> Result<Store, Failure> {
    let Some(target) = target(args, own)? else { return embedded(volumes) };
    if volumes.exists(VolumeId::from_bytes(VOLUME)) {
        return Err(names_are_here());
    }
    postgres(target)
}

/// The same for a registrar that may have run on another machine: whoever has the store open is
/// shut out. `folder` may be seen by several machines, `scratch` is seen by this one alone.
pub fn take_over(
    args: &StoreArgs,
    folder: &Path,
    scratch: &Path,
    keyring: &Keyring,
    own: &ClientTls,
) -> Result<Store, Failure> {
    let target = target(args, own)?;
    let watermark = scratch.join(format!("warren-registrar-{}.watermark", random()?));
    let volumes = Volumes::open(Arc::new(RealDisk), folder, &watermark, keyring);
    // It is this process' alone, and gone with it: the next one takes the store over again.
    let _ = std::fs::remove_file(&watermark);
    let volumes = volumes.map_err(|e| failed(&e))?;
    let name = AtSign::parse("registrar").map_err(|e| failed(&e))?;
    match target {
        None => embedded_anew(&volumes, &name),
        Some(target) => match volumes.highest_epoch(VolumeId::from_bytes(VOLUME), &name) {
            Ok(None) => postgres(target),
            Ok(Some(_)) => Err(names_are_here()),
            Err(error) => Err(failed(&error)),
        },
    }
}

fn names_are_here() -> Failure {
    let what = "the registrar of this data directory keeps its names in it";
    Failure::new(Exit::Conflict, what)
        .fix("leave --registrar-store out, or pass --data-dir with a new directory")
}

fn postgres(target: PostgresTarget) -> Result<Store, Failure> {
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
    let name = AtSign::parse("registrar").map_err(|e| failed(&e))?;
    let id = VolumeId::from_bytes(VOLUME);
    let opened = if volumes.exists(id) {
        volumes.open_store(id, &name, Epoch::FIRST)
    } else {
        volumes.create(id, &name, Epoch::FIRST)
    };
    opened.map(Store::from).map_err(|e| failed(&e))
}

/// In an epoch above all that anybody began; whoever else takes it over at the same time may have to
/// go higher.
fn embedded_anew(volumes: &Volumes, name: &AtSign) -> Result<Store, Failure> {
    let id = VolumeId::from_bytes(VOLUME);
    for _ in 0..TAKE_OVER_TRIES {
        let highest = volumes.highest_epoch(id, name).map_err(|e| failed(&e))?;
        let Some(epoch) = highest.map_or(Some(Epoch::FIRST), Epoch::next) else { break };
        let opened = match highest {
            None => volumes.create(id, name, epoch),
            Some(_) => match volumes.take_over(id, name, epoch) {
                // The first one died before it had made anything.
                Err(error) if is_empty(&error) => volumes.create(id, name, epoch),
                opened => opened,
            },
        };
        match opened {
            Ok(store) => return Ok(store.into()),
            Err(OpenError::EpochTaken { .. } | OpenError::StaleEpoch { .. }) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    let what = "others take the registrar's store over all the time";
    Err(Failure::new(Exit::Conflict, what).fix("see to it that one registrar runs"))
}

fn is_empty(error: &OpenError) -> bool {
    match error {
        OpenError::NotFound(_) => true,
        OpenError::Damaged(damage) => damage.why == Why::NoBeginning,
        _ => false,
    }
}

fn random() -> Result<String, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(Exit::Failed, format!("no random numbers: {error}")))?;
    Ok(hex::encode(bytes))
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Exit::Failed, error)
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
