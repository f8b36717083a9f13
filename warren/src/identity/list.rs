//! `warren identity list`

use std::process::ExitCode;

use comfy_table::{Table, presets};

use crate::api::Api;
use crate::args::ListArgs;
use crate::failure::Failure;
use crate::output;

/// Prints every identity, page by page, so that a million of them need no more memory than a page.
pub async fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    let api = Api::connect(&args.connection)?;
    let mut after = None;
    let mut first = true;
    loop {
        let page = api.list(after.as_deref()).await?;
        let rows = &page.identities;
        if args.connection.json {
            rows.iter().try_for_each(output::json)?;
        } else if !rows.is_empty() {
            for line in table(rows, std::mem::take(&mut first)).to_string().lines() {
                output::line(line.trim())?;
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn table(rows: &[serde_json::Map<String, serde_json::Value>], header: bool) -> Table {
    const COLUMNS: [&str; 3] = ["identity", "address", "state"];
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if header && output::is_terminal() {
        table.set_header(COLUMNS);
    }
    for row in rows {
        table.add_row(COLUMNS.map(|column| {
            row.get(column).and_then(serde_json::Value::as_str).unwrap_or("-").to_owned()
        }));
    }
    table
}
