//! The peer: `docker run` of the same image, a whole warren with one identity in each container.
//!
//! It has what makes it fast: the network of its machine, so that nothing is published or forwarded,
//! and data that lie in the container.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::Instant;

use super::memory::{self, Charged};
use super::{Runs, parallel, say};
use crate::lab::error::Error;
use crate::lab::node::Node;
use crate::lab::state::Lab;
use crate::lab::tools;

/// Longest that all containers together may take.
const SECONDS_MAX: u64 = 600;

/// Longest that a container may take to be removed.
const REMOVE_SECONDS_MAX: u64 = 60;

/// Ports of the containers' identities: in front of those that the deployment gives out.
const FIRST_PORT: u16 = 15_000;
const PORTS: u16 = 10;

/// The first words of a warren whose identities answer.
const READY: &str = "warren is up";

/// How fast they start, and what all of them cost.
#[derive(Debug)]
pub struct Peer {
    pub starts: Runs,
    pub memory: Charged,
}

/// A container that runs, and the client that reads what it says.
struct Container<'a> {
    node: Node<'a>,
    id: String,
    client: Child,
    seconds: f64,
}

/// Starts them on all machines in turn, weighs them and removes them.
pub fn measure(lab: &Lab, image: &str, count: u16, at_once: u16) -> Result<Peer, Error> {
    say(&format!("{count} containers of `docker run`, {at_once} at once"));
    let nodes = lab.all();
    let start = Instant::now();
    let mut containers = parallel::each(count, at_once, |number| {
        let index = usize::from(number) % nodes.len().max(1);
        let node = nodes.get(index).copied().ok_or(Error::NoManager)?;
        run(node, image, number)
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let mut memory = Charged::default();
    for node in &nodes {
        let is_peer = |id: &str| containers.iter().any(|container| container.id == id);
        memory.add(&memory::of_ids(node, is_peer)?);
    }
    containers.iter_mut().try_for_each(remove)?;
    let each = containers.iter().map(|container| container.seconds).collect();
    Ok(Peer { starts: Runs::new(each, seconds), memory })
}

/// Returns when it says that it is ready.
fn run<'a>(node: Node<'a>, image: &str, number: u16) -> Result<Container<'a>, Error> {
    let id_file = node.folder().join(format!("peer-{number}"));
    let first = FIRST_PORT.saturating_add(number * PORTS);
    let ports = format!("{first}-{}", first.saturating_add(PORTS - 1));
    let start = Instant::now();
    // Whatever ends the client does not end the container, which is weighed later.
    let mut docker = tools::timed(SECONDS_MAX);
    docker.env("DOCKER_HOST", node.host()).args(["docker", "run", "--sig-proxy=false"]);
    docker.arg("--cidfile").arg(&id_file).args(["--network", "host", image]);
    docker.args(["up", "--data-dir", "/tmp/data", "--hostname", "127.0.0.1", "--ports", &ports]);
    docker.args(["--directory-port", "0", "--registrar-port", "0", "--metrics-port", "0"]);
    docker.args(["--identity", &format!("@peer{number}"), "--sleep-after", "3600"]);
    docker.stdout(Stdio::piped()).stderr(Stdio::null());
    let failed = |source| Error::Start { line: "docker run".into(), source };
    let mut client = docker.spawn().map_err(failed)?;
    let said = client.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines());
    // What it says after that nobody reads; a container goes on without its client.
    if !said.map_while(Result::ok).any(|line| line == READY) {
        let said = format!("container {number} on {} ended before it was ready", node.name());
        let _ = client.wait();
        return Err(Error::Failed { line: "docker run".into(), said });
    }
    let seconds = start.elapsed().as_secs_f64();
    let id = fs::read_to_string(&id_file).map_err(Error::file(&id_file))?;
    Ok(Container { node, id, client, seconds })
}

fn remove(container: &mut Container<'_>) -> Result<(), Error> {
    container.node.docker(REMOVE_SECONDS_MAX, &["rm", "--force", &container.id])?;
    let failed = |source| Error::Start { line: "docker run".into(), source };
    container.client.wait().map(drop).map_err(failed)
}
