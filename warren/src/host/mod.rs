//! `warren host …`: the agent on a machine of a swarm.

pub mod args;
mod serve;

use std::process::ExitCode;

use crate::failure::Failure;
use args::HostCommand;

/// Does one of them.
pub fn run(command: &HostCommand) -> Result<ExitCode, Failure> {
    match command {
        HostCommand::Serve(args) => serve::run(args).map(|()| ExitCode::SUCCESS),
    }
}
