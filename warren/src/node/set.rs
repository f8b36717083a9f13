//! `warren node drain`, `activate` and `pause`

use std::cell::Cell;

use protocol::control::fleet::Availability;
use protocol::control::names::NodeName;

use super::find::find;
use super::{DrainArgs, OneNode, word};
use crate::api::{Api, CellView};
use crate::failure::Failure;
use crate::output;
use crate::waiting::{Progress, WaitArgs, until};

/// Tells the registrar what is wanted of a machine.
pub async fn set(args: &OneNode, availability: Availability) -> Result<(), Failure> {
    let api = Api::connect(&args.connection)?;
    let node = want(&api, args, availability).await?;
    if !args.connection.json {
        output::line(format_args!("{node} is to be on {}.", word(availability)))?;
    }
    Ok(())
}

/// The same, and waits until nothing runs there any more.
pub async fn drain(args: &DrainArgs) -> Result<(), Failure> {
    let api = Api::connect(&args.one.connection)?;
    let before = if args.wait.wait { api.cells().await? } else { Vec::new() };
    let node = want(&api, &args.one, Availability::Drain).await?;
    let is_json = args.one.connection.json;
    if !args.wait.wait {
        if !is_json {
            output::line(format_args!("{node} gives away all that it runs."))?;
        }
        return Ok(());
    }
    empty(&api, &args.wait, &node).await?;
    let most = running_on(&before, &node);
    let look = || async {
        let left = running_on(&api.cells().await?, &node);
        let of = most.max(left);
        Ok(Progress { done: of - left, of })
    };
    until(&args.wait, &format!("draining {node}"), look).await?;
    if !is_json {
        output::line(format_args!("{node} runs no cell any more."))?;
    }
    Ok(())
}

/// Waits until nobody lives in the machine's cells any more, or some can be moved nowhere: they go with
/// their cells.
async fn empty(api: &Api, wait: &WaitArgs, node: &NodeName) -> Result<(), Failure> {
    let most = Cell::new(0);
    let look = || async {
        let seen = api.node(node).await?;
        let left = if seen.is_stuck { 0 } else { seen.identities };
        most.set(most.get().max(left));
        let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Progress { done: count(most.get() - left), of: count(most.get()) })
    };
    until(wait, &format!("moving from {node}"), look).await
}

async fn want(api: &Api, args: &OneNode, wanted: Availability) -> Result<NodeName, Failure> {
    let node = find(api.nodes().await?, &args.node)?.node;
    let node = api.set_node(&node, wanted).await?;
    if args.connection.json {
        output::json(&node)?;
    }
    Ok(node.node)
}

/// Cells that report from there.
fn running_on(cells: &[CellView], node: &NodeName) -> usize {
    let is_there = |cell: &&CellView| cell.start.as_ref().is_some_and(|start| start.node == *node);
    cells.iter().filter(is_there).filter(|cell| cell.is_reporting()).count()
}
