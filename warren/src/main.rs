//! The installed program: one subcommand for each role.
//!
//! **For:** reading the command line, wiring the parts together, and saying how it went.
//! **Owns:** argument parsing, the data directory's layout, exit codes, what is printed.
//! **Never:** decides anything that a part decides; there is no protocol, storage or placement
//! logic here.

mod api;
mod args;
mod cell;
mod cells;
mod data_dir;
mod deploy;
mod descriptors;
mod directory;
mod endpoints;
mod failure;
mod files;
mod fleet_args;
mod health;
mod host;
mod identity;
mod listening;
mod memory;
mod monitoring;
mod names;
mod node;
mod output;
mod placement;
mod question;
mod redis;
mod registrar;
mod renewal;
mod resolve;
mod router;
mod signals;
mod swarm;
mod table;
mod tls;
mod up;
mod waiting;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command, IdentityCommand};
use crate::cell::CellCommand;
use crate::failure::{Exit, Failure};

#[global_allocator]
static MEMORY: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    net::tls::install_provider();
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("warren: {failure}");
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Up(args) => up::run(*args).map(|()| ExitCode::SUCCESS),
        Command::Directory(command) => directory::run(&command),
        Command::Host(command) => host::run(&command),
        Command::Deploy(command) => deploy::run(&command),
        Command::Registrar(command) => registrar::run(&command).map(|()| ExitCode::SUCCESS),
        Command::Router(command) => router::run(&command),
        Command::Identity(IdentityCommand::Register(args)) => {
            client_runtime()?.block_on(identity::register(args))
        }
        Command::Identity(IdentityCommand::List(args)) => {
            client_runtime()?.block_on(identity::list(&args))
        }
        Command::Identity(IdentityCommand::Show(args)) => {
            client_runtime()?.block_on(identity::show(&args))
        }
        Command::Identity(IdentityCommand::Move(args)) => {
            client_runtime()?.block_on(identity::relocate(&args))
        }
        Command::Identity(IdentityCommand::Usage(args)) => {
            client_runtime()?.block_on(identity::usage(&args))
        }
        Command::Identity(IdentityCommand::Delete(args)) => {
            client_runtime()?.block_on(identity::delete(&args))
        }
        Command::Swarm(command) => client_runtime()?.block_on(swarm::run(&command)),
        Command::Node(command) => client_runtime()?.block_on(node::run(&command)),
        Command::Placement(command) => client_runtime()?.block_on(placement::run(&command)),
        Command::Cell(CellCommand::Serve(args)) => {
            cell::serve::run(&args).map(|()| ExitCode::SUCCESS)
        }
        Command::Cell(CellCommand::Operator(command)) => {
            client_runtime()?.block_on(cells::run(&command))
        }
        Command::Health(args) => health::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Resolve(args) => client_runtime()?.block_on(resolve::run(&args)),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "warren", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Commands that only ask others need no more than one thread.
fn client_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot start: {error}"))
            .fix("raise the limits on open files and processes (ulimit -n, ulimit -u)")
    })
}
