//! `warren identity move`

use std::process::ExitCode;

use crate::api::Api;
use crate::args::MoveArgs;
use crate::failure::Failure;
use crate::output;

/// Moves an identity to another cell of her swarm.
pub async fn relocate(args: &MoveArgs) -> Result<ExitCode, Failure> {
    let connection = &args.one.connection;
    let moved = Api::connect(connection)?.relocate(&args.one.identity, args.to).await?;
    if connection.json {
        output::json(&moved)?;
        return Ok(ExitCode::SUCCESS);
    }
    let later = if moved.is_known { "" } else { "; the cell has not heard of it yet" };
    let (who, from, to) = (&moved.identity, moved.from, moved.to);
    output::line(format_args!("{who} is moved from {from} to {to}{later}."))?;
    Ok(ExitCode::SUCCESS)
}
