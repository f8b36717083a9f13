//! `warren cell …`, for operators; the cell itself is `warren cell serve`.

mod change;
mod create;
mod drain;
mod list;
mod quantity;
pub mod show;
mod upgrade;

use std::num::NonZeroU16;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use protocol::control::names::{CellId, SwarmName};

use crate::args::Connection;
use crate::failure::Failure;
use crate::waiting::WaitArgs;

pub use quantity::label;
pub use upgrade::UpgradeArgs;

#[derive(Debug, Subcommand)]
pub enum CellsCommand {
    /// Have a swarm run a cell, or several
    Create(CreateCellArgs),
    /// List cells
    List(CellListArgs),
    /// Show one cell
    Show(OneCell),
    /// Change what a cell runs, or how much it may use
    Set(SetCellArgs),
    /// Renew the image of a swarm's cells, ring by ring; what fails is put back
    Upgrade(UpgradeArgs),
    /// Have all who live in a cell go to other cells, and nobody come
    #[command(after_help = "Example: warren cell drain cell-7 --wait")]
    Drain(DrainCellArgs),
    /// Let a cell that was drained take identities again
    Activate(OneCell),
    /// Have a cell run no more; it must be empty
    Delete(DeleteCellArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  warren cell create --swarm eu-1 --image warren-cell:0.1 --port 7001 --wait
  warren cell create --swarm eu-1 --image warren-cell:0.1 --port 7001 --count 6 --on zone=a")]
pub struct CreateCellArgs {
    /// The swarm that runs it
    #[arg(long, value_name = "SWARM")]
    pub swarm: SwarmName,
    /// The image
    #[arg(long, value_name = "IMAGE")]
    pub image: String,
    /// The port on its machine at which routers reach it; the next cell has the next one
    #[arg(long, value_name = "PORT")]
    pub port: NonZeroU16,
    /// How many cells
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub count: u16,
    /// For how many identities each has room; 1 for a server of its own
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub capacity: u32,
    /// Memory that each may use
    #[arg(long, value_name = "BYTES", default_value = "512M", value_parser = quantity::memory)]
    pub memory: u64,
    /// Processors that each may use
    #[arg(long, value_name = "N", default_value = "1.0", value_parser = quantity::cpus)]
    pub cpus: u32,
    /// Label that its machine must have (repeatable)
    #[arg(long, value_name = "LABEL=VALUE", value_parser = label)]
    pub on: Vec<(String, String)>,
    #[command(flatten)]
    pub wait: WaitArgs,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub struct CellListArgs {
    /// Only those of this swarm
    #[arg(long, value_name = "SWARM")]
    pub swarm: Option<SwarmName>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub struct OneCell {
    /// The cell, such as cell-7
    #[arg(value_name = "CELL")]
    pub cell: CellId,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: warren cell set cell-7 --image warren-cell:0.2 --memory 1G")]
pub struct SetCellArgs {
    #[command(flatten)]
    pub one: OneCell,
    #[command(flatten)]
    pub changes: CellChanges,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct CellChanges {
    /// The image
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// For how many identities it has room
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub capacity: Option<u32>,
    /// Memory that it may use
    #[arg(long, value_name = "BYTES", value_parser = quantity::memory)]
    pub memory: Option<u64>,
    /// Processors that it may use
    #[arg(long, value_name = "N", value_parser = quantity::cpus)]
    pub cpus: Option<u32>,
}

#[derive(Debug, Args)]
pub struct DrainCellArgs {
    #[command(flatten)]
    pub one: OneCell,
    #[command(flatten)]
    pub wait: WaitArgs,
}

#[derive(Debug, Args)]
pub struct DeleteCellArgs {
    #[command(flatten)]
    pub one: OneCell,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Runs one of the commands.
pub async fn run(command: &CellsCommand) -> Result<ExitCode, Failure> {
    match command {
        CellsCommand::Create(args) => create::create(args).await,
        CellsCommand::List(args) => list::list(args).await,
        CellsCommand::Show(args) => show::show(args).await,
        CellsCommand::Set(args) => change::set(args).await,
        CellsCommand::Upgrade(args) => upgrade::upgrade(args).await,
        CellsCommand::Drain(args) => drain::drain(args).await,
        CellsCommand::Activate(args) => drain::activate(args).await,
        CellsCommand::Delete(args) => change::delete(args).await,
    }?;
    Ok(ExitCode::SUCCESS)
}
