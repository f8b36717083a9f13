//! What containers cost in memory, all in: what the kernel charges to their control groups, as
//! `docker stats` counts it, and what runs beside them for them alone: shims and port proxies.

use std::fs;
use std::path::{Path, PathBuf};

use crate::lab::error::Error;
use crate::lab::node::Node;
use crate::lab::state::Lab;

/// Longest that an engine may take to list its containers.
const SECONDS_MAX: u64 = 20;

const CGROUPS: &str = "/sys/fs/cgroup";

/// Bytes that some containers cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Charged {
    /// How many containers.
    pub containers: u64,
    /// Their control groups, without what of files can be dropped at once.
    pub groups: u64,
    /// Their shims, with a fair part of what these share.
    pub shims: u64,
    /// The same of their ports' proxies.
    pub proxies: u64,
}

/// A container as its engine knows it.
struct Container {
    id: String,
    name: String,
    address: String,
}

impl Charged {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.groups + self.shims + self.proxies
    }

    /// One more.
    pub fn add(&mut self, other: &Self) {
        self.containers += other.containers;
        self.groups += other.groups;
        self.shims += other.shims;
        self.proxies += other.proxies;
    }
}

/// The containers of all nodes whose names please.
pub fn of_all(lab: &Lab, is_meant: impl Fn(&str) -> bool) -> Result<Charged, Error> {
    let mut all = Charged::default();
    for node in lab.all() {
        all.add(&of(&node, &is_meant)?);
    }
    Ok(all)
}

/// The same of one node.
pub fn of(node: &Node<'_>, is_meant: impl Fn(&str) -> bool) -> Result<Charged, Error> {
    weigh(node, |container| is_meant(&container.name))
}

/// The containers of one node whose numbers please.
pub fn of_ids(node: &Node<'_>, is_meant: impl Fn(&str) -> bool) -> Result<Charged, Error> {
    weigh(node, |container| is_meant(&container.id))
}

fn weigh(node: &Node<'_>, is_meant: impl Fn(&Container) -> bool) -> Result<Charged, Error> {
    let beside = beside(node);
    let mut all = Charged::default();
    for container in containers(node)?.iter().filter(|container| is_meant(container)) {
        let of = |program: &str, option: &str, value: &str| -> u64 {
            let is_its = |words: &&(i32, Vec<String>)| is_for(&words.1, program, option, value);
            beside.iter().filter(is_its).map(|(pid, _)| proportional(*pid)).sum()
        };
        all.add(&Charged {
            containers: 1,
            groups: group(node, &container.id)?,
            shims: of("containerd-shim", "-id", &container.id),
            proxies: of("docker-proxy", "-container-ip", &container.address),
        });
    }
    Ok(all)
}

fn containers(node: &Node<'_>) -> Result<Vec<Container>, Error> {
    const FORMAT: &str =
        "{{.Id}} {{.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let ids = node.docker(SECONDS_MAX, &["ps", "--quiet", "--no-trunc"])?;
    let ids: Vec<&str> = ids.split_whitespace().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let list = node.docker(SECONDS_MAX, &[&["inspect", "--format", FORMAT], &ids[..]].concat())?;
    Ok(list.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Container> {
    let mut words = line.split(' ');
    Some(Container {
        id: words.next()?.to_owned(),
        name: words.next()?.trim_start_matches('/').to_owned(),
        address: words.next().unwrap_or_default().to_owned(),
    })
}

/// There is one tree of groups, or one for memory alone.
fn group(node: &Node<'_>, id: &str) -> Result<u64, Error> {
    let alone = Path::new(CGROUPS).join("memory").join(node.cgroup()).join(id);
    let (folder, total, inactive) = if alone.exists() {
        (alone, "memory.usage_in_bytes", "total_inactive_file")
    } else {
        (Path::new(CGROUPS).join(node.cgroup()).join(id), "memory.current", "inactive_file")
    };
    let read = |name: &str| -> Result<(PathBuf, String), Error> {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
        Ok((path, text))
    };
    let odd = |path: PathBuf| Error::State { path, why: "not the number it should have".into() };
    let (path, text) = read(total)?;
    let total: u64 = text.trim().parse().map_err(|_| odd(path))?;
    let (path, text) = read("memory.stat")?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    let inactive = lines.find(|(name, _)| *name == inactive);
    let inactive: Option<u64> = inactive.and_then(|(_, number)| number.trim().parse().ok());
    Ok(total.saturating_sub(inactive.ok_or_else(|| odd(path))?))
}

/// The node's processes that engines run for containers, with their words.
fn beside(node: &Node<'_>) -> Vec<(i32, Vec<String>)> {
    let tree = node.process().map(|process| process.tree()).unwrap_or_default();
    let words = tree.iter().filter_map(|process| {
        let line = fs::read(format!("/proc/{}/cmdline", process.pid())).ok()?;
        let words = line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into());
        Some((process.pid(), words.collect()))
    });
    words.collect()
}

fn is_for(words: &[String], program: &str, option: &str, value: &str) -> bool {
    let is_program = words.first().is_some_and(|first| {
        let name = first.rsplit('/').next().unwrap_or_default();
        name.starts_with(program)
    });
    is_program && words.windows(2).any(|pair| matches!(pair, [a, b] if a == option && b == value))
}

/// What of memory is a process's own, and its part of what several share.
fn proportional(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shim_belongs_to_the_container_that_it_names() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let shim = words("/usr/bin/containerd-shim-runc-v2 -namespace moby -id abc -address x");
        assert!(is_for(&shim, "containerd-shim", "-id", "abc"));
        assert!(!is_for(&shim, "containerd-shim", "-id", "ab"));
        assert!(!is_for(&shim, "docker-proxy", "-id", "abc"));
    }

    #[test]
    fn this_process_has_memory_of_its_own() {
        assert!(proportional(i32::try_from(std::process::id()).unwrap_or_default()) > 0);
    }
}
