//! `warren registrar …`: the registrar as a service of its own.

mod args;
pub mod front;
mod serve;
pub mod store;

pub use args::RegistrarCommand;

use crate::failure::Failure;

/// Does one of them.
pub fn run(command: &RegistrarCommand) -> Result<(), Failure> {
    match command {
        RegistrarCommand::Serve(args) => serve::run(args),
    }
}
