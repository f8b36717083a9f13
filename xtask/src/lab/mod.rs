//! `cargo xtask lab`: a real Docker Swarm of several hosts, on this machine, in seconds.
//!
//! A node is an engine in namespaces of its own (network, mounts, processes, host name) with a link
//! to the lab's bridge. Its managers are real managers, its overlays real VXLAN; links can be cut,
//! nodes stopped and killed.
//!
//! Everything is made with the programs that an operator would type (`ip`, `iptables`, `docker`).
//! A library that speaks Docker's API would bring a runtime and a hundred crates into the program
//! that a fresh clone compiles first, to say a dozen sentences.

pub mod bench;
mod deploy;
mod engine;
mod error;
mod net;
mod node;
mod process;
mod state;
mod status;
mod swarm;
mod tools;
mod up;
mod volume;
mod wait;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, Subcommand};

pub use error::Error;
use node::Node;
use state::{Lab, NODES_MAX, Volume};
use up::Wanted;

/// Swarm's own default.
const HEARTBEAT_SECONDS: u8 = 5;

/// More managers than this only slow each other down, says Docker.
const MANAGERS_MAX: u8 = 7;

#[derive(Subcommand)]
pub enum Task {
    /// Brings a swarm up; again, it starts what ended, heals what was cut and adds what is missing.
    Up(Up),
    /// Takes all of it away, its data too, however far it had come.
    Down(Name),
    /// Shows this lab, or all of them.
    Status {
        /// Only this one.
        #[arg(long)]
        name: Option<String>,
        /// One JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Runs a command inside a node; `docker` there speaks to the node's engine.
    Exec {
        #[command(flatten)]
        at: At,
        /// The command with its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Deploys a whole warren on the swarm, as `deploy/swarm` says.
    Deploy(Deploy),
    /// Runs a command as a client of what is deployed; `warren` there speaks to its registrar.
    Client {
        #[command(flatten)]
        lab: Name,
        /// The command with its arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Cuts a node's link.
    Cut(At),
    /// Puts a link together again.
    Heal(At),
    /// Stops all processes of a node where they are (SIGSTOP), containers too.
    Pause(At),
    /// Lets them go on.
    Resume(At),
    /// Ends a node's engine and containers at once, as if the power went.
    Kill(At),
    /// Starts a node again.
    Start(At),
}

#[derive(Args)]
pub struct Name {
    /// Which lab: there may be several at once.
    #[arg(long, default_value = "lab")]
    name: String,
}

#[derive(Args)]
pub struct At {
    #[command(flatten)]
    lab: Name,
    /// Which node: `2`, or `lab-2`.
    node: String,
}

#[derive(Args)]
pub struct Deploy {
    #[command(flatten)]
    lab: Name,
    /// The image's archive, which `cargo xtask image` prints.
    #[arg(long, value_name = "FILE")]
    archive: PathBuf,
    /// The image's name.
    #[arg(long, value_name = "NAME:TAG", default_value = "warren:lab")]
    image: String,
    /// The program that is in it.
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// How many cells.
    #[arg(long, value_name = "N", default_value_t = 3)]
    cells: u16,
}

#[derive(Args)]
pub struct Up {
    #[command(flatten)]
    lab: Name,
    /// How many engines.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=i64::from(NODES_MAX)))]
    nodes: u8,
    /// How many of them manage the swarm [default: 3, of fewer than 3 nodes 1].
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=i64::from(MANAGERS_MAX)))]
    managers: Option<u8>,
    /// What all nodes see at `/var/lib/warren-lab/NAME/volume`.
    #[arg(long, default_value = "shared-folder")]
    volume: Volume,
    /// Seconds between two signs of life of a node; after three that are missing its work goes
    /// elsewhere.
    #[arg(long, value_name = "SECONDS", default_value_t = HEARTBEAT_SECONDS,
        value_parser = clap::value_parser!(u8).range(1..=60))]
    heartbeat: u8,
    /// The engine's program, if not the one in PATH.
    #[arg(long, value_name = "FILE")]
    dockerd: Option<PathBuf>,
}

/// Does what was asked.
///
/// # Errors
/// [`Error`], which says what to do.
pub fn run(task: &Task) -> Result<(), Error> {
    match task {
        Task::Up(up) => up::up(&up.wanted()),
        Task::Down(name) => up::down(&name.name),
        Task::Status { name, json } => show(name.as_deref(), *json),
        Task::Exec { at, command } => at.with(|node| exec(node, command)),
        Task::Deploy(wanted) => wanted.run(),
        Task::Client { lab, command } => {
            tools::check_root()?;
            deploy::client(&Lab::load(&lab.name)?, command)
        }
        Task::Cut(at) => at.with(net::cut),
        Task::Heal(at) => at.with(net::heal),
        Task::Pause(at) => at.with(|node| running(node)?.pause()),
        Task::Resume(at) => at.with(|node| {
            running(node)?.resume();
            Ok(())
        }),
        Task::Kill(at) => at.with(engine::kill),
        Task::Start(at) => at.with(|node| {
            let lock = state::lock()?;
            engine::start(node)?;
            // A network volume is there once a majority is: others may start meanwhile.
            drop(lock);
            engine::wait_for(node)
        }),
    }
}

/// Whether a lab can be brought up here, and one with a network volume.
///
/// # Errors
/// [`Error::NotRoot`], [`Error::Missing`].
pub fn check(with_network_volume: bool) -> Result<(), Error> {
    tools::check(None, with_network_volume).map(drop)
}

/// Brings the smallest lab up and takes it away, to see whether this machine allows it.
///
/// # Errors
/// [`Error`]: what it does not allow.
pub fn try_out() -> Result<(), Error> {
    const NAME: &str = "tryout";
    let wanted = Wanted {
        name: NAME.into(),
        nodes: 1,
        managers: 1,
        volume: Volume::SharedFolder,
        heartbeat_seconds: HEARTBEAT_SECONDS,
        dockerd: None,
    };
    let outcome = up::up(&wanted);
    outcome.and(up::down(NAME))
}

impl At {
    fn with(&self, act: impl FnOnce(&Node<'_>) -> Result<(), Error>) -> Result<(), Error> {
        tools::check_root()?;
        act(&Lab::load(&self.lab.name)?.node(&self.node)?)
    }
}

impl Deploy {
    fn run(&self) -> Result<(), Error> {
        tools::check_root()?;
        let what = deploy::Deployment {
            stack: &stack(),
            archive: &self.archive,
            image: &self.image,
            program: &self.program,
            cells: self.cells,
            on: None,
            cell_options: Vec::new(),
        };
        deploy::deploy(&Lab::load(&self.lab.name)?, &what)
    }
}

impl Up {
    fn wanted(&self) -> Wanted {
        Wanted {
            name: self.lab.name.clone(),
            nodes: self.nodes,
            managers: self.managers.unwrap_or(if self.nodes < 3 { 1 } else { 3 }),
            volume: self.volume,
            heartbeat_seconds: self.heartbeat,
            dockerd: self.dockerd.clone(),
        }
    }
}

/// The folder with the stack file.
fn stack() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/swarm")
}

fn show(name: Option<&str>, is_json: bool) -> Result<(), Error> {
    tools::check_root()?;
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => state::names()?,
    };
    if names.is_empty() {
        eprintln!("xtask: lab: there is none");
    }
    for name in names {
        status::print(&Lab::load(&name)?, is_json);
    }
    Ok(())
}

fn running(node: &Node<'_>) -> Result<process::Process, Error> {
    node.process().ok_or_else(|| Error::Down(node.name()))
}

/// Becomes the command, so that its input, output and exit code are its own. A new mount
/// namespace begins at its root, and the command belongs where its caller stands.
fn exec(node: &Node<'_>, words: &[String]) -> Result<(), Error> {
    const FROM: &str = "cd \"$0\" && exec \"$@\"";
    let here = std::env::current_dir().map_err(Error::file("."))?;
    let mut command = node.inside(Command::new("env"))?;
    command.env("DOCKER_HOST", node.host()).env_remove("DOCKER_CONTEXT");
    let source = command.args(["sh", "-c", FROM]).arg(here).args(words).exec();
    Err(Error::Start { line: words.join(" "), source })
}
