//! `warren node …`

mod find;
mod list;
mod set;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use protocol::control::fleet::Availability;
use protocol::control::names::SwarmName;

use crate::args::Connection;
use crate::failure::Failure;
use crate::waiting::WaitArgs;

#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List machines: how fresh their reports are, how full they are, what they run
    List(NodeListArgs),
    /// Show one machine
    Show(OneNode),
    /// Have a machine give away all that it runs
    #[command(after_help = "Example: warren node drain n2 --wait")]
    Drain(DrainArgs),
    /// Let a machine take work again
    Activate(OneNode),
    /// Give a machine nothing more; it keeps what it has
    Pause(OneNode),
}

#[derive(Debug, Args)]
pub struct NodeListArgs {
    /// Only those of this swarm
    #[arg(long, value_name = "SWARM")]
    pub swarm: Option<SwarmName>,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub struct OneNode {
    /// The machine: its node id, the beginning of it, or its host name
    #[arg(value_name = "NODE")]
    pub node: String,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub struct DrainArgs {
    #[command(flatten)]
    pub one: OneNode,
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Runs one of the commands.
pub async fn run(command: &NodeCommand) -> Result<ExitCode, Failure> {
    match command {
        NodeCommand::List(args) => list::list(args).await,
        NodeCommand::Show(args) => show::show(args).await,
        NodeCommand::Drain(args) => set::drain(args).await,
        NodeCommand::Activate(args) => set::set(args, Availability::Active).await,
        NodeCommand::Pause(args) => set::set(args, Availability::Pause).await,
    }?;
    Ok(ExitCode::SUCCESS)
}

/// As it is typed and shown.
fn word(availability: Availability) -> &'static str {
    match availability {
        Availability::Active => "active",
        Availability::Pause => "pause",
        Availability::Drain => "drain",
    }
}
