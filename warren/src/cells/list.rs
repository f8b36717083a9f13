//! `warren cell list`

use super::CellListArgs;
use crate::api::{Api, CellView};
use crate::failure::Failure;
use crate::output;
use crate::table::{self, age, bytes, short, tail};

/// Characters of a node's id in a table: as many as an engine shows.
const ID_CHARACTERS: usize = 12;

/// Prints all cells.
pub async fn list(args: &CellListArgs) -> Result<(), Failure> {
    let mut cells = Api::connect(&args.connection)?.cells().await?;
    cells.retain(|cell| args.swarm.as_ref().is_none_or(|swarm| *swarm == cell.swarm));
    if args.connection.json {
        return cells.iter().try_for_each(output::json);
    }
    let headings = ["cell", "swarm", "state", "node", "places ", "memory ", "image"];
    table::print(headings, cells.iter().map(row))
}

fn row(cell: &CellView) -> [String; 7] {
    let node = cell.start.as_ref().map_or("-", |start| start.node.as_str());
    [
        cell.cell.to_string(),
        short(cell.swarm.as_str(), 10),
        state(cell),
        node.chars().take(ID_CHARACTERS).collect(),
        format!("{}/{}", cell.identities, cell.capacity),
        cell.counts.map_or_else(|| "-".to_owned(), |counts| bytes(counts.memory_bytes)),
        tail(&cell.image, 16),
    ]
}

/// Of one that runs.
fn word(cell: &CellView) -> &'static str {
    match (cell.is_draining, &cell.emptying) {
        (true, _) if cell.identities == 0 => "emptied",
        (true, _) => "drains",
        (false, Some(emptying)) if emptying.left > 0 && emptying.why.is_some() => "stuck",
        (false, _) if cell.is_resting => "rests",
        (false, _) => "runs",
    }
}

/// What it does, as far as is known.
pub fn state(cell: &CellView) -> String {
    match (cell.state.as_str(), &cell.start, cell.report_age_ms) {
        ("active", None, _) => "waiting".to_owned(),
        ("active", Some(_), None) => "silent".to_owned(),
        ("active", Some(_), Some(_)) if cell.is_reporting() => word(cell).to_owned(),
        ("active", Some(_), Some(millis)) => format!("silent {}", age(millis)),
        (other, ..) => short(other, 8),
    }
}
