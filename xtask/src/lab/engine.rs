//! Starting and ending a node's engine, with everything that belongs to the node.
//!
//! A node is a world of processes of its own (a PID namespace) beside its own mounts, host name and
//! network. Containerd, shims, containers and mounts that an engine would leave behind end with the
//! first process of that world; none of them has to be found.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;

use super::error::Error;
use super::node::Node;
use super::process::Process;
use super::state::Volume;
use super::{tools, volume, wait};

/// What runs in a node, before and around its engine.
const NODE_SCRIPT: &str = include_str!("node.sh");

/// Becomes the node only when told to, which is after its process was written down. If we end
/// before, it reads the end of the pipe and ends too.
const LAUNCHER: &str = "read -r go && exec \"$@\" < /dev/null";

/// Longest that an engine may take until it answers.
const READY_SECONDS_MAX: u64 = 90;

/// Longest that an engine may take for one answer while it starts.
const ANSWER_SECONDS_MAX: u64 = 10;

/// Starts the node, unless it runs; [`wait_for`] waits until it can be used.
///
/// # Errors
/// [`Error::File`], [`Error::Start`].
pub fn start(node: &Node<'_>) -> Result<(), Error> {
    if let Some(process) = node.process() {
        process.resume();
        return Ok(());
    }
    prepare(node)?;
    let log = File::options().append(true).create(true).open(node.log());
    let log = log.map_err(Error::file(node.log()))?;
    let complaints = log.try_clone().map_err(Error::file(node.log()))?;
    let mut launcher = tools::command("sh");
    launcher.args(["-c", LAUNCHER, "sh", "setsid"]);
    launcher.args(["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "nsenter"]);
    launcher.arg(format!("--net=/run/netns/{}", node.name()));
    launcher.args(["sh", "-c", NODE_SCRIPT, "node.sh"]);
    launcher.arg(node.lab.folder()).arg(node.folder()).arg(node.name());
    launcher.arg(&node.lab.dockerd).arg("--host").arg(node.host());
    // And where containers in the node expect it; the node's /run is its own.
    launcher.args(["--host", "unix:///run/docker.sock"]);
    launcher.arg("--data-root").arg(node.folder().join("data"));
    launcher.args(["--exec-root", "/run/docker", "--pidfile", "/run/docker.pid"]);
    launcher.arg("--cgroup-parent").arg(format!("/{}", node.cgroup()));
    launcher.env("LAB_GLUSTER_VOLUME", volume::NAME);
    launcher.stdin(Stdio::piped()).stdout(log).stderr(complaints);
    let failed = |source| Error::Start { line: format!("the engine of {}", node.name()), source };
    let mut child = launcher.spawn().map_err(failed)?;
    let process = Process::of(child.id()).ok_or_else(|| Error::Down(node.name()))?;
    node.write_process(&process)?;
    let go = child.stdin.take().map_or(Ok(()), |mut pipe| pipe.write_all(b"go\n"));
    go.map_err(failed)
}

/// Waits until the engine answers.
///
/// # Errors
/// [`Error::Ended`], [`Error::Late`].
pub fn wait_for(node: &Node<'_>) -> Result<(), Error> {
    let what = format!("engine of {}", node.name());
    wait::until(&what, READY_SECONDS_MAX, &node.folder(), || {
        if node.process().is_none() {
            let said = fs::read(node.log()).unwrap_or_default();
            let said = tools::end_of(&String::from_utf8_lossy(&said));
            return Err(Error::Ended { node: node.name(), log: node.log(), said });
        }
        Ok(node.docker(ANSWER_SECONDS_MAX, &["version", "--format", "{{.Server.Version}}"]).ok())
    })
    .map(drop)
}

/// Ends the engine and its containers at once, as if the power went.
///
/// # Errors
/// [`Error::Late`].
pub fn kill(node: &Node<'_>) -> Result<(), Error> {
    node.process().map_or(Ok(()), |process| process.kill())
}

fn prepare(node: &Node<'_>) -> Result<(), Error> {
    let make = |name: &str| {
        let path = node.folder().join(name);
        fs::create_dir_all(&path).map_err(Error::file(path))
    };
    make("cgroup")?;
    if node.lab.volume == Volume::Gluster {
        make("gluster")?;
    }
    let resolv = node.folder().join("resolv.conf");
    fs::write(&resolv, "nameserver 127.0.0.1\n").map_err(Error::file(resolv))?;
    // What the last engine left would be taken for this one's.
    match fs::remove_file(node.socket()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::file(node.socket())(error))
        }
        _ => Ok(()),
    }
}
