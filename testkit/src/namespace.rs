//! Tests in a network of their own, so that they touch no rule of the machine's.

use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

/// Says that this process is in such a network already.
const INSIDE: &str = "WARREN_TEST_IN_NAMESPACE";

/// Runs the test of this name again in a network of its own, with loopback up; there it returns true.
/// Where that is not allowed the test is left out, and says so.
#[must_use]
pub fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        ip(&["link", "set", "lo", "up"]);
        return true;
    }
    let allowed = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("LEFT OUT: {test} needs a network namespace (root)");
        return false;
    }
    let status = Command::new("unshare")
        .args(["--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed in its namespace");
    false
}

/// `ip` with these words.
pub fn ip(words: &[&str]) {
    assert!(Command::new("ip").args(words).status().unwrap().success(), "ip {words:?}");
}

/// Another machine: a network of its own, until it is dropped.
#[derive(Debug)]
pub struct Machine(Child);

impl Machine {
    /// One that is connected: `here/24` on this side, `there/24` on its own.
    #[must_use]
    pub fn connected(name: &str, here: &str, there: &str) -> Self {
        let child = Command::new("unshare")
            .args(["--net", "sleep", "600"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let process = child.id().to_string();
        let own = std::fs::read_link("/proc/self/ns/net").unwrap();
        let is_moved = || {
            std::fs::read_link(format!("/proc/{process}/ns/net")).is_ok_and(|other| other != own)
        };
        while !is_moved() {
            std::thread::yield_now();
        }
        let machine = Self(child);
        ip(&["link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", &process]);
        ip(&["addr", "add", &format!("{here}/24"), "dev", name]);
        ip(&["link", "set", name, "up"]);
        machine.run(|| {
            ip(&["link", "set", "lo", "up"]);
            ip(&["addr", "add", &format!("{there}/24"), "dev", "eth0"]);
            ip(&["link", "set", "eth0", "up"]);
            ip(&["route", "add", "default", "via", here]);
        });
        machine
    }

    /// Does something there, on a thread of its own.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = std::fs::File::open(format!("/proc/{}/ns/net", self.0.id())).unwrap();
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let kind = rustix::thread::LinkNameSpaceType::Network;
                rustix::thread::move_into_link_name_space(file.as_fd(), Some(kind)).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
