//! The command line, as typed. Nothing is checked here that needs more than the text itself.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use feed::FeedKey;
use net::dial::DialTarget;
use protocol::control::names::CellId;
use protocol::{Address, AtSign, Hosts};
use registrar::{PortRanges, Tier};

use crate::cell::CellCommand;
use crate::deploy::args::DeployCommand;
use crate::directory::dns::DnsArgs;
use crate::health::HealthArgs;
use crate::host::args::HostCommand;
use crate::node::NodeCommand;
use crate::placement::PlacementCommand;
use crate::registrar::RegistrarCommand;
use crate::router::args::RouterCommand;
use crate::swarm::SwarmCommand;

/// Hosting for personal data servers, and the directory that finds them.
#[derive(Debug, Parser)]
#[command(name = "warren", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "\
Start here:
  warren up                            run everything in one process
  warren identity register @alice      get an identity and its activation secret
  warren resolve @alice                ask the directory where her server is

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused, 5 conflict,
6 unavailable (try again), 7 timed out, 8 partly done, 130 interrupted")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run directory, registrar, router and personal servers in one process
    Up(Box<UpArgs>),
    /// Run a replica of the directory; make, show and check the files that it starts from
    #[command(subcommand)]
    Directory(DirectoryCommand),
    /// Run the agent on a machine of a Docker Swarm
    #[command(subcommand)]
    Host(HostCommand),
    /// Make what a fleet of several machines is started with
    #[command(subcommand)]
    Deploy(DeployCommand),
    /// Run the registrar alone, for cells, routers and agents on other machines
    #[command(subcommand)]
    Registrar(RegistrarCommand),
    /// Carry connections to the cells of a swarm, on each of its machines
    #[command(subcommand)]
    Router(RouterCommand),
    /// Register, list, show and delete identities
    #[command(subcommand)]
    Identity(IdentityCommand),
    /// Make swarms known, list and forget them
    #[command(subcommand)]
    Swarm(SwarmCommand),
    /// List machines, drain them and let them work again
    #[command(subcommand)]
    Node(NodeCommand),
    /// Explain where identities go
    #[command(subcommand)]
    Placement(PlacementCommand),
    /// Run a cell of personal servers; create, list, change and delete cells
    #[command(subcommand)]
    Cell(CellCommand),
    /// Ask a daemon on this machine whether it is well
    Health(HealthArgs),
    /// Ask the directory where an identity's server is
    Resolve(ResolveArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Example: warren completion bash > /etc/bash_completion.d/warren")]
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warren up
  warren up --data-dir /srv/warren --listen 0.0.0.0 --hostname warren.example.org
  warren up --hostname '*.warren.localhost' --name-port 7443
  warren up --identity @alice --identity @bob
  warren up --peer-directory root.atsign.org:64
  warren up --peer-directory host2.lan:6464 --trust host2-ca.pem --dial-to 192.168.1.0/24")]
pub struct UpArgs {
    #[command(flatten)]
    pub data_dir: DataDirArg,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1", env = "WARREN_LISTEN")]
    pub listen: IpAddr,
    /// Name under which clients reach this machine; it stands in every address and certificate. With
    /// a pattern such as '*.warren.example.org' each identity has a name of her own below that domain,
    /// all at --name-port, and none needs a port
    #[arg(long, value_name = "NAME", default_value = "localhost", env = "WARREN_HOSTNAME")]
    pub hostname: Hosts,
    /// The one port of all identities that have names; in production 443
    #[arg(long, value_name = "PORT", env = "WARREN_NAME_PORT")]
    pub name_port: Option<NonZeroU16>,
    /// Where to listen for names [default: with a pattern, --listen and --name-port]; also without
    /// one, where --san adds a pattern to the certificate
    #[arg(long, value_name = "ADDR:PORT", env = "WARREN_NAMES")]
    pub names: Option<SocketAddr>,
    /// Port of the directory (0: any free one)
    #[arg(long, value_name = "PORT", default_value_t = 6464, env = "WARREN_DIRECTORY_PORT")]
    pub directory_port: u16,
    /// Port on which the directory answers HTTPS as well (0: any free one; default: it does not)
    #[arg(long, value_name = "PORT", env = "WARREN_DIRECTORY_HTTPS_PORT")]
    pub directory_https: Option<u16>,
    /// Port of the registrar: web page and API (0: any free one)
    #[arg(long, value_name = "PORT", default_value_t = 8443, env = "WARREN_REGISTRAR_PORT")]
    pub registrar_port: u16,
    /// Port of metrics and health, always on 127.0.0.1 (0: any free one)
    #[arg(long, value_name = "PORT", default_value_t = 9464, env = "WARREN_METRICS_PORT")]
    pub metrics_port: u16,
    /// Ports of the identities' servers: A-B, or several such ranges with commas
    #[arg(
        long,
        value_name = "A-B",
        default_value = "25000-32767,20000-24999",
        env = "WARREN_PORTS"
    )]
    pub ports: PortRanges,
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Directory to ask for identities that are not here, such as root.atsign.org:64 (repeatable)
    #[arg(long, value_name = "HOST:PORT", env = "WARREN_PEER_DIRECTORY", value_delimiter = ',')]
    pub peer_directory: Vec<Address>,
    /// Place that servers here may call although it is not public: an address, a network, or a
    /// host name, and a port or a range of ports if not all are meant (repeatable). Without it they
    /// call public addresses, and one another
    #[arg(long, value_name = "WHERE[:PORTS]", env = "WARREN_DIAL_TO", value_delimiter = ',')]
    pub dial_to: Vec<DialTarget>,
    /// Master key, kept outside the data directory (made if absent)
    #[arg(long, value_name = "FILE", env = "WARREN_MASTER_KEY_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub master_key_file: Option<PathBuf>,
    /// Identity to register at the start if it does not exist (repeatable)
    #[arg(long, value_name = "@NAME", env = "WARREN_IDENTITY", value_delimiter = ',')]
    pub identity: Vec<AtSign>,
    /// Who may register on the web page: anybody who reaches it, or only with the admin token.
    /// Default: open while listening on a loopback address, token otherwise
    #[arg(long, value_name = "WHO", env = "WARREN_WEB_REGISTRATION")]
    pub web_registration: Option<WebRegistrationArg>,
    /// Seconds that a server stays awake after its last connection
    #[arg(long, value_name = "SECONDS", default_value_t = 60, env = "WARREN_SLEEP_AFTER")]
    pub sleep_after: u64,
    #[command(flatten)]
    pub redis: RedisArgs,
    #[command(flatten)]
    pub store: StoreArgs,
    /// How to write logs to stderr
    #[arg(long, value_name = "FORMAT", default_value = "auto", env = "WARREN_LOG_FORMAT")]
    pub log_format: LogFormatArg,
}

/// Certificates, and whom to trust.
#[derive(Debug, Args)]
pub struct TlsArgs {
    /// Further name or pattern in the certificates, such as root.atsign.org (repeatable)
    #[arg(long, value_name = "NAME", env = "WARREN_SAN", value_delimiter = ',')]
    pub san: Vec<Hosts>,
    /// Certificate chain (PEM) to use instead of the built-in authority's
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "WARREN_TLS_CERT")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM) of --tls-cert
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "WARREN_TLS_KEY")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub tls_key: Option<PathBuf>,
    /// Authorities to trust (PEM) when --tls-cert is given: servers verify one another with them
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "WARREN_TLS_CA")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub tls_ca: Option<PathBuf>,
    /// Further authorities to trust (PEM), such as the ca.pem of another warren (repeatable)
    #[arg(long, value_name = "FILE", env = "WARREN_TRUST", value_delimiter = ',')]
    #[arg(value_hint = ValueHint::FilePath)]
    pub trust: Vec<PathBuf>,
}

/// A PostgreSQL that keeps the registrar's records.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// Keep the registrar's names in PostgreSQL instead of the data directory:
    /// postgres://user@host[:port][,host…]/database. Over TLS, unless it is on this machine
    #[arg(long, value_name = "URL", env = "WARREN_REGISTRAR_STORE", hide_env_values = true)]
    pub registrar_store: Option<String>,
    /// File with its password, which so need not stand in the URL
    #[arg(long, value_name = "FILE", requires = "registrar_store")]
    #[arg(env = "WARREN_REGISTRAR_STORE_PASSWORD_FILE", value_hint = ValueHint::FilePath)]
    pub registrar_store_password_file: Option<PathBuf>,
    /// Authorities that its certificate is checked with (PEM) [default: those of the servers]
    #[arg(long, value_name = "FILE", requires = "registrar_store")]
    #[arg(env = "WARREN_REGISTRAR_STORE_CA_FILE", value_hint = ValueHint::FilePath)]
    pub registrar_store_ca_file: Option<PathBuf>,
}

/// A Redis that carries the registrar's feed.
#[derive(Debug, Args)]
pub struct RedisArgs {
    /// Redis that carries the registrar's signed feed: redis[s]://[user[:password]@]host[:port][/database]
    #[arg(long, value_name = "URL", env = "WARREN_REDIS", hide_env_values = true)]
    pub redis: Option<String>,
    /// File with its password, which so need not stand in the URL
    #[arg(long, value_name = "FILE", requires = "redis", env = "WARREN_REDIS_PASSWORD_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub redis_password_file: Option<PathBuf>,
    /// Authorities that its certificate is checked with (PEM) where the URL is rediss://
    #[arg(long, value_name = "FILE", requires = "redis", env = "WARREN_REDIS_CA_FILE")]
    #[arg(value_hint = ValueHint::FilePath)]
    pub redis_ca_file: Option<PathBuf>,
    /// What the feed's keys there begin with; each registrar has its own
    #[arg(long, value_name = "TEXT", env = "WARREN_REDIS_PREFIX")]
    #[arg(default_value = feed::CarrierKeys::PREFIX)]
    pub redis_prefix: String,
}

#[derive(Debug, Subcommand)]
pub enum DirectoryCommand {
    /// Answer from memory: what a registrar's feed says, or what a snapshot file says
    Serve(Box<ServeArgs>),
    /// Show how a directory stands: how far it is, how old its knowledge is
    Status(StatusArgs),
    /// Make, show, check and write out snapshot files
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Make and show the keys that snapshot files are signed with
    #[command(subcommand)]
    Key(KeyCommand),
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key, and print the feed key that others check with
    New(NewKeyArgs),
    /// Print the feed key of a key file
    Show(OneKey),
}

#[derive(Debug, Args)]
pub struct NewKeyArgs {
    /// The file to write; one that is there is left as it is
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: PathBuf,
}

#[derive(Debug, Args)]
pub struct OneKey {
    /// The key file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum SnapshotCommand {
    /// Make a snapshot file of what an existing directory knows
    Build(BuildArgs),
    /// Show what is in a snapshot file
    Show(OneSnapshot),
    /// Check every checksum, every row and, with a key, every signature of a snapshot file
    Verify(VerifyArgs),
    /// Write out every name and address, as `build` reads them
    Dump(OneSnapshot),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  printf 'alice\\tswarm.example.org:25000\\n' > names.tsv
  warren directory snapshot build --from names.tsv --out directory.snapshot
  redis-cli --rdb dump.rdb && warren directory key new --out signing.key
  warren directory snapshot build --from dump.rdb --out directory.snapshot --key-file signing.key")]
pub struct BuildArgs {
    /// What it knows: a list, an atServers file or a dump of Redis, in any order ('-': stdin)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub from: PathBuf,
    /// In which form that is
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub format: ImportFormatArg,
    /// Leave out rows that are no name and address, and of a name that is there twice all but the
    /// last, instead of refusing them
    #[arg(long)]
    pub skip_bad: bool,
    /// Sign it with this key, which `warren directory key new` makes
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ImportFormatArg {
    /// What its beginning looks like
    Auto,
    /// A name, a tab and host:port a line
    Tsv,
    /// The atServers file of a split-horizon directory: a name, blanks and host:port a line
    AtServers,
    /// A dump of Redis (dump.rdb): keys are names, values host:port
    Rdb,
}

#[derive(Debug, Args)]
pub struct OneSnapshot {
    /// The snapshot file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The snapshot file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// The key that must have signed all of it
    #[arg(long, value_name = "KEY", env = "WARREN_FEED_KEY")]
    pub feed_key: Option<FeedKey>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warren directory serve --registrar https://warren.example.org:8443 --ca-file ca.pem \\
      --token-file admin.token --feed-key ed25519:… --tls-cert chain.pem --tls-key key.pem --listen 0.0.0.0
  warren directory serve --redis rediss://replica@redis.example.org --redis-password-file pw \\
      --feed-key ed25519:… --tls-cert chain.pem --tls-key key.pem --listen 0.0.0.0
  warren directory serve --snapshot directory.snapshot --tls-cert chain.pem --tls-key key.pem
  warren directory serve --snapshot directory.snapshot --tls-cert chain.pem --tls-key key.pem \\
      --dns 192.0.2.53:53 --dns-zone dir.example.org --dns-host ns.dir.example.org=192.0.2.53")]
pub struct ServeArgs {
    /// Where its snapshot is kept, for a start without the registrar
    #[command(flatten)]
    pub data_dir: DataDirArg,
    /// Answer from this snapshot file, and follow nobody
    #[arg(long, value_name = "FILE", env = "WARREN_SNAPSHOT", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["registrar", "ca_file", "token_file", "redis"])]
    pub snapshot: Option<PathBuf>,
    /// The registrar to follow; where it may be at several places, each of them (repeatable). With
    /// --redis, to follow when Redis is of no use
    #[arg(
        long,
        value_name = "URL",
        env = "WARREN_REGISTRAR",
        value_delimiter = ',',
        required_unless_present_any = ["snapshot", "redis"]
    )]
    #[arg(requires_all = ["ca_file", "token_file", "feed_key"])]
    pub registrar: Vec<String>,
    /// The registrar's key: nothing is believed that it has not signed (`feed_key` in the
    /// endpoints.json of a `warren up`). With --snapshot, the key that has signed the file
    #[arg(long, value_name = "KEY", env = "WARREN_FEED_KEY")]
    pub feed_key: Option<FeedKey>,
    /// Authorities that the registrar's certificate is checked with (PEM)
    #[arg(long, value_name = "FILE", env = "WARREN_CA_FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
    /// File with the admin token
    #[arg(long, value_name = "FILE", env = "WARREN_TOKEN_FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
    #[command(flatten)]
    pub redis: RedisArgs,
    /// Certificate chain (PEM) that clients see
    #[arg(long, value_name = "FILE", env = "WARREN_TLS_CERT", value_hint = ValueHint::FilePath)]
    pub tls_cert: PathBuf,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", env = "WARREN_TLS_KEY", value_hint = ValueHint::FilePath)]
    pub tls_key: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1", env = "WARREN_LISTEN")]
    pub listen: IpAddr,
    /// Port to listen on (0: any free one)
    #[arg(long, value_name = "PORT", default_value_t = 6464, env = "WARREN_DIRECTORY_PORT")]
    pub port: u16,
    /// Directory to ask for names that are not here. Without it they are unknown
    #[arg(long, value_name = "HOST:PORT", env = "WARREN_PARENT")]
    pub parent: Option<Address>,
    /// Authorities that the parent's certificate is checked with (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", env = "WARREN_PARENT_CA", value_hint = ValueHint::FilePath)]
    #[arg(requires = "parent")]
    pub parent_ca: Option<PathBuf>,
    /// Tell metrics and health on this address and port, without TLS: for you and your load balancer
    #[arg(long, value_name = "ADDR:PORT", env = "WARREN_METRICS")]
    pub metrics: Option<SocketAddr>,
    /// Seconds to go on as before after a signal, while /readyz says that this one is about to end:
    /// longer than the load balancer takes to notice
    #[arg(long, value_name = "SECONDS", default_value_t = 0, env = "WARREN_DRAIN_DELAY")]
    pub drain_delay: u64,
    /// Be replaced without a lost connection: a process started with the same path takes over the
    /// sockets of the one that runs, which then ends. Its folder must be this user's alone
    #[arg(long, value_name = "PATH", env = "WARREN_HANDOVER", value_hint = ValueHint::FilePath)]
    pub handover: Option<PathBuf>,
    /// Answer HTTPS as well, on this address and port, with the same certificate
    #[arg(long, value_name = "ADDR:PORT", env = "WARREN_HTTPS")]
    pub https: Option<SocketAddr>,
    /// File with the token of directories that may follow this one: they name it with --registrar
    /// and --token-file
    #[arg(long, value_name = "FILE", env = "WARREN_RELAY_TOKEN_FILE")]
    #[arg(value_hint = ValueHint::FilePath, requires = "https")]
    pub relay_token_file: Option<PathBuf>,
    #[command(flatten)]
    pub dns: DnsArgs,
    /// How to write logs to stderr
    #[arg(long, value_name = "FORMAT", default_value = "auto", env = "WARREN_LOG_FORMAT")]
    pub log_format: LogFormatArg,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Fails with 6 if it is not ready, and with 1 if its knowledge is older than --max-age.

Examples:
  warren directory status
  warren directory status https://directory.example.org:6443 --ca-file ca.pem --max-age 60")]
pub struct StatusArgs {
    /// The directory's HTTPS front, instead of the one that runs on the data directory
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// The same as host and port
    #[arg(long, value_name = "HOST:PORT", env = "WARREN_DIRECTORY_HTTPS")]
    pub https: Option<Address>,
    /// Fail if the registrar has not confirmed its knowledge for so many seconds; one that is in
    /// reach does so twice a minute
    #[arg(long, value_name = "SECONDS")]
    pub max_age: Option<u64>,
    #[command(flatten)]
    pub data_dir: DataDirArg,
    /// Authorities to trust (PEM)
    #[arg(long, value_name = "FILE", env = "WARREN_CA_FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum WebRegistrationArg {
    Open,
    Token,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormatArg {
    /// Text on a terminal, JSON otherwise
    Auto,
    Text,
    Json,
}

#[derive(Debug, Args)]
pub struct DataDirArg {
    /// Where everything is kept [default: $XDG_DATA_HOME/warren or ~/.local/share/warren]
    #[arg(long, value_name = "DIR", env = "WARREN_DATA_DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
}

/// How to find a running warren.
#[derive(Debug, Args)]
pub struct Connection {
    #[command(flatten)]
    pub data_dir: DataDirArg,
    /// The registrar, instead of the one that runs on the data directory
    #[arg(long, value_name = "URL", env = "WARREN_REGISTRAR")]
    pub registrar: Option<String>,
    /// Authorities to trust (PEM)
    #[arg(long, value_name = "FILE", env = "WARREN_CA_FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
    /// File with the admin token
    #[arg(long, value_name = "FILE", env = "WARREN_TOKEN_FILE", value_hint = ValueHint::FilePath)]
    pub token_file: Option<PathBuf>,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Register an identity, or many from a file
    Register(RegisterArgs),
    /// List identities
    List(ListArgs),
    /// Show one identity
    Show(OneIdentity),
    /// Move an identity to another cell of her swarm; returns once both cells know
    #[command(after_help = "Example: warren identity move @alice --to cell-2")]
    Move(MoveArgs),
    /// Show what an identity used, hour by hour
    Usage(UsageArgs),
    /// Delete an identity, her server and all its data
    Delete(DeleteArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warren identity register @alice
  warren identity register --from names.txt --json > secrets.jsonl")]
pub struct RegisterArgs {
    /// The name to register
    #[arg(value_name = "@NAME", required_unless_present = "from", conflicts_with = "from")]
    pub identity: Option<AtSign>,
    /// File with a name on each line; empty lines and lines that begin with # are left out ('-': stdin)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub from: Option<PathBuf>,
    /// Whether the servers share cells, or go where each is alone
    #[arg(long, value_name = "TIER", default_value = "shared")]
    pub tier: TierArg,
    /// Registrations under way at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallel: u16,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TierArg {
    /// In a cell with thousands
    Shared,
    /// In a cell whose machine has the label tier=dedicated
    Dedicated,
}

impl From<TierArg> for Tier {
    fn from(tier: TierArg) -> Self {
        match tier {
            TierArg::Shared => Self::Shared,
            TierArg::Dedicated => Self::Dedicated,
        }
    }
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub struct OneIdentity {
    /// The identity
    #[arg(value_name = "@NAME")]
    pub identity: AtSign,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub struct MoveArgs {
    #[command(flatten)]
    pub one: OneIdentity,
    /// The cell, such as cell-2 [default: the one that a new identity would get]
    #[arg(long, value_name = "CELL")]
    pub to: Option<CellId>,
}

#[derive(Debug, Args)]
pub struct UsageArgs {
    #[command(flatten)]
    pub one: OneIdentity,
    /// How far back; older days are one row each
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub hours: u32,
}

#[derive(Debug, Args)]
pub struct DeleteArgs {
    #[command(flatten)]
    pub one: OneIdentity,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct ResolveArgs {
    /// The identity
    #[arg(value_name = "@NAME")]
    pub identity: AtSign,
    /// The directory, instead of the one that runs on the data directory
    #[arg(long, value_name = "HOST:PORT", env = "WARREN_DIRECTORY")]
    pub directory: Option<Address>,
    #[command(flatten)]
    pub data_dir: DataDirArg,
    /// Ask for the registrar's signed word, and believe nothing else
    #[arg(long)]
    pub verify: bool,
    /// The directory's HTTPS front, for --verify
    #[arg(long, value_name = "HOST:PORT", requires = "verify")]
    pub https: Option<Address>,
    /// The registrar's key, for --verify
    #[arg(long, value_name = "KEY", env = "WARREN_FEED_KEY", requires = "verify")]
    pub feed_key: Option<FeedKey>,
    /// Authorities to trust (PEM)
    #[arg(long, value_name = "FILE", env = "WARREN_CA_FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
