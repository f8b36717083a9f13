//! Identities that are reached by name: wiring of the one port, and what is counted there.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use net::telemetry::Metrics;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use protocol::Hosts;
use registrar::Addressing;
use swarm_router::{Backend, NamesListener, Router};

use crate::failure::{Exit, Failure};
use crate::monitoring::{encode, size};

/// What `--hostname` and `--name-port` come to.
pub fn addressing(hosts: &Hosts, name_port: Option<NonZeroU16>) -> Result<Addressing, Failure> {
    Addressing::new(hosts.clone(), name_port).map_err(|error| {
        Failure::from_error(Exit::Usage, &error)
            .fix("pass --hostname '*.DOMAIN' and --name-port PORT, or neither of them")
    })
}

/// Listens for names.
pub fn listen(
    at: SocketAddr,
    router: &Arc<Router>,
    backend: Arc<dyn Backend>,
) -> Result<Arc<NamesListener>, Failure> {
    let listener = NamesListener::start(at, Arc::clone(router), backend).map_err(|error| {
        Failure::new(Exit::Unavailable, format!("cannot listen for names on {at}: {error}"))
            .fix("pass --names with an address and a port that are free and may be listened on")
    })?;
    Ok(Arc::new(listener))
}

/// Adds its figures.
pub fn register(names: &Arc<NamesListener>, metrics: &mut Metrics) {
    metrics.register_collector(Box::new(Figures(Arc::clone(names))));
}

struct Figures(Arc<NamesListener>);

impl std::fmt::Debug for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Figures")
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counted = self.0.counters();
        let gauges = [
            ("router_names", "Names that lead somewhere", size(counted.names)),
            ("router_peeks", "Connections that have not said whom they want", size(counted.peeked)),
        ];
        let counters = [
            ("router_names_unknown", "Connections that asked for nobody here", counted.unknown),
            ("router_hellos_malformed", "Connections without a ClientHello", counted.malformed),
            ("router_hellos_late", "Connections whose hello did not come in time", counted.late),
            ("router_hellos_displaced", "Connections that had to make room", counted.displaced),
        ];
        encode(&mut encoder, &gauges, &counters)
    }
}
