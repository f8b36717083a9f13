//! `warren identity show`

use std::process::ExitCode;

use protocol::Timestamp;
use protocol::control::roster::IllServer;
use serde::Deserialize;
use serde_json::Value;

use crate::api::Api;
use crate::args::OneIdentity;
use crate::cells::show::illness;
use crate::failure::Failure;
use crate::output;

/// Prints all that the registrar knows of one identity.
pub async fn show(args: &OneIdentity) -> Result<ExitCode, Failure> {
    let api = Api::connect(&args.connection)?;
    let identity = api.show(&args.identity).await?;
    if args.connection.json {
        output::json(&identity)?;
    } else {
        for (name, value) in &identity {
            output::line(format_args!("{name:<10} {}", shown(name, value)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Times are milliseconds in JSON, and dates for people.
fn shown(name: &str, value: &Value) -> String {
    match (name, value) {
        ("since", Value::Number(millis)) => {
            millis.as_i64().map_or_else(|| value.to_string(), |at| Timestamp(at).to_string())
        }
        ("ill", ill) => {
            IllServer::deserialize(ill).map_or_else(|_| ill.to_string(), |ill| illness(&ill))
        }
        (_, Value::String(text)) => text.clone(),
        _ => value.to_string(),
    }
}
