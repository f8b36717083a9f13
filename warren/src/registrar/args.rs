//! Its command line, as typed.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use protocol::{Address, Hosts};
use registrar::PortRanges;
use registrar::choice::Policy;

use crate::args::{DataDirArg, LogFormatArg, RedisArgs, StoreArgs, TlsArgs, WebRegistrationArg};

#[derive(Debug, Subcommand)]
pub enum RegistrarCommand {
    /// Decide on names, and tell cells, routers and agents on other machines what is to be
    Serve(Box<RegistrarArgs>),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Of two on the same store the one that began later goes on, and the other one ends with 5.

Example:
  warren registrar serve --data-dir /volumes/registrar --listen 0.0.0.0 \\
      --hostname warren.example.org --cell-token-file cell.token \\
      --router-token-file router.token --host-token-file host.token")]
pub struct RegistrarArgs {
    /// Where its names and keys are kept; it may be a volume that several machines see
    #[command(flatten)]
    pub data_dir: DataDirArg,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1", env = "WARREN_LISTEN")]
    pub listen: IpAddr,
    /// Name under which clients reach the identities' servers; it leads to all nodes. With a pattern
    /// such as '*.warren.example.org' each identity has a name of her own below that domain, all at
    /// --name-port, and none needs a port
    #[arg(long, value_name = "NAME", default_value = "localhost", env = "WARREN_HOSTNAME")]
    pub hostname: Hosts,
    /// The one port of all identities that have names; in production 443
    #[arg(long, value_name = "PORT", env = "WARREN_NAME_PORT")]
    pub name_port: Option<NonZeroU16>,
    /// Port of the web page and the API (0: any free one)
    #[arg(long, value_name = "PORT", default_value_t = 8443, env = "WARREN_REGISTRAR_PORT")]
    pub registrar_port: u16,
    /// Ports of the identities' servers, on every node: A-B, or several such ranges with commas
    #[arg(
        long,
        value_name = "A-B",
        default_value = "25000-32767,20000-24999",
        env = "WARREN_PORTS"
    )]
    pub ports: PortRanges,
    /// Which cell a new identity goes to: least-loaded, round-robin, resources (of its machine) or
    /// packing (few cells, as full as may be)
    #[arg(long, value_name = "POLICY", default_value_t, env = "WARREN_PLACEMENT_POLICY")]
    pub placement_policy: Policy,
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Master key, kept outside the data directory (made if absent)
    #[arg(long, value_name = "FILE", env = "WARREN_MASTER_KEY_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub master_key_file: Option<PathBuf>,
    /// File with the operators' token [default: admin.token in the data directory, made if absent]
    #[arg(long, value_name = "FILE", env = "WARREN_ADMIN_TOKEN_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub admin_token_file: Option<PathBuf>,
    /// File with the token of the processes that run cells
    #[arg(long, value_name = "FILE", env = "WARREN_CELL_TOKEN_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub cell_token_file: PathBuf,
    /// File with the token of the routers
    #[arg(long, value_name = "FILE", env = "WARREN_ROUTER_TOKEN_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub router_token_file: PathBuf,
    /// File with the token of the agents on the machines
    #[arg(long, value_name = "FILE", env = "WARREN_HOST_TOKEN_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub host_token_file: PathBuf,
    /// File with the token of directories on other machines: it opens the feed and nothing else
    /// [default: they need the operators' token]
    #[arg(long, value_name = "FILE", env = "WARREN_FEED_TOKEN_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub feed_token_file: Option<PathBuf>,
    /// The directory, as the web page shows it [default: port 6464 of --hostname]
    #[arg(long, value_name = "HOST:PORT", env = "WARREN_DIRECTORY")]
    pub directory: Option<Address>,
    /// Who may register on the web page: anybody who reaches it, or only with the admin token.
    /// Default: open while listening on a loopback address, token otherwise
    #[arg(long, value_name = "WHO", env = "WARREN_WEB_REGISTRATION")]
    pub web_registration: Option<WebRegistrationArg>,
    /// Where this machine alone may write [default: the system's temporary directory]
    #[arg(long, value_name = "DIR", env = "WARREN_SCRATCH", value_hint = ValueHint::DirPath)]
    pub scratch: Option<PathBuf>,
    /// Port of metrics and health (0: any free one)
    #[arg(long, value_name = "PORT", default_value_t = 9464, env = "WARREN_METRICS_PORT")]
    pub metrics_port: u16,
    /// Address of metrics and health, without TLS: for you and your load balancer
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1", env = "WARREN_METRICS_LISTEN")]
    pub metrics_listen: IpAddr,
    #[command(flatten)]
    pub redis: RedisArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    /// How to write logs to stderr
    #[arg(long, value_name = "FORMAT", default_value = "auto", env = "WARREN_LOG_FORMAT")]
    pub log_format: LogFormatArg,
}
