//! The one door for developers: `cargo xtask <command>`.
//!
//! **For:** everything that is done with this workspace besides building it.
//! **Owns:** which tools a check needs, which versions of them, and the rules of the structure
//! ([`tidy`]).
//! **Never:** compiles anything heavy itself, or writes outside the target folder; but for the
//! [`lab`], whose namespaces are the whole machine's.

mod bench;
mod command;
mod conformance;
mod fuzz;
mod image;
mod lab;
mod place;
mod python;
mod test;
mod tidy;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::command::Failure;
use crate::place::Place;

/// The workspace's developer commands.
#[derive(Parser)]
#[command(name = "cargo xtask", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Installs what the tests need and is missing, then runs them.
    Test {
        /// Leave out the tests that take longer than a few seconds (nextest's profile `quick`).
        #[arg(long)]
        quick: bool,
        /// All there are, those too that take minutes (nextest's profile `slow`).
        #[arg(long, conflicts_with = "quick")]
        slow: bool,
    },
    /// Checks the format, the lints and the structure of the workspace.
    Tidy,
    /// Measures, side by side with real peers: store, wake, scale, neighbours, directory,
    /// directory-scale, directory-dns, server or host (as root, on a lab).
    Bench {
        /// Which benchmark.
        name: String,
        /// Options of the benchmark itself; `-- --help` lists them.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Runs the numbered statements of the protocol from outside, against this checkout or another
    /// implementation.
    Conformance {
        /// Options of the checker itself; `-- --help` lists them.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Attacks the parsers: runs the fuzz targets one after the other.
    Fuzz {
        /// One target; all of them if left out.
        target: Option<String>,
        /// How long each target runs.
        #[arg(long, value_name = "N", default_value_t = 60)]
        seconds: u64,
    },
    /// Builds a container image of the program, as an archive for `docker load`.
    Image(image::ImageArgs),
    /// A real Docker Swarm of several hosts on this machine; as root.
    #[command(subcommand)]
    Lab(lab::Task),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match Place::find().and_then(|place| run(&cli.command, &place)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A command that failed has already said why on its own output, and a test runner's
            // summary stays the last word.
            if !matches!(failure, Failure::Command { .. }) {
                eprintln!("xtask: {failure}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task, place: &Place) -> Result<(), Failure> {
    match task {
        Task::Test { quick: true, .. } => test::run(place, Some("quick")),
        Task::Test { slow: true, .. } => test::run(place, Some("slow")),
        Task::Test { .. } => test::run(place, None),
        Task::Tidy => tidy::run(place),
        Task::Bench { name, rest } => bench::run(place, name, rest),
        Task::Conformance { rest } => conformance::run(place, rest),
        Task::Fuzz { target, seconds } => {
            fuzz::run(place, target.as_deref(), Duration::from_secs(*seconds))
        }
        Task::Image(args) => image::run(place, args),
        Task::Lab(task) => Ok(lab::run(task)?),
    }
}
