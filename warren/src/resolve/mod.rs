//! `warren resolve`

mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use net::dial::{DialPolicy, Dialer};
use net::lookup::{DirectoryClient, LookupError};
use net::tls::{ClientTls, TrustRoots};
use protocol::Address;

use crate::args::ResolveArgs;
use crate::data_dir::DataDir;
use crate::endpoints::Endpoints;
use crate::failure::{Exit, Failure};
use crate::output;

/// Asks a directory, over the same protocol as every client.
pub async fn run(args: &ResolveArgs) -> Result<ExitCode, Failure> {
    if args.verify {
        return verify::run(args).await;
    }
    let (directory, ca_file) = find_directory(args)?;
    let roots = TrustRoots::from_pem_file(&ca_file).map_err(|error| {
        Failure::from_error(Exit::Usage, &error).fix("pass --ca-file with the authorities to trust")
    })?;
    let tls =
        ClientTls::new(&roots, None).map_err(|error| Failure::from_error(Exit::Failed, &error))?;
    let dialer = Dialer::new(tls, DialPolicy::Any, net::limits::DIAL_DEADLINE);
    let client = DirectoryClient::new(directory.clone(), dialer);
    match client.resolve(&args.identity).await {
        Ok(Some(address)) if args.json => {
            let answer = serde_json::json!({ "identity": args.identity, "address": address });
            output::json(&answer).map(|()| ExitCode::SUCCESS)
        }
        Ok(Some(address)) => output::line(address).map(|()| ExitCode::SUCCESS),
        Ok(None) => {
            let what = format!("the directory at {directory} knows no {}", args.identity);
            let fix = format!("register her: warren identity register {}", args.identity);
            Err(Failure::new(Exit::NotFound, what).fix(fix))
        }
        Err(error) => Err(unanswered(&directory, &error)),
    }
}

fn find_directory(args: &ResolveArgs) -> Result<(Address, PathBuf), Failure> {
    match (&args.directory, &args.ca_file) {
        (Some(directory), Some(ca_file)) => Ok((directory.clone(), ca_file.clone())),
        (directory, ca_file) => {
            let dir = DataDir::resolve(args.data_dir.data_dir.as_deref())?;
            let found = Endpoints::read(&dir)?;
            Ok((
                directory.clone().unwrap_or(found.directory),
                ca_file.clone().unwrap_or(found.ca_file),
            ))
        }
    }
}

fn unanswered(directory: &Address, error: &LookupError) -> Failure {
    let what =
        format!("the directory at {directory} does not answer: {}", crate::failure::chain(error));
    Failure::new(Exit::Unavailable, what)
        .fix("check that warren up runs, and --directory and --ca-file")
}
