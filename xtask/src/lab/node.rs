//! One node: what it is called, where it lies, and whether it runs.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::error::Error;
use super::process::Process;
use super::state::{Lab, write_whole};
use super::tools;

/// Nodes' addresses begin behind the bridge's and a few that are free.
const ADDRESS_OFFSET: u8 = 10;

/// A node of a lab.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// Whose node it is.
    pub lab: &'a Lab,
    /// From 1.
    pub number: u8,
}

impl Node<'_> {
    /// The name of its host and of its network namespace.
    pub fn name(&self) -> String {
        format!("{}-{}", self.lab.name, self.number)
    }

    /// Its address.
    pub fn address(&self) -> String {
        self.lab.address(self.number.saturating_add(ADDRESS_OFFSET))
    }

    /// The end of its link that is at the bridge.
    pub fn link(&self) -> String {
        format!("wl{}", self.name())
    }

    /// What its containers' control groups lie under.
    pub fn cgroup(&self) -> String {
        format!("warren-lab-{}", self.name())
    }

    /// Its part of the lab's folder.
    pub fn folder(&self) -> PathBuf {
        self.lab.folder().join(self.number.to_string())
    }

    /// Where its engine listens.
    pub fn socket(&self) -> PathBuf {
        self.folder().join("docker.sock")
    }

    /// What its engine prints.
    pub fn log(&self) -> PathBuf {
        self.folder().join("engine.log")
    }

    /// Its processes, if they run: all are below this one.
    pub fn process(&self) -> Option<Process> {
        let written = fs::read_to_string(self.process_file()).ok()?;
        written.parse().ok().filter(Process::lives)
    }

    /// Writes down which process becomes its engine.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write_process(&self, process: &Process) -> Result<(), Error> {
        write_whole(&self.process_file(), &format!("{process}\n"))
    }

    /// A command inside the node: its network, its mounts, its processes.
    ///
    /// # Errors
    /// [`Error::Down`].
    pub fn inside(&self, mut around: Command) -> Result<Command, Error> {
        let first = self.process().and_then(|process| process.first_child());
        let first = first.ok_or_else(|| Error::Down(self.name()))?;
        around.args(["nsenter", "--target", &first.to_string()]);
        around.args(["--mount", "--uts", "--net", "--pid", "--"]);
        Ok(around)
    }

    /// Asks its engine, in the words of its own client; an engine that hangs is an error.
    ///
    /// # Errors
    /// [`Error::Failed`], [`Error::Start`].
    pub fn docker(&self, seconds: u64, args: &[&str]) -> Result<String, Error> {
        let mut docker = tools::timed(seconds);
        tools::output(docker.env("DOCKER_HOST", self.host()).arg("docker").args(args))
    }

    /// Its socket as Docker's clients want to hear it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn process_file(&self) -> PathBuf {
        self.folder().join("process")
    }
}
