//! `warren router …`: carrying connections to the cells, on every machine of a swarm.

pub mod args;
mod health;
mod serve;

use std::process::ExitCode;

use crate::failure::Failure;
use args::RouterCommand;

/// Does one of them.
pub fn run(command: &RouterCommand) -> Result<ExitCode, Failure> {
    let RouterCommand::Serve(args) = command;
    serve::run(args)?;
    Ok(ExitCode::SUCCESS)
}
