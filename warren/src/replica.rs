//! `warren directory`: a replica that answers from memory, wherever it is wanted.

use std::path::absolute;
use std::sync::Arc;
use std::time::Duration;

use directory::{Directory, HttpsFeed};
use net::drain::Drain;
use net::https::HttpsClient;
use net::tls::{ClientTls, ServerTls, TlsError, TlsMaterial, TrustRoots};
use tokio::net::TcpListener;

use crate::args::DirectoryArgs;
use crate::data_dir::DataDir;
use crate::failure::{Exit, Failure};
use crate::files::read_token;
use crate::output;
use crate::signals::EndSignals;

/// How long connections get to come to their end.
const DRAIN_DEADLINE: Duration = Duration::from_secs(8);

/// Follows a registrar's feed and answers until a signal ends it. With a snapshot file from an
/// earlier run it answers at once, whether the registrar is there or not.
pub fn run(args: &DirectoryArgs) -> Result<(), Failure> {
    crate::up::start_logs(args.log_format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(live(args));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn live(args: &DirectoryArgs) -> Result<(), Failure> {
    let mut end = EndSignals::listen()?;
    let usage = |error: TlsError| Failure::from_error(Exit::Usage, &error);
    let material = TlsMaterial::load(&args.tls_cert, &args.tls_key).map_err(usage)?;
    let tls = ServerTls::new(&material).map_err(usage)?;
    let roots = TrustRoots::from_pem_file(&args.ca_file).map_err(usage)?;
    let registrar = net::https::parse_url(&args.registrar).map_err(|error| {
        Failure::from_error(Exit::Usage, &error).fix("pass --registrar https://HOST:PORT")
    })?;
    let token = read_token(&args.token_file)?;
    let client = HttpsClient::new(ClientTls::new(&roots, None).map_err(usage)?);
    let dir = DataDir::resolve(args.data_dir.data_dir.as_deref())?;
    dir.create()?;

    let listener = TcpListener::bind((args.listen, args.port)).await.map_err(|error| {
        let what = format!("cannot listen on {}:{}: {error}", args.listen, args.port);
        Failure::new(Exit::Unavailable, what).fix("pass --port with a port that is free")
    })?;
    let address = listener.local_addr().map_err(|e| Failure::from_error(Exit::Failed, &e))?;
    let file =
        absolute(dir.directory_snapshot()).map_err(|e| Failure::from_error(Exit::Failed, &e))?;
    let directory = Directory::open(file).map_err(|e| Failure::from_error(Exit::Failed, &e))?;
    let drain = Drain::new();
    let feed = Arc::new(HttpsFeed::new(&client, registrar.clone(), &token));
    drain.spawn(Arc::clone(&directory).follow(feed, drain.clone()));
    drain.spawn(Arc::clone(&directory).serve(listener, tls, drain.clone()));
    output::line(format_args!("directory   {address}   (follows https://{registrar})"))?;
    end.first().await;
    drain.start();
    tokio::select! {
        _ = drain.finished(DRAIN_DEADLINE) => {}
        () = end.first() => {}
    }
    Ok(())
}
