//! What a lab could leave behind on a machine.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// Everything of it, one word each.
pub struct Traces(BTreeSet<String>);

impl Traces {
    /// Looks at the whole machine.
    pub fn of_machine() -> Self {
        let all = [worlds(), mounts(), names("/sys/class/net"), rules(), groups()];
        Self(all.into_iter().flatten().collect())
    }

    /// What is here and was not there before.
    pub fn since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// The namespaces that any process is in: who is left is in one of the lab's.
fn worlds() -> Vec<String> {
    let processes = names("/proc");
    let kinds = ["pid", "mnt", "net", "uts"];
    let links = processes.iter().flat_map(|p| kinds.map(|kind| format!("{p}/ns/{kind}")));
    links.filter_map(|link| Some(fs::read_link(link).ok()?.display().to_string())).collect()
}

/// `ip netns` itself makes its folder a mount, once for the whole machine.
fn mounts() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points.filter(|&point| point != "/run/netns").map(str::to_owned).collect()
}

fn rules() -> Vec<String> {
    let output = Command::new("iptables").args(["--wait", "10", "--list-rules"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn groups() -> Vec<String> {
    let kinds = names("/sys/fs/cgroup");
    let groups = kinds.iter().flat_map(|kind| names(kind)).chain(kinds.iter().cloned());
    groups.filter(|group| group.contains("warren-lab")).collect()
}

/// The paths in a folder.
fn names(folder: &str) -> Vec<String> {
    let listing = fs::read_dir(folder).into_iter().flatten().flatten();
    listing.map(|entry| entry.path().display().to_string()).collect()
}
