//! `warren deploy …`: what a fleet is started with.

pub mod args;
mod keys;

use std::process::ExitCode;

use crate::failure::Failure;
use args::DeployCommand;

/// Does one of them.
pub fn run(command: &DeployCommand) -> Result<ExitCode, Failure> {
    match command {
        DeployCommand::Keys(args) => keys::make(args).map(|()| ExitCode::SUCCESS),
    }
}
