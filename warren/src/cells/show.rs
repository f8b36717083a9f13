//! `warren cell show`

use protocol::control::roster::IllServer;
use registrar::Cause;

use super::OneCell;
use super::list::state;
use crate::api::{Api, CellView, EmptyingView};
use crate::failure::Failure;
use crate::output;
use crate::table::{age, bytes, fact, labels};

/// Prints all that is known of one cell.
pub async fn show(args: &OneCell) -> Result<(), Failure> {
    let cell = Api::connect(&args.connection)?.cell(args.cell).await?;
    if args.connection.json { output::json(&cell) } else { facts(&cell) }
}

/// The same for people.
pub fn facts(cell: &CellView) -> Result<(), Failure> {
    fact("cell", cell.cell)?;
    fact("swarm", &cell.swarm)?;
    fact("state", state(cell))?;
    fact("image", &cell.image)?;
    fact("port", cell.port)?;
    if let Some(address) = cell.address {
        fact("address", address)?;
    }
    fact("places", format_args!("{} of {} taken", cell.identities, cell.capacity))?;
    fact("memory", format_args!("at most {}", bytes(cell.memory_bytes)))?;
    let millis = cell.millicpus;
    fact("processors", format_args!("at most {}.{:03}", millis / 1_000, millis % 1_000))?;
    fact("on", labels(&cell.on))?;
    if let Some(emptying) = &cell.emptying {
        fact("emptied", emptied(emptying))?;
    }
    if let Some(start) = &cell.start {
        fact("term", format_args!("{} since {}", start.term, start.since))?;
        fact("node", &start.node)?;
        fact("version", &start.version)?;
    }
    if let (Some(counts), Some(millis)) = (cell.counts, cell.report_age_ms) {
        fact("report", format_args!("{} ago", age(millis)))?;
        fact("awake", format_args!("{} of {}", counts.awake, counts.residents))?;
        fact("connections", counts.connections)?;
        fact("memory used", bytes(counts.memory_bytes))?;
        fact("fenced", counts.fenced)?;
        fact("restarts", counts.restarts)?;
        fact("quarantined", counts.quarantined)?;
    }
    for ill in &cell.ill {
        fact("ill", format_args!("{}: {}", ill.identity, illness(ill)))?;
    }
    Ok(())
}

/// Why, how far, and what is in the way.
fn emptied(emptying: &EmptyingView) -> String {
    let EmptyingView { cause, moved, left, why, .. } = emptying;
    let cause = match cause {
        Cause::Lost => "it was silent",
        Cause::Drain => "it was to be",
        Cause::Order => "an operator moved them",
    };
    let why = why.as_ref().map(|why| format!("; {why}")).unwrap_or_default();
    format!("{cause}: {moved} gone, {left} here{why}")
}

/// What is wrong with a server.
pub fn illness(ill: &IllServer) -> String {
    let standing = if ill.is_quarantined { "left alone for a while, " } else { "" };
    format!("{standing}restarted {} times in ten minutes, {}", ill.restarts, ill.why)
}
