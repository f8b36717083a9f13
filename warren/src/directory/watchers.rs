//! Those who look at a replica: its operator, and the load balancer before it.

use std::sync::Arc;
use std::time::Duration;

use directory::Directory;
use directory::dns::DnsFront;
use net::drain::Drain;
use net::gate::AcceptLimits;
use net::handover::Doors;
use net::https::serve_http;
use net::telemetry::Metrics;
use tokio::net::TcpListener;

use crate::args::ServeArgs;
use crate::directory::succession::role;
use crate::failure::{Exit, Failure};
use crate::monitoring::{self, Monitored};

/// They may ask on several connections, without TLS.
const WATCHERS: AcceptLimits = AcceptLimits {
    connections_max: 64,
    handshakes_max: 1,
    per_address_max: 64,
    handshake_deadline: Duration::from_secs(1),
};

/// Where they ask, if anywhere.
pub fn listen(args: &ServeArgs, doors: &mut Doors) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = args.metrics else { return Ok(None) };
    let listener = doors.listen(&role::METRICS, address).map_err(|error| {
        let what = format!("cannot listen on {address}: {error}");
        Failure::new(Exit::Unavailable, what).fix("pass --metrics with a port that is free")
    })?;
    Ok(Some(listener))
}

/// Answers them until the drain begins.
pub fn serve(
    listener: Option<TcpListener>,
    directory: &Arc<Directory>,
    dns: Option<&DnsFront>,
    drain: &Drain,
) -> Monitored {
    let mut metrics = Metrics::with_prefix("warren");
    directory.register(metrics.sub_registry_with_prefix("directory"));
    if let Some(dns) = dns {
        dns.register(metrics.sub_registry_with_prefix("dns"));
    }
    let monitored = Monitored::new(metrics, Arc::clone(directory));
    if let Some(listener) = listener {
        let routes = monitoring::routes(monitored.clone());
        drain.spawn(serve_http(listener, None, routes, WATCHERS, drain.clone()));
    }
    monitored
}
