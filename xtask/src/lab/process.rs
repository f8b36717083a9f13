//! A process that the lab has started, and everything below it.
//!
//! A number alone may long be somebody else's. A process is known by its number, the time it was
//! started at and the run of the machine; it is signalled through a handle on the process that was
//! looked at, so that there is no moment in which the number could pass to another.

use std::fmt;
use std::str::FromStr;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::error::Error;
use super::wait;

/// Longest that a killed process is waited for: one that writes to a slow disk ends late.
const END_SECONDS_MAX: u64 = 30;

const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// Written as `PID STARTED BOOT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pid: i32,
    started: u64,
    boot: String,
}

/// What `/proc/PID/stat` says.
struct Stat {
    state: char,
    parent: i32,
    started: u64,
}

impl Process {
    /// The process that has this number now.
    pub fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        let started = Stat::of(pid)?.started;
        Some(Self { pid, started, boot: boot() })
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it has not ended.
    pub fn lives(&self) -> bool {
        self.stat().is_some()
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.stat().is_some_and(|stat| stat.state == 'T')
    }

    /// The first process below it: the first one of its own world of processes.
    pub fn first_child(&self) -> Option<i32> {
        self.tree().get(1).map(|child| child.pid)
    }

    /// Itself and all below it, from the top; nothing if it has ended.
    pub fn tree(&self) -> Vec<Self> {
        if !self.lives() {
            return Vec::new();
        }
        let all: Vec<(i32, Stat)> = numbers().filter_map(|n| Some((n, Stat::of(n)?))).collect();
        let mut tree = vec![self.clone()];
        let mut next = 0;
        while let Some(parent) = tree.get(next).map(|process| process.pid) {
            let children = all.iter().filter(|(_, stat)| stat.parent == parent);
            tree.extend(children.map(|&(pid, Stat { started, .. })| Self {
                pid,
                started,
                boot: self.boot.clone(),
            }));
            next += 1;
        }
        tree
    }

    /// Stops all of the tree: first the top, so that nobody starts anew what stands still.
    ///
    /// # Errors
    /// [`Error::Late`].
    pub fn pause(&self) -> Result<(), Error> {
        // Who forks while the list is read escapes it, so it is read until nobody is new.
        wait::quietly(END_SECONDS_MAX, &format!("a stop of process {}", self.pid), || {
            let tree = self.tree();
            let moving = tree.iter().filter(|process| !process.is_stopped());
            let told = moving.filter(|process| process.signal(Signal::STOP)).count();
            Ok((told == 0).then_some(()))
        })
    }

    /// Lets all of the tree go on.
    pub fn resume(&self) {
        for process in self.tree().iter().rev() {
            process.signal(Signal::CONT);
        }
    }

    /// Ends all of the tree at once and waits for it.
    ///
    /// # Errors
    /// [`Error::Late`].
    pub fn kill(&self) -> Result<(), Error> {
        let tree = self.tree();
        for process in &tree {
            process.signal(Signal::KILL);
        }
        wait::quietly(END_SECONDS_MAX, &format!("the end of process {}", self.pid), || {
            Ok((!tree.iter().any(Self::lives)).then_some(()))
        })
    }

    /// Whether the signal reached it.
    fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return false };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        // Whoever the handle is on is looked at only now.
        self.lives() && pidfd_send_signal(handle, signal).is_ok()
    }

    fn stat(&self) -> Option<Stat> {
        let stat = Stat::of(self.pid)?;
        let is_ours = stat.started == self.started && self.boot == boot();
        (is_ours && !matches!(stat.state, 'Z' | 'X')).then_some(stat)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.pid, self.started, self.boot)
    }
}

impl FromStr for Process {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [pid, started, boot] = words[..] else { return Err("not three words".into()) };
        Ok(Self {
            pid: pid.parse().map_err(|_| format!("'{pid}' is no process"))?,
            started: started.parse().map_err(|_| format!("'{started}' is no time"))?,
            boot: boot.to_owned(),
        })
    }
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name, in brackets, may hold anything, brackets and spaces too; after it come numbers.
    fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

fn boot() -> String {
    std::fs::read_to_string(BOOT).unwrap_or_default().trim().to_owned()
}

fn numbers() -> impl Iterator<Item = i32> {
    let listing = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    listing.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_move_the_numbers() {
        let numbers: Vec<String> = (5..22).map(|n| n.to_string()).collect();
        let stat = Stat::parse(&format!("7 (a) S 1) T 4 {} 99 1", numbers.join(" "))).unwrap();
        assert_eq!((stat.state, stat.parent, stat.started), ('T', 4, 99));
        assert!(Stat::parse("7 (a) S").is_none());
    }

    #[test]
    fn another_process_with_the_same_number_is_left_alone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(child.id()).unwrap();
        assert_eq!(process, process.to_string().parse().unwrap());
        for other in [
            Process { started: process.started + 1, ..process.clone() },
            Process { boot: "another run".into(), ..process.clone() },
        ] {
            assert!(!other.lives());
            other.kill().unwrap();
        }
        assert!(process.lives());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.lives());
    }

    #[test]
    fn a_tree_stands_still_goes_on_and_ends_as_a_whole() {
        let mut child = Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().unwrap();
        let top = Process::of(child.id()).unwrap();
        let tree = wait::quietly(10, "a child", || {
            let tree = top.tree();
            Ok((tree.len() == 2).then_some(tree))
        });
        let tree = tree.unwrap();
        top.pause().unwrap();
        assert!(tree.iter().all(Process::is_stopped));
        top.resume();
        assert!(!tree.iter().any(Process::is_stopped));
        top.kill().unwrap();
        assert!(!tree.iter().any(Process::lives));
        child.wait().unwrap();
    }
}
