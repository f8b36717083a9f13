//! `warren swarm …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use protocol::control::names::SwarmName;

use crate::api::{Api, SwarmView};
use crate::args::Connection;
use crate::failure::Failure;
use crate::output;
use crate::question::confirm;
use crate::table::{self, short};

#[derive(Debug, Subcommand)]
pub enum SwarmCommand {
    /// Make a Docker Swarm known, so that it may have cells
    Create(OneSwarm),
    /// List swarms
    List(SwarmListArgs),
    /// Show one swarm
    Show(OneSwarm),
    /// Forget a swarm that has no cells
    Delete(DeleteSwarmArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example: warren swarm create eu-1")]
pub struct OneSwarm {
    /// The swarm
    #[arg(value_name = "SWARM")]
    pub swarm: SwarmName,
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub struct SwarmListArgs {
    #[command(flatten)]
    pub connection: Connection,
}

#[derive(Debug, Args)]
pub struct DeleteSwarmArgs {
    #[command(flatten)]
    pub one: OneSwarm,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Runs one of the commands.
pub async fn run(command: &SwarmCommand) -> Result<ExitCode, Failure> {
    match command {
        SwarmCommand::Create(args) => create(args).await,
        SwarmCommand::List(args) => list(args).await,
        SwarmCommand::Show(args) => show(args).await,
        SwarmCommand::Delete(args) => delete(args).await,
    }?;
    Ok(ExitCode::SUCCESS)
}

async fn create(args: &OneSwarm) -> Result<(), Failure> {
    let swarm = Api::connect(&args.connection)?.create_swarm(&args.swarm).await?;
    if args.connection.json {
        return output::json(&swarm);
    }
    output::line(format_args!(
        "{0} is known. Next:\n  warren cell create --swarm {0} --image IMAGE --port PORT",
        swarm.swarm
    ))
}

async fn list(args: &SwarmListArgs) -> Result<(), Failure> {
    let swarms = Api::connect(&args.connection)?.swarms().await?;
    if args.connection.json {
        return swarms.iter().try_for_each(output::json);
    }
    let rows = swarms.iter().map(|swarm| {
        let SwarmView { nodes, cells, identities, capacity, .. } = swarm;
        let numbers = [nodes.to_string(), cells.to_string(), format!("{identities}/{capacity}")];
        let [nodes, cells, places] = numbers;
        [short(swarm.swarm.as_str(), 40), nodes, cells, places]
    });
    table::print(["swarm", "nodes ", "cells ", "places "], rows)
}

async fn show(args: &OneSwarm) -> Result<(), Failure> {
    let swarm = Api::connect(&args.connection)?.swarm(&args.swarm).await?;
    if args.connection.json {
        return output::json(&swarm);
    }
    table::fact("swarm", &swarm.swarm)?;
    table::fact("since", swarm.since)?;
    table::fact("nodes", swarm.nodes)?;
    table::fact("cells", swarm.cells)?;
    table::fact("places", format_args!("{} of {} taken", swarm.identities, swarm.capacity))
}

async fn delete(args: &DeleteSwarmArgs) -> Result<(), Failure> {
    let OneSwarm { swarm, connection } = &args.one;
    if !args.yes {
        confirm(swarm.as_str(), &format!("This forgets the swarm {swarm}."))?;
    }
    Api::connect(connection)?.delete_swarm(swarm).await?;
    if connection.json {
        return output::json(&serde_json::json!({ "swarm": swarm, "deleted": true }));
    }
    output::line(format_args!("{swarm} is forgotten."))
}
