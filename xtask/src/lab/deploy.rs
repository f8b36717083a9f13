//! A whole warren on a lab's swarm, as its deployment page (`deploy/swarm/README.md`) says, and
//! commands that run as a client of it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::Error;
use super::node::Node;
use super::state::{Lab, write_whole};
use super::{tools, wait};

/// Under which all nodes' routers, directories and registrars are reached.
const HOSTNAME: &str = "warren.lab";

/// Name of the swarm, of the stack, and the image's.
pub const SWARM: &str = "lab";
pub const STACK: &str = "warren";

/// As whom the containers run.
const USER: u32 = 65_532;

/// The first cell's port for routers; the next cell has the next one.
const CELL_PORT: &str = "7001";

/// Longest that an engine may take to load the image, and the registrar to answer.
const LOAD_SECONDS_MAX: u64 = 120;
const READY_SECONDS_MAX: u64 = 120;

/// What is deployed.
pub struct Deployment<'a> {
    /// The stack file's folder: `deploy/swarm`.
    pub stack: &'a Path,
    /// An image as `docker load` takes it.
    pub archive: &'a Path,
    /// Its name.
    pub image: &'a str,
    /// The program, to be run outside of any container.
    pub program: &'a Path,
    /// How many cells.
    pub cells: u16,
    /// On which machines: `LABEL=VALUE`.
    pub on: Option<&'a str>,
    /// Further options of the cells.
    pub cell_options: Vec<String>,
}

/// Deploys; returns once every cell runs.
///
/// # Errors
/// [`Error`].
pub fn deploy(lab: &Lab, what: &Deployment<'_>) -> Result<(), Error> {
    let folder = folder(lab);
    fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    fs::copy(what.program, folder.join("warren")).map_err(Error::file(what.program))?;
    own_volume(lab)?;
    write_whole(&folder.join("hosts"), &hosts(lab))?;
    for node in lab.all() {
        let archive = what.archive.to_string_lossy();
        node.docker(LOAD_SECONDS_MAX, &["load", "--quiet", "--input", &archive])?;
    }
    let first = lab.node("1")?;
    give_secrets(lab, &first)?;
    start_stack(lab, &first, what)?;
    let text = "the registrar's answer";
    wait::until(text, READY_SECONDS_MAX, &folder, || {
        Ok(asks(lab, READY_SECONDS_MAX, &["swarm", "list"]).ok())
    })?;
    if asks(lab, READY_SECONDS_MAX, &["swarm", "show", SWARM]).is_err() {
        asks(lab, READY_SECONDS_MAX, &["swarm", "create", SWARM])?;
        let count = what.cells.to_string();
        let words = ["cell", "create", "--swarm", SWARM, "--image", what.image];
        let more = ["--port", CELL_PORT, "--count", &count, "--wait"];
        let on: Vec<&str> = what.on.iter().flat_map(|label| ["--on", *label]).collect();
        asks(lab, READY_SECONDS_MAX, &[&words[..], &more, &on].concat())?;
    }
    eprintln!("xtask: lab: try `cargo xtask lab client --name {} -- warren cell list`", lab.name);
    Ok(())
}

/// A network volume is mounted inside the nodes alone.
fn own_volume(lab: &Lab) -> Result<(), Error> {
    let mut chown = lab.node("1")?.inside(tools::timed(10))?;
    chown.arg("chown").arg(format!("{USER}:{USER}")).arg(lab.volume_path());
    tools::output(&mut chown).map(drop)
}

/// Becomes a command that sees the lab as its clients do: its host names, and where `warren` finds the
/// registrar and its token.
///
/// # Errors
/// [`Error::Start`].
pub fn client(lab: &Lab, words: &[String]) -> Result<(), Error> {
    let mut command = as_client(lab, Command::new("env"))?;
    let source = command.args(words).exec();
    Err(Error::Start { line: words.join(" "), source })
}

/// What `warren …` prints to a client, who waits so long and no longer.
///
/// # Errors
/// [`Error::Failed`], [`Error::Start`].
pub fn asks(lab: &Lab, seconds: u64, words: &[&str]) -> Result<String, Error> {
    let mut command = as_client(lab, tools::timed(seconds))?;
    tools::output(command.arg("warren").args(words))
}

/// In mounts of its own, where `/etc/hosts` is the lab's.
fn as_client(lab: &Lab, mut around: Command) -> Result<Command, Error> {
    const WITH_HOSTS: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let folder = folder(lab);
    if !folder.join("hosts").exists() {
        return Err(Error::Shape(format!("nothing is deployed on '{}'", lab.name)));
    }
    let path = std::env::var("PATH").unwrap_or_default();
    around.args(["unshare", "--mount", "sh", "-c", WITH_HOSTS]).arg(folder.join("hosts"));
    around.env("PATH", format!("{}:{path}", folder.display()));
    around.env("WARREN_REGISTRAR", format!("https://{HOSTNAME}:8443"));
    around.env("WARREN_CA_FILE", keys(lab).join("ca.pem"));
    around.env("WARREN_TOKEN_FILE", keys(lab).join("admin.token"));
    around.env("SSL_CERT_FILE", keys(lab).join("ca.pem"));
    around.arg("env");
    Ok(around)
}

fn folder(lab: &Lab) -> PathBuf {
    lab.folder().join("warren")
}

fn keys(lab: &Lab) -> PathBuf {
    folder(lab).join("keys")
}

/// The system's own, and the one name at each node's address.
fn hosts(lab: &Lab) -> String {
    let mut text = fs::read_to_string("/etc/hosts").unwrap_or_default();
    for node in lab.all() {
        // Writing into a string does not fail.
        let _ = write!(text, "\n{} {HOSTNAME}\n", node.address());
    }
    text
}

fn give_secrets(lab: &Lab, first: &Node<'_>) -> Result<(), Error> {
    let mut make = tools::timed(60);
    make.arg(folder(lab).join("warren")).args(["deploy", "keys", "--hostname", HOSTNAME, "--dir"]);
    make.arg(keys(lab));
    for node in lab.all() {
        make.args(["--san", &node.address()]);
    }
    let script = tools::output(&mut make)?;
    let mut give = first.inside(tools::timed(60))?;
    let engine = format!("DOCKER_HOST={}", first.host());
    tools::output(give.args(["env", &engine, "sh", "-c", &script])).map(drop)
}

fn start_stack(lab: &Lab, first: &Node<'_>, what: &Deployment<'_>) -> Result<(), Error> {
    let nodes = lab.all();
    let all = |before: &str, after: &str| {
        let each = nodes.iter().map(|node| format!("{before}{}{after}", node.address()));
        each.collect::<Vec<_>>()
    };
    let extra = folder(lab).join("hosts.yml");
    write_whole(&extra, &extra_hosts(&all(&format!("{HOSTNAME}:"), "")))?;
    let env = fs::read_to_string(keys(lab).join("fleet.env"));
    let env = env.map_err(Error::file(keys(lab).join("fleet.env")))?;
    let mut docker = tools::timed(60);
    docker.env("DOCKER_HOST", first.host());
    docker.envs(env.lines().filter_map(|line| line.split_once('=')));
    docker.env("WARREN_IMAGE", what.image);
    docker.env("WARREN_VOLUMES", lab.volume_path());
    docker.env("WARREN_SWARM", SWARM);
    docker.env("WARREN_REGISTRARS", all("https://", ":8443").join(","));
    docker.env("WARREN_DIRECTORIES", all("", ":6464").join(","));
    docker.env(
        "WARREN_HOST_OPTIONS",
        format!("--host={}", all(&format!("{HOSTNAME}="), "").join(",")),
    );
    let to_nodes = format!("--dial-to={}/24", lab.address(0));
    let options = [&[to_nodes], &what.cell_options[..]].concat();
    docker.env("WARREN_CELL_OPTIONS", options.join(" "));
    docker.args(["docker", "stack", "deploy", "--resolve-image", "never"]);
    docker.arg("--compose-file").arg(what.stack.join("warren.yml"));
    docker.arg("--compose-file").arg(&extra).arg(STACK);
    tools::output(&mut docker).map(drop)
}

/// No DNS knows the lab's name, so the containers are told.
fn extra_hosts(lines: &[String]) -> String {
    let list: Vec<String> = lines.iter().map(|line| format!("\"{line}\"")).collect();
    let mut text = format!(
        "version: \"3.8\"\nx-hosts: &hosts\n  extra_hosts: [{}]\nservices:\n",
        list.join(", ")
    );
    for service in ["registrar", "directory", "router", "host"] {
        let _ = writeln!(text, "  {service}: *hosts");
    }
    text
}
