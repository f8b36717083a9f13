//! Identities that are reached by name: wiring of the one port, and what is counted there.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroU16;
use std::sync::Arc;

use net::handover::{Doors, Role};
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
    let listener = NamesListener::start(at, Arc::clone(router), backend);
    listener.map(Arc::new).map_err(|error| unavailable(at, &error))
}

/// A socket for names: the predecessor's, where one hands it over.
pub fn door(at: SocketAddr, doors: &mut Doors) -> Result<TcpListener, Failure> {
    const NAMES: Role = Role::known("names");
    let listener = doors.listen(&NAMES, at).and_then(tokio::net::TcpListener::into_std);
    listener.map_err(|error| unavailable(at, &error))
}

/// Takes what comes through it.
pub fn serve(
    door: TcpListener,
    router: &Arc<Router>,
    backend: Arc<dyn Backend>,
) -> Result<Arc<NamesListener>, Failure> {
    let listener = NamesListener::serve(door, Arc::clone(router), backend);
    listener.map(Arc::new).map_err(|error| Failure::from_error(Exit::Failed, &error))
}

fn unavailable(at: SocketAddr, error: &io::Error) -> Failure {
    Failure::new(Exit::Unavailable, format!("cannot listen for names on {at}: {error}"))
        .fix("pass --names with an address and a port that are free and may be listened on")
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
