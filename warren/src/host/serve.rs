//! `warren host serve`: wires the agent to its engine and its registrar.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use net::drain::Drain;
use net::gate::AcceptLimits;
use net::https::serve_http;
use net::telemetry::{METRICS_CONTENT_TYPE, Metrics, encode_metrics};
use server_host::agent::{Agent, AgentConfig, DockerEngine, Template, socket_of};
use tokio::net::TcpListener;

use super::args::HostArgs;
use crate::failure::{Exit, Failure};
use crate::signals::EndSignals;

/// For what is under way when the end begins.
const DRAIN_DEADLINE: Duration = Duration::from_secs(3);

/// Whoever asks for health may ask on several connections.
const WATCHERS: AcceptLimits = AcceptLimits {
    connections_max: 16,
    handshakes_max: 1,
    per_address_max: 16,
    handshake_deadline: Duration::from_secs(1),
};

/// Works until a signal ends it.
pub fn run(args: &HostArgs) -> Result<(), Failure> {
    crate::up::start_logs(args.fleet.log_format)?;
    crate::client_runtime()?.block_on(live(args))
}

async fn live(args: &HostArgs) -> Result<(), Failure> {
    let mut end = EndSignals::listen()?;
    let socket = socket_of(&args.engine).ok_or_else(|| {
        Failure::new(Exit::Usage, "the engine's socket is no absolute path")
            .fix("pass --engine unix:///var/run/docker.sock")
    })?;
    let engine =
        DockerEngine::at(&socket).map_err(|error| Failure::from_error(Exit::Failed, &error))?;
    let agent = Agent::new(engine, args.fleet.upstream()?, config(args)?);
    let drain = Drain::new();
    let mut metrics = Metrics::with_prefix("warren");
    agent.register(metrics.sub_registry_with_prefix("engine"));
    serve_health(args.health_port, metrics, &drain).await?;
    tracing::info!(swarm = %args.swarm, engine = %socket.display(), "the agent is at work");
    tokio::select! {
        () = agent.run(&drain) => {}
        () = end.first() => {}
    }
    drain.start();
    drain.finished(DRAIN_DEADLINE).await;
    Ok(())
}

fn config(args: &HostArgs) -> Result<AgentConfig, Failure> {
    if !args.volumes.is_absolute() {
        let what = format!("{} is no absolute path", args.volumes.display());
        return Err(Failure::new(Exit::Usage, what).fix("pass --volumes /DIR"));
    }
    let template = Template {
        swarm: args.swarm.clone(),
        volumes: args.volumes.clone(),
        secrets: args.secret.iter().cloned().collect(),
        hosts: args.host.clone(),
        args: args.cell.clone(),
    };
    let here: &PathBuf = args.volumes_here.as_ref().unwrap_or(&args.volumes);
    Ok(AgentConfig {
        template,
        volumes: here.clone(),
        address: args.address,
        is_dry: args.dry_run,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// Says that the process lives, and nothing about the engine: a new agent would not wake that up. How
/// its calls to the engine went is among the metrics.
async fn serve_health(port: u16, metrics: Metrics, drain: &Drain) -> Result<(), Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let what = format!("cannot listen on {address}: {error}");
        Failure::new(Exit::Unavailable, what).fix("pass --health-port with a port that is free")
    })?;
    let metrics = Arc::new(Mutex::new(metrics));
    let measured = move || async move {
        let text = encode_metrics(&metrics.lock().unwrap_or_else(PoisonError::into_inner));
        ([(header::CONTENT_TYPE, METRICS_CONTENT_TYPE)], text)
    };
    let healthy = get(|| async { "ok\n" });
    let routes = Router::new().route("/healthz", healthy).route("/metrics", get(measured));
    drain.spawn(serve_http(listener, None, routes, WATCHERS, drain.clone()));
    Ok(())
}
