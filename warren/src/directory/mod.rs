//! `warren directory …`: a replica, how it stands, and the files that it starts from.

pub mod dns;
mod fronts;
mod key;
mod parent;
mod serve;
mod snapshot;
mod status;
pub mod succession;
mod watchers;

use std::process::ExitCode;

use crate::args::{DirectoryCommand, KeyCommand, SnapshotCommand};
use crate::failure::Failure;

/// Does one of them.
pub fn run(command: &DirectoryCommand) -> Result<ExitCode, Failure> {
    match command {
        DirectoryCommand::Serve(args) => serve::run(args),
        DirectoryCommand::Status(args) => crate::client_runtime()?.block_on(status::run(args)),
        DirectoryCommand::Snapshot(SnapshotCommand::Build(args)) => snapshot::build(args),
        DirectoryCommand::Snapshot(SnapshotCommand::Show(args)) => snapshot::show(args),
        DirectoryCommand::Snapshot(SnapshotCommand::Verify(args)) => snapshot::verify(args),
        DirectoryCommand::Snapshot(SnapshotCommand::Dump(args)) => snapshot::dump(args),
        DirectoryCommand::Key(KeyCommand::New(args)) => key::make(&args.out),
        DirectoryCommand::Key(KeyCommand::Show(args)) => key::show(&args.file),
    }?;
    Ok(ExitCode::SUCCESS)
}
