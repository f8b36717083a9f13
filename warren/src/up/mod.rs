//! `warren up`: all roles in one process, on embedded defaults.
//!
//! The parts are wired here and meet nowhere else. They talk to one another as they will between
//! machines: the directory follows the registrar's feed, servers find each other through the
//! directory's line protocol, clients come in through the router.

mod banner;
mod feed;
mod ground;
mod parts;
mod swarm;

use std::time::Duration;

use net::telemetry::LogFormat;
use swarm_router::PEEKS_MAX;

use crate::args::{LogFormatArg, UpArgs};
use crate::data_dir::{DataDir, Lock};
use crate::descriptors;
use crate::failure::{Exit, Failure};
use crate::renewal::{self, Shown};
use crate::signals::EndSignals;
use crate::up::ground::Ground;
use crate::up::parts::Parts;

/// How long connections get to come to their end.
const DRAIN_DEADLINE: Duration = Duration::from_secs(8);

/// Threads for waiting on disks and for key generation.
const BLOCKING_THREADS_MAX: usize = 128;

/// Runs until a signal ends it.
pub fn run(args: UpArgs) -> Result<(), Failure> {
    start_logs(args.log_format)?;
    let dir = DataDir::resolve(args.data_dir.data_dir.as_deref())?;
    dir.create()?;
    let _lock = Lock::take(&dir)?;
    let is_by_name = args.name_port.is_some() || args.names.is_some();
    let for_names = if is_by_name { PEEKS_MAX } else { 0 };
    descriptors::raise_limit(args.ports.count() + for_names);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("warren")
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(live(&args, &dir));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Logs go to stderr, which is not where results go.
pub fn start_logs(format: LogFormatArg) -> Result<(), Failure> {
    let format = match format {
        LogFormatArg::Auto => LogFormat::Auto,
        LogFormatArg::Text => LogFormat::Text,
        LogFormatArg::Json => LogFormat::Json,
    };
    net::telemetry::init_logs(format).map_err(|error| Failure::from_error(Exit::Usage, &error))
}

async fn live(args: &UpArgs, dir: &DataDir) -> Result<(), Failure> {
    let mut end = EndSignals::listen()?;
    let ground = Ground::prepare(args, dir)?;
    let shown =
        Shown { server: ground.tls.server.clone(), client: Some(ground.tls.client.clone()) };
    let parts = Parts::start(args, dir, ground).await?;
    for identity in &args.identity {
        parts.ensure_registered(identity).await?;
    }
    parts.endpoints().write(dir)?;
    banner::print(args, dir, &parts)?;
    let outcome = tokio::select! {
        () = end.first() => Ok(()),
        () = renew(args, shown) => Ok(()),
        fault = parts.stopped() => Err(Failure::from_error(Exit::Conflict, &fault)),
    };
    tracing::info!("draining; a second signal ends it at once");
    tokio::select! {
        () = parts.stop(DRAIN_DEADLINE) => {}
        () = end.first() => tracing::warn!("ended before everything was drained"),
    }
    // Whoever reads the file now would find nobody.
    let _ = std::fs::remove_file(dir.endpoints());
    outcome
}

/// Watches the operator's certificate, if there is one. Does not end.
async fn renew(args: &UpArgs, shown: Shown) {
    if let (Some(cert), Some(key)) = (&args.tls.tls_cert, &args.tls.tls_key) {
        renewal::watch(cert.clone(), key.clone(), shown).await;
    }
    std::future::pending().await
}
