//! `warren deploy …` as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use protocol::Hosts;

#[derive(Debug, Subcommand)]
pub enum DeployCommand {
    /// Make all keys, tokens and certificates of a fleet, and print how a Swarm is given them
    Keys(KeysArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Whatever is there already is kept. Keep the folder: who has it can read everything, and without
storage.key nothing that was ever stored can be read again.

Example:
  warren deploy keys --dir keys --hostname warren.example.org --san 10.0.0.1 --san 10.0.0.2 | sh")]
pub struct KeysArgs {
    /// The folder, made if absent
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// Name under which clients reach the fleet, or a pattern such as '*.warren.example.org'
    #[arg(long, value_name = "NAME")]
    pub hostname: Hosts,
    /// Further name or address in the certificate, such as each machine's (repeatable)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub san: Vec<Hosts>,
    /// Issue the certificate anew, for other names or because it ends soon
    #[arg(long)]
    pub renew_certificate: bool,
}
