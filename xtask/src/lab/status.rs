//! What there is of a lab, as this machine and as its swarm see it.

use super::net;
use super::node::Node;
use super::state::Lab;
use super::swarm::{self, Seen};

/// One node.
struct Row<'a> {
    node: Node<'a>,
    engine: &'static str,
    link: &'static str,
    seen: Option<Seen>,
}

/// Prints a lab: a table, or a JSON object on one line.
pub fn print(lab: &Lab, is_json: bool) {
    let rows = rows(lab);
    if is_json {
        println!("{}", json(lab, &rows));
        return;
    }
    let Lab { name, nodes, managers, .. } = lab;
    println!("{name}: {nodes} nodes, {managers} of them managers, in {}", lab.folder().display());
    println!("  {:12} {:14} {:7} {:5} {:8} MANAGER", "NODE", "ADDRESS", "ENGINE", "LINK", "SWARM");
    for row in rows {
        let (name, address) = (row.node.name(), row.node.address());
        let (status, manager) = row.words();
        println!("  {name:12} {address:14} {:7} {:5} {status:8} {manager}", row.engine, row.link);
    }
}

/// Asks the managers one after the other until one answers; those that stand still are not asked.
fn rows(lab: &Lab) -> Vec<Row<'_>> {
    let nodes = lab.all();
    let mut asked = nodes.iter().filter(|node| engine(node) == "up" && net::is_connected(node));
    let mut seen: Vec<Seen> = asked.find_map(|node| swarm::look(node).ok()).unwrap_or_default();
    nodes
        .into_iter()
        .map(|node| {
            let name = node.name();
            // A node that was made anew is there twice, and what is true of it comes first.
            seen.sort_by_key(|seen| seen.status != "Ready");
            let at = seen.iter().position(|seen| seen.name == name);
            Row {
                engine: engine(&node),
                link: if net::is_connected(&node) { "up" } else { "cut" },
                seen: at.map(|at| seen.remove(at)),
                node,
            }
        })
        .collect()
}

fn engine(node: &Node<'_>) -> &'static str {
    match node.process() {
        None => "down",
        Some(process) if process.is_stopped() => "paused",
        Some(_) => "up",
    }
}

impl Row<'_> {
    fn words(&self) -> (&str, &str) {
        self.seen.as_ref().map_or(("?", ""), |seen| (&seen.status, &seen.manager))
    }

    fn json(&self) -> String {
        let (status, manager) = self.words();
        let availability = self.seen.as_ref().map_or("", |seen| seen.availability.as_str());
        let fields = [
            ("name", self.node.name()),
            ("address", self.node.address()),
            ("socket", self.node.socket().display().to_string()),
            ("engine", self.engine.to_owned()),
            ("link", self.link.to_owned()),
            ("swarm", status.to_owned()),
            ("availability", availability.to_owned()),
            ("manager", manager.to_owned()),
        ];
        let fields: Vec<_> =
            fields.iter().map(|(key, value)| format!("{key:?}: {value:?}")).collect();
        format!("{{\"number\": {}, {}}}", self.node.number, fields.join(", "))
    }
}

/// By hand, for this program has no library for it: every word here is plain ASCII without quotes.
fn json(lab: &Lab, rows: &[Row<'_>]) -> String {
    let nodes: Vec<_> = rows.iter().map(Row::json).collect();
    let (folder, volume) = (lab.folder(), lab.volume_path());
    format!(
        "{{\"name\": {:?}, \"folder\": {folder:?}, \"volume\": {volume:?}, \"nodes\": [{}]}}",
        lab.name,
        nodes.join(", ")
    )
}
