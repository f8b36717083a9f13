//! What has to be done so that a swarm is as the registrar wants it: a decision, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::ServiceSpec;
use protocol::control::fleet::{Availability, CellSpec, Plan};
use protocol::control::names::{CellId, NodeName};

use super::difference::difference;
use super::drift::taken_back;
use super::engine::{EngineId, EngineNode, EngineService, Update};
use super::template::{CELL_LABEL, Means, SPEC_LABEL, SWARM_LABEL, Template};

/// Paths that a line of drift names; the rest are counted.
const PATHS_TOLD_MAX: usize = 5;

/// What an engine has.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Services with this swarm's label.
    pub services: Vec<EngineService>,
    /// All nodes.
    pub nodes: Vec<EngineNode>,
    /// What a service is made of.
    pub means: Means,
}

/// Hashes of the services that this agent wrote, by their cells. It tells what was changed by hand
/// or taken back by the engine from what is merely not done yet; without it everything is tried once
/// more.
pub type Written = BTreeMap<CellId, String>;

/// One change of a swarm.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Make a cell's service.
    Create {
        /// Whose.
        cell: CellId,
        /// What it is.
        spec: Box<ServiceSpec>,
    },
    /// Make a cell's service what it should be.
    Update {
        /// Whose.
        cell: CellId,
        /// Which service.
        id: EngineId,
        /// Which version of it.
        version: u64,
        /// What it should be.
        spec: Box<ServiceSpec>,
    },
    /// End a service.
    Remove {
        /// Which.
        id: EngineId,
        /// Its name.
        name: String,
    },
    /// Make a node take tasks, or not.
    SetAvailability {
        /// Which, as it is now.
        node: Box<EngineNode>,
        /// What it should be.
        availability: Availability,
    },
}

/// What is to be done, and what was found that is not as it was left.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// In this order: nodes give way first, and what is not wanted ends before something new takes
    /// its port.
    pub actions: Vec<Action>,
    /// Lines for the operator.
    pub drift: Vec<String>,
    /// Cells of which nothing runs at the moment.
    pub idle: Vec<String>,
}

impl Action {
    /// The hash of the service that it writes, and whose it is.
    #[must_use]
    pub fn writes(&self) -> Option<(CellId, &str)> {
        match self {
            Self::Create { cell, spec } | Self::Update { cell, spec, .. } => {
                Some((*cell, spec_hash(spec)))
            }
            Self::Remove { .. } | Self::SetAvailability { .. } => None,
        }
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Create { cell, spec } => write!(f, "create {cell} with {}", image(spec)),
            Self::Update { cell, spec, .. } => write!(f, "update {cell} to {}", image(spec)),
            Self::Remove { name, .. } => write!(f, "remove {name}"),
            Self::SetAvailability { node, availability } => {
                write!(f, "set node {} from {:?} to {availability:?}", node.id, node.availability)
            }
        }
    }
}

/// Whose agent makes changes: the leader's, and where the leader runs no agent since it gives
/// everything away, the first of the other managers. Two who see it differently do no harm: an engine
/// takes a change of a service only from who has seen its last version.
#[must_use]
pub fn acting(nodes: &[EngineNode]) -> Option<&NodeName> {
    let runs_agent = |node: &&EngineNode| node.availability != Availability::Drain;
    let leader = nodes.iter().filter(runs_agent).find(|node| node.is_leader);
    let others = nodes.iter().filter(runs_agent).filter(|node| node.is_manager);
    leader.or_else(|| others.min_by_key(|node| &node.id)).map(|node| &node.id)
}

/// Compares. The same input gives the same decision, and once it is carried out, the next one is
/// empty.
#[must_use]
pub fn reconcile(plan: &Plan, seen: &Seen, template: &Template, written: &Written) -> Decision {
    let mut decision = Decision::default();
    set_nodes(plan, seen, &mut decision);
    let (mut found, strays) = sort(plan, seen, template, &mut decision.drift);
    decision.actions.extend(
        strays
            .into_iter()
            .map(|service| Action::Remove { id: service.id.clone(), name: service.name.clone() }),
    );
    for cell in &plan.cells {
        let wanted = match template.service(cell, &seen.means) {
            Ok(wanted) => Box::new(wanted),
            Err(error) => {
                decision.drift.push(format!("{} cannot be written: {error}", cell.cell));
                continue;
            }
        };
        match found.remove(&cell.cell) {
            Some(service) => mend(cell, wanted, service, written, &mut decision),
            None => {
                if written.contains_key(&cell.cell) {
                    decision.drift.push(format!("{} was removed; it is made again", cell.cell));
                }
                decision.actions.push(Action::Create { cell: cell.cell, spec: wanted });
            }
        }
    }
    decision
}

fn set_nodes(plan: &Plan, seen: &Seen, decision: &mut Decision) {
    for node in &seen.nodes {
        let Some(availability) = plan.nodes.get(&node.id) else { continue };
        if node.availability != *availability {
            let node = Box::new(node.clone());
            decision.actions.push(Action::SetAvailability { node, availability: *availability });
        }
    }
}

/// The services of the plan's cells, and those that are ours and in no plan. Whatever does not say
/// that it is ours, or says it in a way that we never wrote, is left alone.
fn sort<'a>(
    plan: &Plan,
    seen: &'a Seen,
    template: &Template,
    drift: &mut Vec<String>,
) -> (BTreeMap<CellId, &'a EngineService>, Vec<&'a EngineService>) {
    let planned: BTreeMap<CellId, String> =
        plan.cells.iter().map(|cell| (cell.cell, template.name(cell))).collect();
    let (mut found, mut strays) = (BTreeMap::new(), Vec::new());
    for service in &seen.services {
        let Some(label) = service.labels.get(CELL_LABEL) else { continue };
        if service.labels.get(SWARM_LABEL).map(String::as_str) != Some(template.swarm.as_str()) {
            continue;
        }
        let Ok(cell) = label.parse::<CellId>() else {
            drift.push(format!("a service has the label {CELL_LABEL}, but no cell's name in it"));
            continue;
        };
        if planned.get(&cell) == Some(&service.name) {
            found.insert(cell, service);
        } else {
            if planned.contains_key(&cell) {
                drift.push(format!("{cell} has a service beside its own; it is removed"));
            }
            strays.push(service);
        }
    }
    (found, strays)
}

fn mend(
    cell: &CellSpec,
    wanted: Box<ServiceSpec>,
    service: &EngineService,
    written: &Written,
    decision: &mut Decision,
) {
    let cell = cell.cell;
    let wanted_hash = spec_hash(&wanted);
    let wants = serde_json::to_value(&wanted).unwrap_or_default();
    let paths = difference(&wants, &service.spec);
    if paths.is_empty() {
        if service.update == Some(Update::Paused) {
            decision.drift.push(format!("{cell}: the engine stopped in the middle of its update"));
        }
        return;
    }
    let is_as_written = service.labels.get(SPEC_LABEL).map(String::as_str) == Some(wanted_hash);
    let is_refused = written.get(&cell).map(String::as_str) == Some(wanted_hash)
        && service.update == Some(Update::RolledBack);
    if is_refused && !is_as_written {
        decision.drift.push(taken_back(cell));
        return;
    }
    if is_as_written {
        decision.drift.push(format!("{cell} was changed by hand and is mended: {}", told(&paths)));
    }
    let (id, version) = (service.id.clone(), service.version);
    decision.actions.push(Action::Update { cell, id, version, spec: wanted });
}

fn told(paths: &[String]) -> String {
    let distinct: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
    let mut text: Vec<&str> = distinct.iter().copied().take(PATHS_TOLD_MAX).collect();
    let more = distinct.len().saturating_sub(PATHS_TOLD_MAX);
    let rest = format!("and {more} more");
    if more > 0 {
        text.push(&rest);
    }
    text.join(", ")
}

fn spec_hash(spec: &ServiceSpec) -> &str {
    spec.labels.as_ref().and_then(|labels| labels.get(SPEC_LABEL)).map_or("", String::as_str)
}

fn image(spec: &ServiceSpec) -> &str {
    let container = spec.task_template.as_ref().and_then(|task| task.container_spec.as_ref());
    container.and_then(|container| container.image.as_deref()).unwrap_or("no image")
}
