//! `warren identity delete`

use std::process::ExitCode;

use crate::api::Api;
use crate::args::DeleteArgs;
use crate::failure::Failure;
use crate::output;
use crate::question::confirm;

/// Deletes an identity after asking, because nothing brings her data back.
pub async fn delete(args: &DeleteArgs) -> Result<ExitCode, Failure> {
    let identity = &args.one.identity;
    if !args.yes {
        let name = identity.to_string();
        let deleted = format!("This deletes {name}, her server and all its data, for good.");
        confirm(&name, &deleted)?;
    }
    Api::connect(&args.one.connection)?.delete(identity).await?;
    if args.one.connection.json {
        output::json(&serde_json::json!({ "identity": identity, "deleted": true }))?;
    } else {
        output::line(format_args!("{identity} is deleted, with her server and all its data."))?;
    }
    Ok(ExitCode::SUCCESS)
}
