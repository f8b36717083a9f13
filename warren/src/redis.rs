//! A Redis that carries the feed, as the command line names it.

use std::path::Path;

use feed::CarrierKeys;
use net::redis::RedisPlace;
use net::tls::{ClientTls, TlsError, TrustRoots};
use registrar::RedisTarget;

use crate::args::RedisArgs;
use crate::failure::{Exit, Failure};
use crate::files::{read_password, system_authorities};

/// Where it is, if one is named.
pub fn place(args: &RedisArgs) -> Result<Option<RedisPlace>, Failure> {
    let Some(url) = &args.redis else { return Ok(None) };
    let place: RedisPlace = url.parse().map_err(|error| {
        Failure::from_error(Exit::Usage, &error).fix("pass --redis rediss://HOST:PORT")
    })?;
    let Some(file) = &args.redis_password_file else { return Ok(Some(place)) };
    Ok(Some(place.with_password(&read_password(file, "--redis-password-file")?)))
}

/// Under which keys.
pub fn keys(args: &RedisArgs) -> CarrierKeys {
    CarrierKeys::new(&args.redis_prefix)
}

/// What its certificate is checked with: the file that was named for it, or this one, or what the
/// system trusts.
pub fn tls(args: &RedisArgs, otherwise: Option<&Path>) -> Result<ClientTls, Failure> {
    let named = args.redis_ca_file.as_deref().or(otherwise).map(Path::to_path_buf);
    let file = named.or_else(system_authorities).ok_or_else(|| {
        Failure::new(Exit::Usage, "there are no authorities to trust on this system")
            .fix("pass --redis-ca-file with the authority of Redis' certificate")
    })?;
    let usage = |error: TlsError| Failure::from_error(Exit::Usage, &error);
    let roots = TrustRoots::from_pem_file(&file).map_err(usage)?;
    ClientTls::new(&roots, None).map_err(usage)
}

/// Where the registrar puts its feed, if anywhere; without a file of its own the certificate is
/// checked with `own`.
pub fn target(args: &RedisArgs, own: ClientTls) -> Result<Option<RedisTarget>, Failure> {
    let Some(place) = place(args)? else { return Ok(None) };
    let tls = match &args.redis_ca_file {
        Some(_) => tls(args, None)?,
        None => own,
    };
    Ok(Some(RedisTarget { place, tls: Some(tls), keys: keys(args) }))
}
