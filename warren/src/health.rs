//! `warren health PORT`: asks a daemon on this machine whether it is well, for container engines.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use clap::Args;
use net::probe::http_status;

use crate::failure::{Exit, Failure};

/// For each of connecting, asking and answering.
const DEADLINE: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
#[command(after_help = "Example: warren health 9464 && echo well")]
pub struct HealthArgs {
    /// The port of its metrics and health
    #[arg(value_name = "PORT")]
    pub port: NonZeroU16,
}

/// Asks `http://127.0.0.1:PORT/healthz`.
pub fn run(args: &HealthArgs) -> Result<(), Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port.get()));
    let says = match http_status(address, "/healthz", DEADLINE) {
        Ok(200) => return Ok(()),
        Ok(status) => format!("answers with status {status}"),
        Err(error) => format!("does not answer: {error}"),
    };
    Err(Failure::new(Exit::Failed, format!("http://{address}/healthz {says}")))
}
