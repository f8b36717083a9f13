//! The command line of a router.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use crate::fleet_args::FleetArgs;

#[derive(Debug, Subcommand)]
pub enum RouterCommand {
    /// Take clients' connections on this machine and carry them to the cells
    Serve(Box<RouterArgs>),
}

#[derive(Debug, Args)]
#[command(after_help = "\
It listens on the port of every identity, which the registrar tells, and carries each connection to
the cell that serves her. It looks at no byte of it. While a cell is being started elsewhere, its
clients are held.

Example:
  warren router serve --registrar https://registrar.example.org:8443 --registrar-ca ca.pem \\
      --token-file router.token --link-key-file link.key")]
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
}

impl RouterArgs {
    /// Where metrics and health are.
    pub fn health(&self) -> SocketAddr {
        SocketAddr::new(self.health_listen, self.health_port)
    }
}
