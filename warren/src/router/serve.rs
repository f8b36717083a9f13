//! `warren router serve`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use net::clock::SystemClock;
use net::drain::Drain;
use net::gate::AcceptLimits;
use net::handover::Doors;
use net::https::serve_http;
use net::preface::LinkKey;
use swarm_router::{
    CONNECTIONS_MAX, Follower, Forwarder, HttpsRoutes, NamesListener, PEEKS_MAX, Router,
    RouterOptions,
};
use tokio::net::TcpListener;

use super::args::{RedirectWhen, RouterArgs};
use super::front::{Front, watch};
use super::health::{monitored, tracing};
use super::kept::{keep, restore, save};
use super::succession::{METRICS, Succession};
use crate::directory::succession::doors;
use crate::failure::{Exit, Failure};
use crate::files::read_bounded;
use crate::monitoring::{self, Monitored};
use crate::signals::EndSignals;
use crate::{descriptors, names, output};

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
    let has_listeners = args.front().is_none() || args.redirect.redirect == RedirectWhen::Auto;
    descriptors::raise_limit(if has_listeners { DESCRIPTORS } else { CONNECTIONS_MAX });
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
    let handover = args.redirect.handover.as_deref();
    let mut doors = doors(handover).await?;
    let watchers = listen(args, &mut doors)?;
    let mut front = Front::open(args, &mut doors)?;
    let names = args.names.map(|at| names::door(at, &mut doors)).transpose()?;
    let mut succession = Succession::new(doors, handover)?;

    let drain = Drain::new();
    let forwarder = Forwarder::new(key, Arc::new(SystemClock), drain.clone());
    let router = Arc::new(start(args, front.as_ref(), &forwarder)?);
    let follower = Follower::new(Arc::clone(&router), &forwarder);
    if let Some(path) = &args.state {
        restore(path, &follower);
    }
    let source = Arc::new(HttpsRoutes::new(&registrar));
    let following = tokio::spawn(follower.clone().follow(source, drain.clone()));
    tokio::select! {
        begun = succession.begin(&follower) => begun?,
        () = end.first() => return Ok(()),
    }
    if let Some(front) = &mut front {
        front.serve(&router).await?;
    }
    let carrying = || Arc::new(forwarder.clone());
    let names = names.map(|door| names::serve(door, &router, carrying())).transpose()?;
    succession.announce()?;
    announce(args, front.as_ref(), names.as_deref(), &watchers)?;
    let monitored = monitored(&router, names.as_ref(), &forwarder, &follower);
    let pages = monitoring::routes(monitored.clone()).merge(tracing(&follower));
    drain.spawn(serve_http(watchers, None, pages, WATCHERS, drain.clone()));

    let front = front.as_ref();
    let outcome = tokio::select! {
        how = serving(args, &mut end, &mut succession, front, &monitored) => Ok(how),
        () = watch(front, &router) => Ok(End::Asked),
        () = keep(args.state.as_deref(), &follower) => Ok(End::Asked),
        _ = following => Err(Failure::new(Exit::Failed, "following the registrar has ended")),
    };
    monitored.end();
    // With its copies of the sockets, so that they close.
    drop(succession);
    let is_succeeded = matches!(outcome, Ok(End::Succeeded));
    let ending = async {
        // It may have to wait for a moment, as may the thread of the ports.
        let _ = tokio::task::spawn_blocking(move || names.iter().for_each(|it| it.stop())).await;
        finish(args, &router, front, &follower, &drain, is_succeeded).await
    };
    tokio::select! {
        is_done = ending => if !is_done {
            tracing::info!("connections are cut that did not come to their end");
        },
        () = end.first() => tracing::warn!("ended before everything was drained"),
    }
    outcome.map(drop)
}

/// Why a router ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// By a signal.
    Asked,
    /// Another process serves in its place.
    Succeeded,
}

/// Waits for the end.
async fn serving(
    args: &RouterArgs,
    end: &mut EndSignals,
    succession: &mut Succession<'_>,
    front: Option<&Front>,
    monitored: &Monitored,
) -> End {
    tokio::select! {
        () = end.first() => {}
        () = succession.succeeded(front) => return End::Succeeded,
    }
    tracing::info!("draining; a second signal ends it at once");
    monitored.end();
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(args.drain_delay)) => End::Asked,
        () = end.first() => End::Asked,
        () = succession.succeeded(front) => End::Succeeded,
    }
}

/// Takes nobody new, and waits until those who are carried have come to their end: whether they did.
async fn finish(
    args: &RouterArgs,
    router: &Arc<Router>,
    front: Option<&Front>,
    follower: &Follower,
    drain: &Drain,
    is_succeeded: bool,
) -> bool {
    let stopping = Arc::clone(router);
    if is_succeeded {
        let _ = tokio::task::spawn_blocking(move || stopping.stop_succeeded()).await;
        drain.start_succeeded();
    } else {
        if let Some(front) = front {
            front.release().await;
        }
        // Its thread may be in the middle of a turn.
        let _ = tokio::task::spawn_blocking(move || stopping.stop()).await;
        if let Some(path) = &args.state {
            save(path, follower).await;
        }
        drain.start();
    }
    drain.finished(Duration::from_secs(args.drain_deadline)).await
}

fn start(
    args: &RouterArgs,
    front: Option<&Front>,
    forwarder: &Forwarder,
) -> Result<Router, Failure> {
    let options = RouterOptions {
        address: args.listen,
        redirected: front.map(|front| front.ports.clone()).unwrap_or_default(),
        budget: args.budget.budget(),
    };
    Router::with(options, Arc::new(forwarder.clone()))
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start threads: {error}")))
}

fn listen(args: &RouterArgs, doors: &mut Doors) -> Result<TcpListener, Failure> {
    let address = args.health();
    doors.listen(&METRICS, address).map_err(|error| {
        Failure::new(Exit::Conflict, format!("cannot listen on {address}: {error}"))
            .fix("pass --health-port with a port that is free")
    })
}

fn announce(
    args: &RouterArgs,
    front: Option<&Front>,
    names: Option<&NamesListener>,
    watchers: &TcpListener,
) -> Result<(), Failure> {
    let health = watchers.local_addr().map_err(|e| Failure::from_error(Exit::Failed, &e))?;
    output::line(format_args!("routes      from {}", args.fleet.registrar.join(", ")))?;
    match front {
        Some(front) => output::line(format_args!("listening   {front}"))?,
        None => output::line(format_args!("listening   {} on every identity's port", args.listen))?,
    }
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
