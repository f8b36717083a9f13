//! `warren cell serve`: a cell as a process of its own, which does what its registrar says.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use net::accept::AcceptLimits;
use net::clock::SystemClock;
use net::drain::Drain;
use net::https::serve_http;
use protocol::Term;
use protocol::control::roster::TermRequest;
use server_host::follow::{CellRegistrar, Follower, HttpsRegistrar, ask_for_term};
use server_host::{Cell, CellConfig, Door, Patience};
use tokio::net::TcpListener;

use crate::cell::CellServeArgs;
use crate::cell::figures::Figures;
use crate::cell::ground::Ground;
use crate::descriptors;
use crate::failure::{Exit, Failure};
use crate::listening::{bind, local};
use crate::memory::resident_bytes;
use crate::output;
use crate::renewal::{self, Shown};
use crate::signals::EndSignals;

/// How long connections get to come to their end.
const DRAIN_DEADLINE: Duration = Duration::from_secs(8);

/// Threads for waiting on disks and for key generation.
const BLOCKING_THREADS_MAX: usize = 128;

/// Those who look at metrics and health.
const WATCHERS: AcceptLimits = AcceptLimits {
    connections_max: 64,
    handshakes_max: 1,
    per_address_max: 64,
    handshake_deadline: Duration::from_secs(1),
};

/// Serves until a signal ends it, or a later start of the same cell does.
pub fn run(args: &CellServeArgs) -> Result<(), Failure> {
    crate::up::start_logs(args.fleet.log_format)?;
    descriptors::raise_limit(0);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("cell")
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(live(args));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn live(args: &CellServeArgs) -> Result<(), Failure> {
    let mut end = EndSignals::listen()?;
    let door = bind(args.listen.ip(), args.listen.port(), "--listen")?;
    let watched = bind(args.health_listen, args.health_port, "--health-port")?;
    let ground = Ground::prepare(args)?;
    let registrar = Arc::new(HttpsRegistrar::new(args.cell, &args.fleet.upstream()?));

    let (drain, figures) = (Drain::new(), Figures::default());
    output::line(format_args!(
        "{}   {}\nhealth   http://{}/healthz",
        args.cell,
        local(&door)?,
        local(&watched)?
    ))?;
    let routes = figures.routes();
    drain.spawn(serve_http(watched, None, routes, WATCHERS, drain.clone()));
    let request =
        TermRequest { node: args.node.clone(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let term = tokio::select! {
        term = ask_for_term(&*registrar, args.cell, &request, &drain) => term,
        () = end.first() => None,
    };
    let Some(term) = term else { return Ok(()) };
    tracing::info!(cell = %args.cell, %term, "the cell has its term");
    let shown = ground.shown();
    let parts = Parts::start(args, ground, term, registrar, door, &drain, &figures);
    let outcome = parts.live(args, &mut end, shown, &drain).await;
    figures.end();
    tracing::info!("draining; a second signal ends it at once");
    tokio::select! {
        () = parts.cell.stop(&drain, DRAIN_DEADLINE) => {}
        () = end.first() => tracing::warn!("ended before everything was drained"),
    }
    outcome
}

/// What runs once there is a term.
struct Parts {
    cell: Cell,
    follower: Follower,
}

impl Parts {
    fn start(
        args: &CellServeArgs,
        ground: Ground,
        term: Term,
        registrar: Arc<dyn CellRegistrar>,
        listener: TcpListener,
        drain: &Drain,
        figures: &Figures,
    ) -> Self {
        let sleep_after = Duration::from_secs(args.sleep_after);
        let cell = Cell::start(
            CellConfig { sleep_after, term: Some(term), patience: Patience::default() },
            ground.volumes,
            ground.waiting,
            ground.world,
            ground.server_tls,
            drain.clone(),
        );
        let follower = Follower::new(registrar, cell.clone(), term);
        let (is_ready, clock) = (follower.readiness(), Arc::new(SystemClock));
        let door = Door::new(cell.clone(), is_ready, ground.link_key, clock);
        figures.show(&cell, &door, follower.readiness());
        drain.spawn(door.serve(listener, drain.clone()));
        Self { cell, follower }
    }

    async fn live(
        &self,
        args: &CellServeArgs,
        end: &mut EndSignals,
        shown: Shown,
        drain: &Drain,
    ) -> Result<(), Failure> {
        let renewed = renewal::watch(args.tls_cert.clone(), args.tls_key.clone(), shown);
        tokio::select! {
            () = end.first() => Ok(()),
            () = async { renewed.await; pending().await } => Ok(()),
            followed = self.follower.run(resident_bytes, drain.clone()) => {
                followed.map_err(|superseded| Failure::from_error(Exit::Conflict, &superseded))
            }
        }
    }
}
