//! `warren identity delete`

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use crate::api::Api;
use crate::args::DeleteArgs;
use crate::failure::{Exit, Failure};
use crate::output;

/// Deletes an identity after asking, because nothing brings her data back.
pub async fn delete(args: &DeleteArgs) -> Result<ExitCode, Failure> {
    let identity = &args.one.identity;
    if !args.yes && !confirmed(&identity.to_string())? {
        return Err(Failure::new(Exit::Refused, format!("{identity} was not deleted")));
    }
    Api::connect(&args.one.connection)?.delete(identity).await?;
    if args.one.connection.json {
        output::json(&serde_json::json!({ "identity": identity, "deleted": true }))?;
    } else {
        output::line(format_args!("{identity} is deleted, with her server and all its data."))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn confirmed(identity: &str) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        let what = format!("deleting {identity} needs a confirmation, and stdin is no terminal");
        return Err(Failure::new(Exit::Usage, what).fix("pass --yes"));
    }
    eprint!(
        "This deletes {identity}, her server and all its data, for good. Type {identity} to go on: "
    );
    let _ = io::stderr().flush();
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && answer.trim() == identity)
}
