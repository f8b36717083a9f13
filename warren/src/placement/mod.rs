//! `warren placement …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use protocol::AtSign;
use protocol::control::names::CellId;
use registrar::choice::{Judged, Part, Policy, Rule, Verdict};

use crate::api::{Api, PlacementView};
use crate::args::Connection;
use crate::failure::Failure;
use crate::output;
use crate::table::{self, short};

#[derive(Debug, Subcommand)]
pub enum PlacementCommand {
    /// Say where an identity is or would go, and why
    Explain(ExplainArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
A cell with '>' would be chosen now, one with '*' has her.

Examples:
  warren placement explain @alice
  warren placement explain @bob --policy packing --needs tier=dedicated")]
pub struct ExplainArgs {
    /// The identity; one that nobody has is fine
    #[arg(value_name = "@NAME")]
    pub identity: AtSign,
    /// As if this were the registrar's policy
    #[arg(long, value_name = "POLICY")]
    pub policy: Option<Policy>,
    /// As if this label were asked for (repeatable)
    #[arg(long, value_name = "LABEL=VALUE", value_parser = crate::cells::label)]
    pub needs: Vec<(String, String)>,
    #[command(flatten)]
    pub connection: Connection,
}

/// Runs the command.
pub async fn run(command: &PlacementCommand) -> Result<ExitCode, Failure> {
    let PlacementCommand::Explain(args) = command;
    let api = Api::connect(&args.connection)?;
    let placement = api.explain(&args.identity, args.policy, &args.needs).await?;
    if args.connection.json {
        output::json(&placement)?;
    } else {
        print(&placement)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(placement: &PlacementView) -> Result<(), Failure> {
    let PlacementView { identity, state, cell, explanation } = placement;
    let is_now = match (state, cell) {
        (None, _) => "is free".to_owned(),
        (Some(state), Some(cell)) => format!("is {state}, in {cell}"),
        (Some(state), None) => format!("is {state}, in no cell"),
    };
    let would = match explanation.chosen {
        Some(chosen) if Some(chosen) == *cell => "would stay there".to_owned(),
        Some(chosen) => format!("would go to {chosen}"),
        None => "would find no room".to_owned(),
    };
    output::line(format_args!("{identity} {is_now}; by {} she {would}.\n", explanation.policy))?;
    let rows = explanation.candidates.iter().flat_map(|one| rows(one, placement));
    table::print(["", "cell", "zone", "places ", "points ", "why"], rows)
}

/// One row, and one more for each reason after the first.
fn rows(one: &Judged, placement: &PlacementView) -> Vec<[String; 6]> {
    let (points, reasons) = match &one.verdict {
        Verdict::Refused { reasons } => {
            let details = reasons.iter().map(|reason| short(&reason.detail, 40));
            ("no".to_owned(), details.collect())
        }
        Verdict::Scored { points, parts } => {
            (points.to_string(), parts.iter().map(part).collect::<Vec<_>>())
        }
    };
    let first = [
        mark(one.cell, placement).to_owned(),
        one.cell.to_string(),
        short(one.zone.as_deref().unwrap_or("-"), 10),
        format!("{}/{}", one.count, one.capacity),
        points,
    ];
    let blank = [const { String::new() }; 5];
    let fronts = [first].into_iter().chain(std::iter::repeat(blank));
    let rows = fronts.zip(reasons).map(|([mark, cell, zone, places, points], reason)| {
        [mark, cell, zone, places, points, reason]
    });
    rows.collect()
}

fn mark(cell: CellId, placement: &PlacementView) -> &'static str {
    let is_here = placement.cell == Some(cell);
    match (placement.explanation.chosen == Some(cell), is_here) {
        (true, true) => ">*",
        (true, false) => ">",
        (false, true) => "*",
        (false, false) => "",
    }
}

fn part(part: &Part) -> String {
    let what = match part.rule {
        Rule::Room => "room that is free",
        Rule::Fullness => "room that is taken",
        Rule::Turn => "its turn",
        Rule::Machine => "what its machine has left",
        Rule::Zone => "room in its zone",
        Rule::CellCompanions => "companions in the cell",
        Rule::ZoneCompanions => "companions in the zone",
    };
    format!("{:+} {what}", part.points)
}
