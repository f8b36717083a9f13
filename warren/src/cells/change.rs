//! `warren cell set` and `warren cell delete`

use serde_json::{Map, Value, json};

use super::{CellChanges, DeleteCellArgs, SetCellArgs, show::facts};
use crate::api::Api;
use crate::failure::Failure;
use crate::output;
use crate::question::confirm;

/// Changes what was named, and shows what the cell is then.
pub async fn set(args: &SetCellArgs) -> Result<(), Failure> {
    let connection = &args.one.connection;
    let cell = Api::connect(connection)?.set_cell(args.one.cell, &body(&args.changes)).await?;
    if connection.json { output::json(&cell) } else { facts(&cell) }
}

fn body(changes: &CellChanges) -> Value {
    let CellChanges { image, capacity, memory, cpus } = changes;
    let named = [
        ("image", image.as_ref().map(|image| json!(image))),
        ("capacity", capacity.map(|capacity| json!(capacity))),
        ("memory_bytes", memory.map(|bytes| json!(bytes))),
        ("millicpus", cpus.map(|millis| json!(millis))),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(named.collect::<Map<_, _>>())
}

/// Deletes an empty cell after asking.
pub async fn delete(args: &DeleteCellArgs) -> Result<(), Failure> {
    let (cell, connection) = (args.one.cell, &args.one.connection);
    if !args.yes {
        let name = cell.to_string();
        confirm(&name, &format!("{name} will run no more, and its number is not used again."))?;
    }
    Api::connect(connection)?.delete_cell(cell).await?;
    if connection.json {
        return output::json(&json!({ "cell": cell, "deleted": true }));
    }
    output::line(format_args!("{cell} is to run no more."))
}
