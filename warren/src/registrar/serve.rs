//! `warren registrar serve`: names and placements for servers on other machines.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use net::accept::AcceptLimits;
use net::clock::SystemClock;
use net::dial::{DialPolicy, Dialer};
use net::drain::Drain;
use net::telemetry::Metrics;
use protocol::Address;
use registrar::{AdminToken, FleetTokens, FrontConfig, Registrar, RegistrarConfig};
use storage::{Keyring, MasterKey};
use tokio::net::TcpListener;

use super::args::RegistrarArgs;
use super::{front, store};
use crate::data_dir::DataDir;
use crate::failure::{Exit, Failure};
use crate::files::{read_token, token_or_new};
use crate::listening::{address_of, bind};
use crate::monitoring::{self, Monitored};
use crate::names;
use crate::renewal::{self, Shown};
use crate::signals::EndSignals;
use crate::tls::Tls;
use crate::{descriptors, output, redis};

/// How long requests get to come to their end.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// Cells, routers and agents that wait, registrations, and the rest.
const DESCRIPTORS: usize = 16_384;

/// Each cell, router and agent waits with a connection; a whole machine's may come from one address.
const GATE: AcceptLimits = AcceptLimits {
    connections_max: 8_192,
    handshakes_max: 256,
    per_address_max: 4_096,
    handshake_deadline: Duration::from_secs(10),
};

struct Listeners {
    api: TcpListener,
    metrics: TcpListener,
}

/// Runs until a signal ends it, or another registrar has taken over.
pub fn run(args: &RegistrarArgs) -> Result<(), Failure> {
    crate::up::start_logs(args.log_format)?;
    descriptors::raise_limit(DESCRIPTORS);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("warren-registrar")
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start threads: {error}")))?;
    let outcome = runtime.block_on(live(args));
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn live(args: &RegistrarArgs) -> Result<(), Failure> {
    let mut end = EndSignals::listen()?;
    let dir = DataDir::resolve(args.data_dir.data_dir.as_deref())?;
    dir.create()?;
    let tls = Tls::prepare(&args.tls, &args.hostname, args.listen, &dir.authority())?;
    let listeners = Listeners {
        api: bind(args.listen, args.registrar_port, "--registrar-port")?,
        metrics: bind(args.metrics_listen, args.metrics_port, "--metrics-port")?,
    };
    let registrar = tokio::task::block_in_place(|| open(args, &dir, &tls))?;
    // Whoever reads the addresses finds the token.
    let admin = match &args.admin_token_file {
        Some(file) => read_token(file)?,
        None => token_or_new(&dir.admin_token())?,
    };
    announce(args, &listeners, &registrar, &tls)?;
    let drain = Drain::new();
    let monitored = serve(args, &admin, &registrar, &tls, listeners, &drain)?;
    let outcome = tokio::select! {
        () = end.first() => Ok(()),
        () = renew(args, &tls) => Ok(()),
        fault = registrar.failed() => Err(Failure::from_error(Exit::Conflict, &fault)),
    };
    monitored.end();
    drain.start();
    tokio::select! {
        _ = drain.finished(DRAIN_DEADLINE) => {}
        () = end.first() => {}
    }
    outcome
}

/// Takes the store over from whoever had it.
fn open(args: &RegistrarArgs, dir: &DataDir, tls: &Tls) -> Result<Arc<Registrar>, Failure> {
    let key_file = args.master_key_file.clone().unwrap_or_else(|| dir.master_key());
    let master = MasterKey::load_or_create(&key_file).map_err(|e| failed(&e))?;
    let keyring = Keyring::new(master);
    let scratch = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let store = store::take_over(&args.store, &dir.registrar(), &scratch, &keyring, &tls.client)?;
    let addressing = names::addressing(&args.hostname, args.name_port)?;
    let config = RegistrarConfig { addressing, ports: args.ports.clone() };
    let key = keyring.derive("registrar activation");
    // Whom the registrar itself has placed is called wherever it is.
    let dialer = Dialer::new(tls.client.clone(), DialPolicy::Any, net::limits::DIAL_DEADLINE);
    let registrar =
        Registrar::open_fleet(config, store, &key, Arc::new(dialer), Arc::new(SystemClock));
    let registrar = registrar.map_err(|e| failed(&e))?;
    registrar.place_by(args.placement_policy);
    Ok(registrar)
}

fn announce(
    args: &RegistrarArgs,
    listeners: &Listeners,
    registrar: &Registrar,
    tls: &Tls,
) -> Result<(), Failure> {
    let api = address_of(&listeners.api, args.hostname.own())?;
    let metrics = listeners.metrics.local_addr().map_err(|e| failed(&e))?;
    output::line(format_args!("registrar   https://{api}   (web page and API)"))?;
    output::line(format_args!("feed key    {}", registrar.feed_key()))?;
    output::line(format_args!("authority   {}", tls.ca_file.display()))?;
    output::line(format_args!("metrics     http://{metrics}/metrics"))
}

fn serve(
    args: &RegistrarArgs,
    admin: &str,
    registrar: &Arc<Registrar>,
    tls: &Tls,
    listeners: Listeners,
    drain: &Drain,
) -> Result<Monitored, Failure> {
    let directory =
        match (&args.directory, Address::parse(&format!("{}:6464", args.hostname.own()))) {
            (Some(directory), _) => directory.clone(),
            (None, own) => own.map_err(|e| failed(&e))?,
        };
    let feed = args.feed_token_file.as_deref().map(token).transpose()?;
    let front = front::config(args.web_registration, args.listen, admin, directory, tls)?;
    let front = FrontConfig { feed, ..front };
    let service = registrar.fleet_http(front, tokens(args)?);
    let server = Some(tls.server.clone());
    let api = net::https::serve_http(listeners.api, server, service, GATE, drain.clone());
    if let Some(target) = redis::target(&args.redis, tls.client.clone())? {
        drain.spawn(Arc::clone(registrar).publish_to_redis(target, drain.clone()));
    }
    drain.spawn(api);
    let monitored = monitored(registrar);
    let routes = monitoring::routes(monitored.clone());
    drain.spawn(net::https::serve_http(listeners.metrics, None, routes, GATE, drain.clone()));
    drain.spawn(Arc::clone(registrar).tend(drain.clone()));
    Ok(monitored)
}

fn monitored(registrar: &Arc<Registrar>) -> Monitored {
    let mut metrics = Metrics::with_prefix("warren");
    registrar.register_metrics(metrics.sub_registry_with_prefix("registrar"));
    let registrar = Arc::clone(registrar);
    Monitored::ready_unless(metrics, move || {
        let is_ready = registrar.is_sound() && registrar.is_in_reach();
        (!is_ready).then_some("the store does not take writes\n")
    })
}

fn tokens(args: &RegistrarArgs) -> Result<FleetTokens, Failure> {
    Ok(FleetTokens {
        cells: token(&args.cell_token_file)?,
        routers: token(&args.router_token_file)?,
        hosts: token(&args.host_token_file)?,
    })
}

fn token(file: &Path) -> Result<AdminToken, Failure> {
    AdminToken::parse(&read_token(file)?).map_err(|error| {
        let fix = "openssl rand -hex 32 makes a good one";
        Failure::from_error(Exit::Usage, &error).at(file.display()).fix(fix)
    })
}

/// Watches the operator's certificate, if there is one. Does not end.
async fn renew(args: &RegistrarArgs, tls: &Tls) {
    if let (Some(cert), Some(key)) = (&args.tls.tls_cert, &args.tls.tls_key) {
        let shown = Shown { server: tls.server.clone(), client: Some(tls.client.clone()) };
        renewal::watch(cert.clone(), key.clone(), shown).await;
    }
    std::future::pending().await
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Exit::Failed, error)
}
