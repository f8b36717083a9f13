//! `warren host …` as typed.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use protocol::control::names::SwarmName;

use crate::fleet_args::FleetArgs;

#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// Run beside a machine's Docker engine: report the machine, and make the cells' services
    Serve(Box<HostArgs>),
}

#[derive(Debug, Args)]
#[command(after_help = "\
What stands behind -- is what every cell is told in addition: `warren cell serve --help`.

Example:
  warren host serve --swarm eu --registrar https://10.0.0.1:8443 --registrar-ca ca.pem \\
      --token-file host.token --volumes /srv/warren --secret storage.key=warren-storage-1f3a \\
      -- --registrar=https://10.0.0.1:8443 --master-key-file=/run/secrets/storage.key")]
pub struct HostArgs {
    #[command(flatten)]
    pub fleet: FleetArgs,
    /// The swarm that this machine belongs to, as the registrar knows it
    #[arg(long, value_name = "NAME", env = "WARREN_SWARM")]
    pub swarm: SwarmName,
    /// The engine's socket
    #[arg(long, value_name = "SOCKET", default_value = "unix:///var/run/docker.sock")]
    #[arg(env = "WARREN_ENGINE")]
    pub engine: String,
    /// Where every machine of the swarm sees the volumes
    #[arg(long, value_name = "DIR", env = "WARREN_VOLUMES", value_hint = ValueHint::DirPath)]
    pub volumes: PathBuf,
    /// Where this process sees them, to say how full they are [default: as --volumes]
    #[arg(long, value_name = "DIR", env = "WARREN_VOLUMES_HERE", value_hint = ValueHint::DirPath)]
    pub volumes_here: Option<PathBuf>,
    /// Where other machines reach this one [default: where the engine says]
    #[arg(long, value_name = "ADDR", env = "WARREN_ADDRESS")]
    pub address: Option<IpAddr>,
    /// Secret of the engine that cells get as /run/secrets/FILE (repeatable)
    #[arg(long, value_name = "FILE=SECRET", env = "WARREN_SECRET", value_delimiter = ',')]
    #[arg(value_parser = secret)]
    pub secret: Vec<(String, String)>,
    /// Host name that cells know without asking (repeatable)
    #[arg(long, value_name = "NAME=IP", env = "WARREN_HOST", value_delimiter = ',')]
    #[arg(value_parser = host)]
    pub host: Vec<(String, IpAddr)>,
    /// Print what would be done to the swarm's services, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Port of health, always on 127.0.0.1 (0: any free one)
    #[arg(long, value_name = "PORT", default_value_t = 9464, env = "WARREN_HEALTH_PORT")]
    pub health_port: u16,
    /// What every cell is told
    #[arg(last = true, value_name = "CELL OPTION")]
    pub cell: Vec<String>,
}

/// Both become parts of a path or a line of a file: nothing but plain characters.
fn is_plain(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(is_good) && !text.starts_with('.')
}

fn secret(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((file, name)) if is_plain(file) && is_plain(name) => Ok((file.into(), name.into())),
        _ => Err("a secret is FILE=SECRET, such as storage.key=warren-storage-1f3a".into()),
    }
}

fn host(text: &str) -> Result<(String, IpAddr), String> {
    let parsed = text.split_once('=').filter(|(name, _)| is_plain(name));
    let parsed = parsed.and_then(|(name, address)| Some((name.to_owned(), address.parse().ok()?)));
    parsed.ok_or_else(|| "a host is NAME=IP, such as warren.example.org=10.0.0.1".into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn secrets_and_hosts_are_plain_pairs() {
        assert_eq!(secret("a.key=w-1"), Ok(("a.key".into(), "w-1".into())));
        assert_eq!(host("n=::1"), Ok(("n".into(), "::1".parse().unwrap())));
        for bad in ["", "a", "=a", "a=", "../a=b", "a/b=c", "a=b c", ".a=b", "a=b\n"] {
            assert!(secret(bad).is_err(), "{bad:?}");
            assert!(host(bad).is_err(), "{bad:?}");
        }
    }
}
