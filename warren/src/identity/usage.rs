//! `warren identity usage`

use std::process::ExitCode;

use net::clock::{Clock, SystemClock};

use crate::api::Api;
use crate::args::UsageArgs;
use crate::failure::Failure;
use crate::output;
use crate::table::{self, age, bytes};

const HOUR_MS: i64 = 3_600_000;

/// Prints what one identity used, hour by hour, and of older days day by day.
pub async fn usage(args: &UsageArgs) -> Result<ExitCode, Failure> {
    let api = Api::connect(&args.one.connection)?;
    let from = SystemClock.now().0.saturating_sub(i64::from(args.hours) * HOUR_MS);
    let usage = api.usage(&args.one.identity, from).await?;
    if args.one.connection.json {
        output::json(&usage)?;
        return Ok(ExitCode::SUCCESS);
    }
    let headings = ["since", "hours ", "commands ", "in ", "out ", "wakes ", "awake ", "stored "];
    table::print(
        headings,
        usage.rows.iter().map(|row| {
            [
                row.at.to_string(),
                row.hours.to_string(),
                row.used.commands.to_string(),
                bytes(row.used.bytes_in),
                bytes(row.used.bytes_out),
                row.used.wakes.to_string(),
                age(row.used.awake_ms),
                bytes(row.used.stored_bytes),
            ]
        }),
    )?;
    Ok(ExitCode::SUCCESS)
}
