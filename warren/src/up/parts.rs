//! The running parts, and how they are connected.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use directory::Directory;
use net::accept::AcceptLimits;
use net::clock::SystemClock;
use net::dial::{DialPolicy, DialTarget, Dialer};
use net::drain::Drain;
use net::lookup::DirectoryClient;
use net::telemetry::Metrics;
use protocol::{AtSign, HostLabel, Hosts, RegistrationId};
use registrar::{Addressing, RegisterError, Registrar, RegistrarConfig, StoreFault};
use server::{Limits, World};
use server_host::{Cell, CellConfig, Patience};
use swarm_router::{Backend, NamesListener, Router};
use tokio::net::TcpListener;

use crate::args::UpArgs;
use crate::data_dir::DataDir;
use crate::endpoints::Endpoints;
use crate::failure::{Exit, Failure, chain};
use crate::listening::{address_of, bind};
use crate::monitoring::{self, Counters, Monitored};
use crate::names;
use crate::registrar::front;
use crate::up::feed::InProcessFeed;
use crate::up::ground::Ground;
use crate::up::swarm::{CellBackend, OneCell};

/// Doors of the registrar and of the metrics.
const HTTP_GATE: AcceptLimits = AcceptLimits {
    connections_max: 1_024,
    handshakes_max: 64,
    per_address_max: 512,
    handshake_deadline: Duration::from_secs(10),
};

/// How long a start waits for the directory's first answer from a registrar in the same process.
const DIRECTORY_PATIENCE: Duration = Duration::from_secs(10);

/// Everything that runs.
pub struct Parts {
    drain: Drain,
    cell: Cell,
    router: Arc<Router>,
    names: Option<Arc<NamesListener>>,
    registrar: Arc<Registrar>,
    endpoints: Endpoints,
}

/// Listeners come first: a port that is taken must be known before anything else happens.
struct Listeners {
    directory: TcpListener,
    directory_https: Option<TcpListener>,
    registrar: TcpListener,
    metrics: TcpListener,
}

impl Listeners {
    fn bind(args: &UpArgs) -> Result<Self, Failure> {
        let directory_https = match args.directory_https {
            Some(port) => Some(bind(args.listen, port, "--directory-https")?),
            None => None,
        };
        Ok(Self {
            directory: bind(args.listen, args.directory_port, "--directory-port")?,
            directory_https,
            registrar: bind(args.listen, args.registrar_port, "--registrar-port")?,
            metrics: bind(IpAddr::V4(Ipv4Addr::LOCALHOST), args.metrics_port, "--metrics-port")?,
        })
    }
}

impl Parts {
    /// Starts everything. When it returns, every published identity can be reached.
    pub async fn start(args: &UpArgs, dir: &DataDir, ground: Ground) -> Result<Self, Failure> {
        let listeners = Listeners::bind(args)?;
        let drain = Drain::new();
        let addressing = names::addressing(&args.hostname, args.name_port)?;
        let hostname = args.hostname.own();
        let directory_address = address_of(&listeners.directory, hostname)?;
        let https = listeners.directory_https.as_ref();
        let https = https.map(|listener| address_of(listener, hostname)).transpose()?;
        let registrar_address = address_of(&listeners.registrar, hostname)?;
        let metrics_address = listeners.metrics.local_addr().map_err(|e| failed(&e))?;
        let tls = ground.tls;

        // Whom the operator or the registrar names is called wherever it is; whom a stranger names,
        // and be it by a directory's answer, only where nobody is harmed.
        let dial = |policy| Dialer::new(tls.client.clone(), policy, net::limits::DIAL_DEADLINE);
        let dialer = dial(DialPolicy::Any);
        let directories = DirectoryClient::new(directory_address.clone(), dialer.clone())
            .with_peers(args.peer_directory.clone());
        let world = Arc::new(World::new(
            Arc::new(SystemClock),
            Arc::new(directories),
            dial(reachable(args, &addressing)),
            Arc::clone(&tls.roots),
            Limits::default(),
        ));
        let config = CellConfig {
            sleep_after: Duration::from_secs(args.sleep_after),
            term: None,
            patience: Patience::default(),
        };
        let cell = Cell::start(
            config,
            ground.volumes,
            ground.waiting,
            world,
            tls.server.clone(),
            drain.clone(),
        );
        let backend = Arc::new(CellBackend(cell.clone()));
        let router = Router::start(args.listen, Arc::clone(&backend) as Arc<dyn Backend>);
        let router = Arc::new(router.map_err(|e| failed(&e))?);
        let swarm = Arc::new(OneCell { cell: cell.clone(), router: Arc::clone(&router), dialer });

        let config = RegistrarConfig { addressing, ports: args.ports.clone() };
        let registrar = Registrar::open(
            config,
            ground.registrar_store,
            &ground.activation_key,
            swarm,
            Arc::new(SystemClock),
        )
        .map_err(|e| failed(&e))?;
        for placement in registrar.placements().map_err(|e| failed(&e))? {
            cell.adopt(&placement).map_err(|e| failed(&e))?;
            if let Some(port) = placement.port {
                router.open_eventually(port.get(), placement.volume).map_err(|e| failed(&e))?;
            }
            router.names().open(HostLabel::of(&placement.identity), placement.volume);
        }
        let at = args.names.or(args.name_port.map(|p| SocketAddr::new(args.listen, p.get())));
        let names = at.map(|at| names::listen(at, &router, backend)).transpose()?;

        let endpoints = Endpoints {
            directory: directory_address.clone(),
            directory_https: https.map(|address| format!("https://{address}")),
            registrar: format!("https://{registrar_address}"),
            ca_file: tls.ca_file.clone(),
            admin_token_file: std::path::absolute(dir.admin_token()).map_err(|e| failed(&e))?,
            feed_key: registrar.feed_key(),
            metrics: format!("http://{metrics_address}/metrics"),
        };
        let front = front::config(
            args.web_registration,
            args.listen,
            &ground.admin_token,
            directory_address,
            &tls,
        )?;
        let directory = Directory::open(dir.directory_snapshot()).map_err(|e| failed(&e))?;
        let feed = Arc::new(InProcessFeed(Arc::clone(&registrar)));
        let key = registrar.feed_key();
        drain.spawn(Arc::clone(&directory).follow(feed, key, drain.clone()));
        if let Some(target) = crate::redis::target(&args.redis, tls.client.clone())? {
            drain.spawn(Arc::clone(&registrar).publish_to_redis(target, drain.clone()));
        }
        drain.spawn(Arc::clone(&directory).serve(
            listeners.directory,
            tls.server.clone(),
            drain.clone(),
        ));
        if let Some(listener) = listeners.directory_https {
            let directory = Arc::clone(&directory);
            drain.spawn(directory.serve_https(listener, tls.server.clone(), None, drain.clone()));
        }
        drain.spawn(net::https::serve_http(
            listeners.registrar,
            Some(tls.server),
            registrar.http(front),
            HTTP_GATE,
            drain.clone(),
        ));
        let monitored = monitored(&cell, &router, names.as_ref(), &registrar, &directory);
        let routes = monitoring::routes(monitored);
        drain.spawn(net::https::serve_http(
            listeners.metrics,
            None,
            routes,
            HTTP_GATE,
            drain.clone(),
        ));
        drain.spawn(Arc::clone(&registrar).tend(drain.clone()));
        if !directory.ready(DIRECTORY_PATIENCE).await {
            let what = "the directory did not get the registrar's snapshot";
            return Err(
                Failure::new(Exit::TimedOut, what).fix("look into the log above, and start again")
            );
        }
        Ok(Self { drain, cell, router, names, registrar, endpoints })
    }

    /// What the other commands need to know.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// How many identities live here.
    pub fn identities(&self) -> usize {
        self.cell.counters().residents
    }

    /// Registers a name that the command line asks for, unless it exists.
    pub async fn ensure_registered(&self, identity: &AtSign) -> Result<(), Failure> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|error| Failure::new(Exit::Failed, format!("no random numbers: {error}")))?;
        match self.registrar.register(identity.clone(), RegistrationId::from_bytes(id)).await {
            Ok(_) | Err(RegisterError::Taken(_)) => Ok(()),
            Err(error) => {
                let what = format!("cannot register {identity}: {}", chain(&error));
                Err(Failure::new(Exit::Failed, what))
            }
        }
    }

    /// Returns once the registrar must not write any more, and why.
    pub async fn stopped(&self) -> StoreFault {
        self.registrar.stopped().await
    }

    /// Accepts nobody, lets those who are here finish, and puts every server to sleep.
    pub async fn stop(&self, deadline: Duration) {
        let (router, names) = (Arc::clone(&self.router), self.names.clone());
        let stopped = tokio::task::spawn_blocking(move || {
            names.iter().for_each(|names| names.stop());
            router.stop();
        });
        let _ = stopped.await;
        self.drain.start();
        if !self.drain.finished(deadline).await {
            tracing::warn!(tasks = self.drain.running(), "some connections were cut");
        }
        self.cell.close().await;
    }
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::from_error(Exit::Failed, error)
}

/// Whom servers here may call: the public, one another, and whatever is listed. Other ports of this
/// machine, such as the registrar's, are not among them.
fn reachable(args: &UpArgs, addressing: &Addressing) -> DialPolicy {
    let own: Vec<_> = match addressing {
        Addressing::ByPort(host) => {
            let target = |(first, last)| DialTarget::host(host.clone(), first, last);
            args.ports.ranges().map(target).collect()
        }
        Addressing::ByName(pattern, port) => {
            vec![DialTarget::hosts(Hosts::Each(pattern.clone()), *port, *port)]
        }
    };
    DialPolicy::PublicAnd(own.into_iter().chain(args.dial_to.iter().cloned()).collect())
}

fn monitored(
    cell: &Cell,
    router: &Arc<Router>,
    names: Option<&Arc<NamesListener>>,
    registrar: &Arc<Registrar>,
    directory: &Arc<Directory>,
) -> Monitored {
    let mut metrics = Metrics::with_prefix("warren");
    directory.register(metrics.sub_registry_with_prefix("directory"));
    registrar.register_metrics(metrics.sub_registry_with_prefix("registrar"));
    cell.register(metrics.sub_registry_with_prefix("cell"));
    metrics
        .register_collector(Box::new(Counters { cell: cell.clone(), router: Arc::clone(router) }));
    names.into_iter().for_each(|names| names::register(names, &mut metrics));
    Monitored::new(metrics, Arc::clone(directory))
}
