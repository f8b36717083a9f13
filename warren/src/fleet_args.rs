//! How a daemon of a fleet reaches its registrar: the options that all of them have.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use net::https::{Upstream, parse_url};
use net::tls::{ClientTls, TlsError, TrustRoots};
use protocol::Address;

use crate::args::LogFormatArg;
use crate::failure::{Exit, Failure};
use crate::files::{read_token, system_authorities};

#[derive(Debug, Args)]
pub struct FleetArgs {
    /// The registrar; where it may be at several places, each of them (repeatable, or with commas)
    #[arg(long, value_name = "URL", env = "WARREN_REGISTRAR", value_delimiter = ',')]
    #[arg(required = true)]
    pub registrar: Vec<String>,
    /// Authorities that the registrar's certificate is checked with (PEM) [default: the system's]
    #[arg(long, value_name = "FILE", env = "WARREN_REGISTRAR_CA", value_hint = ValueHint::FilePath)]
    pub registrar_ca: Option<PathBuf>,
    /// File with the token of this kind of daemon
    #[arg(long, value_name = "FILE", env = "WARREN_TOKEN_FILE", value_hint = ValueHint::FilePath)]
    pub token_file: PathBuf,
    /// How to write logs to stderr
    #[arg(long, value_name = "FORMAT", default_value = "auto", env = "WARREN_LOG_FORMAT")]
    pub log_format: LogFormatArg,
}

impl FleetArgs {
    /// The registrar, as this daemon asks it.
    pub fn upstream(&self) -> Result<Upstream, Failure> {
        let usage = |error: TlsError| Failure::from_error(Exit::Usage, &error);
        let ca = self.registrar_ca.clone().or_else(system_authorities).ok_or_else(|| {
            Failure::new(Exit::Usage, "there are no authorities to trust on this system")
                .fix("pass --registrar-ca with the authority of the registrar's certificate")
        })?;
        let roots = TrustRoots::from_pem_file(&ca).map_err(usage)?;
        let tls = ClientTls::new(&roots, None).map_err(usage)?;
        let addresses: Vec<Address> =
            self.registrar.iter().map(|url| read_url(url)).collect::<Result<_, _>>()?;
        let token = read_token(&self.token_file)
            .map_err(|failure| failure.fix("pass --token-file with this kind of daemon's token"))?;
        Ok(Upstream::new(tls, addresses, &token))
    }
}

fn read_url(url: &str) -> Result<Address, Failure> {
    parse_url(url.trim()).map_err(|error| {
        Failure::from_error(Exit::Usage, &error).fix("pass --registrar https://HOST:PORT")
    })
}
