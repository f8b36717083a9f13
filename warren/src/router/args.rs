//! The command line of a router.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use registrar::PortRanges;
use swarm_router::Budget;
use swarm_router::limits::{IDENTITY_RATE, NETWORK_RATE, PER_IDENTITY_MAX, PER_NETWORK_MAX};

use super::trace::TraceArgs;
use crate::fleet_args::FleetArgs;

#[derive(Debug, Subcommand)]
pub enum RouterCommand {
    /// Take clients' connections on this machine and carry them to the cells
    Serve(Box<RouterArgs>),
    /// Say which way a connection to an identity would take, and why
    Trace(Box<TraceArgs>),
}

#[derive(Debug, Args)]
#[command(after_help = "\
It listens on the port of every identity, which the registrar tells, and carries each connection to
the cell that serves her. It looks at no byte of it. While a cell is being started elsewhere, its
clients are held.

With --ports it has one socket for all ports of these ranges: a rule of the system's packet filter
brings their connections there, and is gone as soon as the router is. Ports of the ranges on which
another program listens are left to that. It needs the right to change the filter (CAP_NET_ADMIN) and
Linux 5.12.

Examples:
  warren router serve --registrar https://registrar.example.org:8443 --registrar-ca ca.pem \\
      --token-file router.token --link-key-file link.key
  warren router serve ... --ports 20000-59999 --state /var/lib/warren/routes \\
      --handover /run/warren/router")]
pub struct RouterArgs {
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "0.0.0.0", env = "WARREN_LISTEN")]
    pub listen: IpAddr,
    /// Where to listen for names, such as 0.0.0.0:443 [default: nowhere]
    #[arg(long, value_name = "ADDR:PORT", env = "WARREN_NAMES")]
    pub names: Option<SocketAddr>,
    /// File with the key that the routers and cells of a swarm share; `openssl rand -hex 32` makes
    /// one
    #[arg(long, value_name = "FILE", env = "WARREN_LINK_KEY_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub link_key_file: PathBuf,
    /// Address of metrics and health, without TLS: for you and the engine that runs this
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1", env = "WARREN_HEALTH_LISTEN")]
    pub health_listen: IpAddr,
    /// Port of metrics and health (0: any free one)
    #[arg(long, value_name = "PORT", default_value_t = 9465, env = "WARREN_HEALTH_PORT")]
    pub health_port: u16,
    #[command(flatten)]
    pub redirect: RedirectArgs,
    /// Keep the last routes in this file, and begin with them when the registrar is away
    #[arg(long, value_name = "FILE", env = "WARREN_ROUTES_FILE", value_hint = ValueHint::FilePath)]
    pub state: Option<PathBuf>,
    #[command(flatten)]
    pub budget: BudgetArgs,
    /// Seconds to go on as before after a signal, while /readyz says that this one is about to end
    #[arg(long, value_name = "SECONDS", default_value_t = 0, env = "WARREN_DRAIN_DELAY")]
    pub drain_delay: u64,
    /// Seconds that connections get to come to their end after that
    #[arg(long, value_name = "SECONDS", default_value_t = 8, env = "WARREN_DRAIN_DEADLINE")]
    pub drain_deadline: u64,
}

/// One socket for many ports.
#[derive(Debug, Args)]
pub struct RedirectArgs {
    /// Take these ports through one socket, such as 20000-59999
    #[arg(long, value_name = "RANGES", env = "WARREN_PORTS")]
    pub ports: Option<PortRanges>,
    /// What to do where that cannot be: listen on each port, or fail
    #[arg(long, value_name = "WHEN", default_value = "auto", env = "WARREN_REDIRECT")]
    pub redirect: RedirectWhen,
    /// Port of the one socket; a firewall has to let it through instead of the ranges
    #[arg(long, value_name = "PORT", default_value_t = 9466, env = "WARREN_FRONT_PORT")]
    pub front_port: u16,
    /// Be replaced without a lost connection: a process started with the same path takes over the
    /// sockets of the one that runs, which then ends. Its folder must be this user's alone
    #[arg(long, value_name = "PATH", env = "WARREN_HANDOVER", value_hint = ValueHint::FilePath)]
    #[arg(requires = "ports")]
    pub handover: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RedirectWhen {
    /// One socket if that is possible, else a listener on each port
    Auto,
    /// One socket, or nothing
    Always,
    /// A listener on each port
    Never,
}

/// Who may connect how often. A network is 24 bits of IPv4 or 48 bits of IPv6.
#[derive(Debug, Args)]
pub struct BudgetArgs {
    /// Connections at the same time from one network
    #[arg(long, value_name = "COUNT", default_value_t = PER_NETWORK_MAX)]
    #[arg(env = "WARREN_NETWORK_CONNECTIONS")]
    pub network_connections: usize,
    /// New connections per second from one network (0: no limit)
    #[arg(long, value_name = "COUNT", default_value_t = NETWORK_RATE, env = "WARREN_NETWORK_RATE")]
    pub network_rate: u32,
    /// Connections at the same time to one identity
    #[arg(long, value_name = "COUNT", default_value_t = PER_IDENTITY_MAX)]
    #[arg(env = "WARREN_IDENTITY_CONNECTIONS")]
    pub identity_connections: usize,
    /// New connections per second to one identity (0: no limit)
    #[arg(long, value_name = "COUNT", default_value_t = IDENTITY_RATE, env = "WARREN_IDENTITY_RATE")]
    pub identity_rate: u32,
}

impl BudgetArgs {
    /// As the router wants it.
    pub fn budget(&self) -> Budget {
        Budget {
            per_network_max: self.network_connections,
            network_rate: self.network_rate,
            per_identity_max: self.identity_connections,
            identity_rate: self.identity_rate,
            ..Budget::default()
        }
    }
}

impl RouterArgs {
    /// Where metrics and health are.
    pub fn health(&self) -> SocketAddr {
        SocketAddr::new(self.health_listen, self.health_port)
    }

    /// Where the one socket of many ports is, if one is wanted.
    pub fn front(&self) -> Option<(SocketAddr, &PortRanges)> {
        let ports = self.redirect.ports.as_ref()?;
        let is_wanted = self.redirect.redirect != RedirectWhen::Never;
        is_wanted.then(|| (SocketAddr::new(self.listen, self.redirect.front_port), ports))
    }
}
