//! `warren node show`

use super::find::find;
use super::{OneNode, word};
use crate::api::{Api, NodeView};
use crate::failure::Failure;
use crate::output;
use crate::table::{age, fact, labels};

/// Prints all that is known of one machine.
pub async fn show(args: &OneNode) -> Result<(), Failure> {
    let node = find(Api::connect(&args.connection)?.nodes().await?, &args.node)?;
    if args.connection.json {
        return output::json(&node);
    }
    fact("node", &node.node)?;
    fact("swarm", &node.swarm)?;
    fact("wanted", word(node.availability))?;
    let cells = node.cells.iter().map(ToString::to_string).collect::<Vec<_>>();
    fact("cells", if cells.is_empty() { "none".to_owned() } else { cells.join(" ") })?;
    reported(&node)
}

fn reported(node: &NodeView) -> Result<(), Failure> {
    let (Some(report), Some(millis)) = (&node.report, node.report_age_ms) else {
        return fact("report", "none since the registrar's start");
    };
    fact("report", format_args!("{} ago", age(millis)))?;
    fact("host", &report.hostname)?;
    fact("address", report.address)?;
    let engine = &report.engine;
    fact("engine", if engine.is_answering { "answers" } else { "does not answer" })?;
    fact("leader", if engine.is_leader { "yes" } else { "no" })?;
    fact("availability", word(engine.availability))?;
    fact("labels", labels(&engine.labels))?;
    let tenths = |part: u16| format!("{}.{} %", part / 10, part % 10);
    fact("memory used", tenths(report.pressure.memory))?;
    fact("disk used", tenths(report.pressure.disk))?;
    fact("handles used", tenths(report.pressure.handles))?;
    fact("agent", &report.version)?;
    report.drift.iter().try_for_each(|line| fact("drift", line))
}
