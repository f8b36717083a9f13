//! Making one swarm of a lab's engines.

use super::error::Error;
use super::node::Node;
use super::state::Lab;
use super::wait;

/// Where managers talk to one another.
const PORT: u16 = 2377;

/// Longest that the nodes may take to be ready, elections among managers that come back included.
const READY_SECONDS_MAX: u64 = 90;

/// Longest that a manager may take to take somebody in.
const JOIN_SECONDS_MAX: u64 = 60;

/// Longest that an engine may take for one answer: a manager asks the leader, who may stand still.
const ANSWER_SECONDS_MAX: u64 = 5;

/// What an engine knows of its part in a swarm.
#[derive(PartialEq, Eq)]
enum Part {
    None,
    Worker,
    Manager,
}

/// One node, as a manager sees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its host name.
    pub name: String,
    /// `Ready`, `Down`, …
    pub status: String,
    /// `Active`, `Pause`, `Drain`.
    pub availability: String,
    /// `Leader`, `Reachable`, `Unreachable`, or nothing for a worker.
    pub manager: String,
}

/// Brings every node into the swarm; those that are in it stay as they are.
///
/// # Errors
/// [`Error::NoManager`], [`Error::Late`], or what an engine says.
pub fn form(lab: &Lab) -> Result<(), Error> {
    let mut parts = lab.all().iter().map(part).collect::<Result<Vec<_>, _>>()?;
    if parts.iter().all(|part| *part == Part::None) {
        init(lab)?;
        parts = lab.all().iter().map(part).collect::<Result<Vec<_>, _>>()?;
    }
    let nodes = lab.all().into_iter().zip(parts);
    let (inside, outside): (Vec<_>, Vec<_>) = nodes.partition(|(_, part)| *part != Part::None);
    let lead = inside.iter().find(|(_, part)| *part == Part::Manager);
    let lead = lead.map(|(node, _)| *node).ok_or(Error::NoManager)?;
    for (node, _) in outside {
        join(&lead, &node)?;
    }
    let what = format!("swarm of {} nodes, {} of them managers", lab.nodes, lab.managers);
    wait::until(&what, READY_SECONDS_MAX, &lab.folder(), || {
        let seen = look(&lead).unwrap_or_default();
        let is_there = |node: &Node<'_>| {
            seen.iter().any(|seen| seen.name == node.name() && seen.status == "Ready")
        };
        Ok(lab.all().iter().all(is_there).then_some(()))
    })
}

/// The nodes as this one sees them, if it is a manager and there is a majority.
///
/// # Errors
/// What the engine says.
pub fn look(manager: &Node<'_>) -> Result<Vec<Seen>, Error> {
    const FORMAT: &str = "{{.Hostname}},{{.Status}},{{.Availability}},{{.ManagerStatus}}";
    let list = manager.docker(ANSWER_SECONDS_MAX, &["node", "ls", "--format", FORMAT])?;
    Ok(list.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Seen> {
    let words: Vec<&str> = line.split(',').collect();
    let [name, status, availability, manager] = words[..] else { return None };
    Some(Seen {
        name: name.into(),
        status: status.into(),
        availability: availability.into(),
        manager: manager.into(),
    })
}

/// An engine that was in a swarm and was started again is in doubt for a moment.
fn part(node: &Node<'_>) -> Result<Part, Error> {
    const FORMAT: &str = "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}";
    let what = format!("the part of {} in the swarm", node.name());
    wait::quietly(READY_SECONDS_MAX, &what, || {
        let answer = node.docker(ANSWER_SECONDS_MAX, &["info", "--format", FORMAT])?;
        Ok(match answer.as_str() {
            "inactive false" => Some(Part::None),
            "active true" => Some(Part::Manager),
            "active false" => Some(Part::Worker),
            _ => None,
        })
    })
}

fn init(lab: &Lab) -> Result<(), Error> {
    let first = lab.node("1")?;
    let listen = format!("{}:{PORT}", first.address());
    let heartbeat = format!("{}s", lab.heartbeat_seconds);
    let at = ["--advertise-addr", &first.address(), "--listen-addr", &listen];
    let beat = ["--dispatcher-heartbeat", &heartbeat];
    first.docker(JOIN_SECONDS_MAX, &[&["swarm", "init"], &at[..], &beat].concat()).map(drop)
}

fn join(lead: &Node<'_>, node: &Node<'_>) -> Result<(), Error> {
    let kind = if node.number <= node.lab.managers { "manager" } else { "worker" };
    let token = lead.docker(ANSWER_SECONDS_MAX, &["swarm", "join-token", "--quiet", kind])?;
    let (own, listen) = (node.address(), format!("{}:{PORT}", node.address()));
    let to = format!("{}:{PORT}", lead.address());
    let at = ["--advertise-addr", &own, "--listen-addr", &listen, &to];
    let words = [&["swarm", "join", "--token", &token], &at[..]].concat();
    node.docker(JOIN_SECONDS_MAX, &words).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_no_word_about_managing() {
        let seen = parse("lab-3,Down,Active,");
        assert!(seen.is_some_and(|seen| seen.status == "Down" && seen.manager.is_empty()));
        assert_eq!(parse("lab-3,Down"), None);
    }
}
