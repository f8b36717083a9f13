//! What all daemons of a fleet are told about their registrar.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use net::https::Upstream;
use net::tls::{ClientTls, TlsError, TrustRoots};

use crate::args::LogFormatArg;
use crate::failure::{Exit, Failure};
use crate::files::read_token;

#[derive(Debug, Args)]
pub struct FleetArgs {
    /// The registrar; where it may be at any of several addresses, all of them (repeatable)
    #[arg(long, value_name = "URL", env = "WARREN_REGISTRAR", value_delimiter = ',')]
    #[arg(required = true)]
    pub registrar: Vec<String>,
    /// Authorities that its certificate is checked with (PEM)
    #[arg(long, value_name = "FILE", env = "WARREN_REGISTRAR_CA", value_hint = ValueHint::FilePath)]
    pub registrar_ca: PathBuf,
    /// File with the token that the registrar knows this kind of daemon by
    #[arg(long, value_name = "FILE", env = "WARREN_TOKEN_FILE", value_hint = ValueHint::FilePath)]
    pub token_file: PathBuf,
    /// How to write logs to stderr
    #[arg(long, value_name = "FORMAT", default_value = "auto", env = "WARREN_LOG_FORMAT")]
    pub log_format: LogFormatArg,
}

impl FleetArgs {
    /// The registrar, ready to be asked.
    pub fn upstream(&self) -> Result<Upstream, Failure> {
        let usage = |error: TlsError| Failure::from_error(Exit::Usage, &error);
        let address = |url: &String| {
            net::https::parse_url(url).map_err(|error| {
                Failure::from_error(Exit::Usage, &error).fix("pass --registrar https://HOST:PORT")
            })
        };
        let addresses = self.registrar.iter().map(address).collect::<Result<_, _>>()?;
        let roots = TrustRoots::from_pem_file(&self.registrar_ca).map_err(usage)?;
        let tls = ClientTls::new(&roots, None).map_err(usage)?;
        Ok(Upstream::new(tls, addresses, &read_token(&self.token_file)?))
    }
}
