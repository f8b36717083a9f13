//! `warren cell …`

mod figures;
mod ground;
mod key_mark;
pub mod serve;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use net::dial::DialTarget;
use protocol::Address;
use protocol::control::names::{CellId, NodeName};

use crate::cells::CellsCommand;
use crate::fleet_args::FleetArgs;

#[derive(Debug, Subcommand)]
pub enum CellCommand {
    /// Run a cell: thousands of personal servers, those that the registrar places in it
    Serve(Box<CellServeArgs>),
    #[command(flatten)]
    Operator(CellsCommand),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  warren cell serve --cell cell-7 --node n1 --registrar https://10.0.0.1:8443 --registrar-ca ca.pem \\
      --token-file cell.token --link-key-file link.key --master-key-file master.key \\
      --volumes /volumes --scratch /scratch --tls-cert chain.pem --tls-key key.pem \\
      --directory 10.0.0.1:6464 --listen 0.0.0.0:7001")]
pub struct CellServeArgs {
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// Which cell, such as cell-7
    #[arg(long, value_name = "CELL", env = "WARREN_CELL")]
    pub cell: CellId,
    /// The machine that it runs on
    #[arg(long, value_name = "NAME", env = "WARREN_NODE")]
    pub node: NodeName,
    /// Where routers deliver connections
    #[arg(long, value_name = "ADDR:PORT", env = "WARREN_LISTEN")]
    pub listen: SocketAddr,
    /// The folder with the servers' volumes, which all cells of a swarm share
    #[arg(long, value_name = "DIR", env = "WARREN_VOLUMES", value_hint = ValueHint::DirPath)]
    pub volumes: PathBuf,
    /// A folder of this process alone
    #[arg(long, value_name = "DIR", env = "WARREN_SCRATCH", value_hint = ValueHint::DirPath)]
    pub scratch: PathBuf,
    /// The master key that the volumes were made with
    #[arg(long, value_name = "FILE", env = "WARREN_MASTER_KEY_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub master_key_file: PathBuf,
    /// The key that routers and cells of the swarm share
    #[arg(long, value_name = "FILE", env = "WARREN_LINK_KEY_FILE", value_hint = ValueHint::FilePath)]
    pub link_key_file: PathBuf,
    /// Certificate chain (PEM) that clients and other servers see
    #[arg(long, value_name = "FILE", env = "WARREN_TLS_CERT", value_hint = ValueHint::FilePath)]
    pub tls_cert: PathBuf,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", env = "WARREN_TLS_KEY", value_hint = ValueHint::FilePath)]
    pub tls_key: PathBuf,
    /// Authorities with which servers verify one another (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", env = "WARREN_TLS_CA", value_hint = ValueHint::FilePath)]
    pub tls_ca: Option<PathBuf>,
    /// Further authorities to trust (PEM) (repeatable)
    #[arg(long, value_name = "FILE", env = "WARREN_TRUST", value_delimiter = ',')]
    #[arg(value_hint = ValueHint::FilePath)]
    pub trust: Vec<PathBuf>,
    /// Directory to ask where other identities are; where there are replicas, each of them
    /// (repeatable)
    #[arg(long, value_name = "HOST:PORT", env = "WARREN_DIRECTORY", value_delimiter = ',')]
    #[arg(required = true)]
    pub directory: Vec<Address>,
    /// Place that servers here may call although it is not public: an address, a network, or a
    /// host name, and a port or a range of ports if not all are meant (repeatable). Without it they
    /// call public addresses
    #[arg(long, value_name = "WHERE[:PORTS]", env = "WARREN_DIAL_TO", value_delimiter = ',')]
    pub dial_to: Vec<DialTarget>,
    /// Seconds that a server stays awake after its last connection
    #[arg(long, value_name = "SECONDS", default_value_t = 60, env = "WARREN_SLEEP_AFTER")]
    pub sleep_after: u64,
    /// Port of metrics and health (0: any free one)
    #[arg(long, value_name = "PORT", default_value_t = 9464, env = "WARREN_HEALTH_PORT")]
    pub health_port: u16,
    /// Address of metrics and health
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1", env = "WARREN_HEALTH_LISTEN")]
    pub health_listen: IpAddr,
}
