//! `warren node list`

use super::{NodeListArgs, find::hostname, word};
use crate::api::{Api, NodeView};
use crate::failure::Failure;
use crate::output;
use crate::table::{self, age, short};

/// Characters of a node's id in a table: as many as an engine shows.
const ID_CHARACTERS: usize = 12;

/// Prints all machines.
pub async fn list(args: &NodeListArgs) -> Result<(), Failure> {
    let mut nodes = Api::connect(&args.connection)?.nodes().await?;
    nodes.retain(|node| args.swarm.as_ref().is_none_or(|swarm| *swarm == node.swarm));
    if args.connection.json {
        return nodes.iter().try_for_each(output::json);
    }
    let headings = ["node", "host", "swarm", "takes work", "report", "used", "cells "];
    table::print(headings, nodes.iter().map(row))
}

fn row(node: &NodeView) -> [String; 7] {
    [
        node.node.as_str().chars().take(ID_CHARACTERS).collect(),
        short(hostname(node).unwrap_or("-"), 14),
        short(node.swarm.as_str(), 10),
        work(node),
        report(node),
        used(node),
        node.cells.len().to_string(),
    ]
}

/// What the operator wants, and what the engine says if that is something else.
fn work(node: &NodeView) -> String {
    let wanted = word(node.availability);
    match node.report.as_ref().map(|report| word(report.engine.availability)) {
        Some(said) if said != wanted => format!("{wanted}<{said}"),
        _ => wanted.to_owned(),
    }
}

/// How old the newest one is, and whether that is too old; a leader's has a star, and one of an engine
/// that does not answer an exclamation mark.
fn report(node: &NodeView) -> String {
    let Some(millis) = node.report_age_ms else { return "none".to_owned() };
    let engine = node.report.as_ref().map(|report| &report.engine);
    let mark = match engine {
        Some(engine) if !engine.is_answering => "!",
        Some(engine) if engine.is_leader => "*",
        _ => "",
    };
    let is_silent = u128::from(millis) > registrar::limits::NODE_SILENT.as_millis();
    format!("{}{}{mark}", if is_silent { "silent " } else { "" }, age(millis))
}

/// How much of its memory, disk and file handles.
fn used(node: &NodeView) -> String {
    let Some(report) = &node.report else { return "-".to_owned() };
    let pressure = report.pressure;
    let percents = [pressure.memory, pressure.disk, pressure.handles].map(|part| part / 10);
    let [memory, disk, handles] = percents;
    format!("{memory}/{disk}/{handles} %")
}
