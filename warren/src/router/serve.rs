//! `warren router serve`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use net::clock::SystemClock;
use net::drain::Drain;
use net::gate::AcceptLimits;
use net::https::serve_http;
use net::preface::LinkKey;
use swarm_router::{
    CONNECTIONS_MAX, Follower, Forwarder, HttpsRoutes, NamesListener, PEEKS_MAX, Router,
};
use tokio::net::TcpListener;

use super::args::RouterArgs;
use super::health::monitored;
use crate::failure::{Exit, Failure};
use crate::files::read_bounded;
use crate::signals::EndSignals;
use crate::{descriptors, output};
use crate::{monitoring, names};

/// How long connections get to come to their end.
const DRAIN_DEADLINE: Duration = Duration::from_secs(8);

/// Every port there is, and of each connection the second socket; the first ones are counted in.
const DESCRIPTORS: usize = 65_536 + CONNECTIONS_MAX + PEEKS_MAX;

/// Bytes of a file with a key.
const KEY_FILE_BYTES_MAX: u64 = 4_096;

/// Those who ask for metrics and health.
const WATCHERS: AcceptLimits = AcceptLimits {
    connections_max: 64,
    handshakes_max: 1,
    per_address_max: 64,
    handshake_deadline: Duration::from_secs(1),
};

/// Carries connections until a signal ends it.
pub fn run(args: &RouterArgs) -> Result<(), Failure> {
    crate::up::start_logs(args.fleet.log_format)?;
    descriptors::raise_limit(DESCRIPTORS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("warren")
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(live(args));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn live(args: &RouterArgs) -> Result<(), Failure> {
    let mut end = EndSignals::listen()?;
    let (registrar, key) = (args.fleet.upstream()?, link_key(&args.link_key_file)?);
    let watchers = listen(args).await?;

    let drain = Drain::new();
    let forwarder = Forwarder::new(key, Arc::new(SystemClock), drain.clone());
    let router = Router::start(args.listen, Arc::new(forwarder.clone()))
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start threads: {error}")))?;
    let router = Arc::new(router);
    let names = args.names.map(|at| names::listen(at, &router, Arc::new(forwarder.clone())));
    let names = names.transpose()?;
    let follower = Follower::new(Arc::clone(&router), &forwarder);
    let monitored = monitored(&router, names.as_ref(), &forwarder, &follower);
    announce(args, names.as_deref(), &watchers)?;
    drain.spawn(serve_http(
        watchers,
        None,
        monitoring::routes(monitored.clone()),
        WATCHERS,
        drain.clone(),
    ));

    let following =
        tokio::spawn(follower.follow(Arc::new(HttpsRoutes::new(&registrar)), drain.clone()));
    let outcome = tokio::select! {
        () = end.first() => Ok(()),
        _ = following => Err(Failure::new(Exit::Failed, "following the registrar has ended")),
    };
    tracing::info!("draining; a second signal ends it at once");
    monitored.end();
    let ending = async {
        // Its thread may be in the middle of a turn.
        let stopped = tokio::task::spawn_blocking(move || {
            names.iter().for_each(|names| names.stop());
            router.stop();
        });
        let _ = stopped.await;
        drain.start();
        drain.finished(DRAIN_DEADLINE).await
    };
    tokio::select! {
        is_done = ending => if !is_done {
            tracing::info!("connections are cut that did not come to their end");
        },
        () = end.first() => tracing::warn!("ended before everything was drained"),
    }
    outcome
}

async fn listen(args: &RouterArgs) -> Result<TcpListener, Failure> {
    let address = args.health();
    TcpListener::bind(address).await.map_err(|error| {
        Failure::new(Exit::Conflict, format!("cannot listen on {address}: {error}"))
            .fix("pass --health-port with a port that is free")
    })
}

fn announce(
    args: &RouterArgs,
    names: Option<&NamesListener>,
    watchers: &TcpListener,
) -> Result<(), Failure> {
    let health = watchers.local_addr().map_err(|e| Failure::from_error(Exit::Failed, &e))?;
    output::line(format_args!("routes      from {}", args.fleet.registrar.join(", ")))?;
    output::line(format_args!("listening   {} on every identity's port", args.listen))?;
    if let Some(names) = names {
        output::line(format_args!("names       on {}", names.address()))?;
    }
    output::line(format_args!("metrics     http://{health}/metrics"))
}

/// Reads the key that cells check the prefaces of routers with.
pub fn link_key(file: &Path) -> Result<LinkKey, Failure> {
    let text = read_bounded(file, KEY_FILE_BYTES_MAX).map_err(|error| {
        let what = format!("cannot read the link key {}: {error}", file.display());
        Failure::new(Exit::Refused, what).fix("pass --link-key-file with a file to read")
    })?;
    LinkKey::parse(text.lines().next().unwrap_or_default())
        .map_err(|error| Failure::from_error(Exit::Usage, &error).at(file.display()))
}
