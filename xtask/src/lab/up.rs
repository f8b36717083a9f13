//! Bringing a lab up, and taking it down.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::error::Error;
use super::state::{Lab, ROOT, Volume, check_name};
use super::{engine, net, process::Process, state, swarm, tools, volume, wait};

/// Where control groups are.
const CGROUPS: &str = "/sys/fs/cgroup";

/// Longest that what ended processes held may take to be free.
const FREE_SECONDS_MAX: u64 = 30;

/// What a lab is to look like.
#[derive(Debug)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// How many engines.
    pub nodes: u8,
    /// How many of them manage the swarm.
    pub managers: u8,
    /// What they share.
    pub volume: Volume,
    /// How often a node tells the managers that it lives.
    pub heartbeat_seconds: u8,
    /// The engine's program, if not the one in PATH.
    pub dockerd: Option<PathBuf>,
}

/// Makes what is missing of the lab; where nothing is, it changes nothing.
///
/// # Errors
/// [`Error`]; whatever was made until then, [`down`] takes away and another `up` completes.
pub fn up(wanted: &Wanted) -> Result<(), Error> {
    let start = Instant::now();
    check_name(&wanted.name)?;
    if wanted.managers > wanted.nodes {
        let Wanted { nodes, managers, .. } = wanted;
        return Err(Error::Shape(format!("{nodes} node(s) can't have {managers} managers")));
    }
    let dockerd = tools::check(wanted.dockerd.as_deref(), wanted.volume == Volume::Gluster)?;
    let _lock = state::lock()?;
    let lab = find_or_write(wanted, &dockerd)?;
    net::up(&lab)?;
    fs::create_dir_all(lab.volume_path()).map_err(Error::file(lab.volume_path()))?;
    lab.all().iter().try_for_each(engine::start)?;
    lab.all().iter().try_for_each(engine::wait_for)?;
    volume::up(&lab)?;
    swarm::form(&lab)?;
    eprintln!("xtask: lab: '{}' is up after {:.1} s", lab.name, start.elapsed().as_secs_f64());
    Ok(())
}

/// Takes away whatever there is of a lab, however far it had come.
///
/// # Errors
/// [`Error`]; what could not be taken away stays written down, so that it can be tried again.
pub fn down(name: &str) -> Result<(), Error> {
    check_name(name)?;
    tools::check_root()?;
    let _lock = state::lock()?;
    let lab = match Lab::load(name) {
        // It is written down before anything else is made.
        Err(Error::NoLab(_)) => {
            eprintln!("xtask: lab: there is no '{name}'");
            return remove(&Path::new(ROOT).join(name));
        }
        lab => lab?,
    };
    // All are killed before anybody is waited for: those that are left would wait for one another.
    let processes: Vec<Process> = lab.all().iter().filter_map(super::node::Node::process).collect();
    processes.iter().try_for_each(Process::kill)?;
    net::down(&lab)?;
    for node in lab.all() {
        free_cgroups(&node.cgroup())?;
    }
    check_unmounted(&lab.folder())?;
    remove(&lab.folder())?;
    eprintln!("xtask: lab: '{name}' is down");
    Ok(())
}

fn find_or_write(wanted: &Wanted, dockerd: &Path) -> Result<Lab, Error> {
    let shape = |subnet| Lab {
        name: wanted.name.clone(),
        subnet,
        nodes: wanted.nodes,
        managers: wanted.managers,
        volume: wanted.volume,
        heartbeat_seconds: wanted.heartbeat_seconds,
        dockerd: dockerd.to_owned(),
    };
    match Lab::load(&wanted.name) {
        Ok(lab) if lab == shape(lab.subnet) => Ok(lab),
        Ok(lab) => Err(Error::Differs(lab.name)),
        Err(Error::NoLab(_)) => {
            let lab = shape(net::free_subnet()?);
            net::check_free(&lab)?;
            // A `down` that was interrupted at its very end leaves files without their state.
            remove(&lab.folder())?;
            lab.save()?;
            Ok(lab)
        }
        Err(error) => Err(error),
    }
}

/// Engines make groups for their containers and leave them when they are killed. There is one tree
/// of groups, or one for each kind.
fn free_cgroups(name: &str) -> Result<(), Error> {
    let kinds = fs::read_dir(CGROUPS).into_iter().flatten().flatten().map(|entry| entry.path());
    for group in kinds.chain([CGROUPS.into()]).map(|kind| kind.join(name)) {
        let what = format!("the end of the processes in {}", group.display());
        wait::quietly(FREE_SECONDS_MAX, &what, || {
            remove_groups(&group);
            Ok((!group.exists()).then_some(()))
        })?;
    }
    Ok(())
}

/// A group is a folder that only `rmdir` removes, from the bottom.
fn remove_groups(group: &Path) {
    for below in fs::read_dir(group).into_iter().flatten().flatten() {
        if below.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&below.path());
        }
    }
    // It fails while a process that was killed is still ending; the caller looks again.
    let _ = fs::remove_dir(group);
}

/// Nothing of a lab is mounted where we can see it; what somebody else has mounted is not ours to
/// delete.
fn check_unmounted(folder: &Path) -> Result<(), Error> {
    const MOUNTS: &str = "/proc/self/mountinfo";
    let mounts = fs::read_to_string(MOUNTS).map_err(Error::file(MOUNTS))?;
    let mut points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    match points.find(|point| Path::new(point).starts_with(folder)) {
        Some(point) => Err(Error::Mounted(point.to_owned())),
        None => Ok(()),
    }
}

/// What ended processes had mounted becomes free a moment after they have ended.
fn remove(folder: &Path) -> Result<(), Error> {
    let mut last = None;
    let removed =
        wait::quietly(FREE_SECONDS_MAX, "the lab's folder", || match fs::remove_dir_all(folder) {
            Ok(()) => Ok(Some(())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(())),
            Err(error) => {
                last = Some(error);
                Ok(None)
            }
        });
    removed.map_err(|late| last.map_or(late, Error::file(folder)))
}
