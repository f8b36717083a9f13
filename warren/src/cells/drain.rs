//! `warren cell drain` and `warren cell activate`

use serde_json::json;

use super::{DrainCellArgs, OneCell};
use crate::api::Api;
use crate::failure::Failure;
use crate::output;
use crate::waiting::{Progress, until};

/// Has all who live in a cell go to others.
pub async fn drain(args: &DrainCellArgs) -> Result<(), Failure> {
    let (id, connection) = (args.one.cell, &args.one.connection);
    let api = Api::connect(connection)?;
    let cell = api.set_cell(id, &json!({ "is_draining": true })).await?;
    let most = cell.identities;
    if args.wait.wait {
        let look = || async {
            let left = api.cell(id).await?.identities;
            let of = most.max(left);
            Ok(Progress { done: count(of - left), of: count(of) })
        };
        until(&args.wait, &format!("moving from {id}"), look).await?;
    }
    if connection.json {
        return output::json(&api.cell(id).await?);
    }
    match args.wait.wait {
        true => output::line(format_args!("Nobody lives in {id} any more.")),
        false => output::line(format_args!("{most} identities of {id} go to other cells.")),
    }
}

/// Lets a cell take identities again.
pub async fn activate(args: &OneCell) -> Result<(), Failure> {
    let api = Api::connect(&args.connection)?;
    let cell = api.set_cell(args.cell, &json!({ "is_draining": false })).await?;
    match args.connection.json {
        true => output::json(&cell),
        false => output::line(format_args!("{} takes identities again.", cell.cell)),
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
