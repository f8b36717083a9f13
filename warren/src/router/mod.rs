//! `warren router …`: carrying connections to the cells, on every machine of a swarm.

pub mod args;
mod front;
mod health;
mod kept;
mod serve;
mod succession;
mod trace;

use std::process::ExitCode;

use crate::failure::Failure;
use args::RouterCommand;

/// Does one of them.
pub fn run(command: &RouterCommand) -> Result<ExitCode, Failure> {
    match command {
        RouterCommand::Serve(args) => serve::run(args).map(|()| ExitCode::SUCCESS),
        RouterCommand::Trace(args) => trace::run(args),
    }
}
