//! What the machine has to give: sockets by the ten thousand, and ports that nobody else has.

use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Set where the program runs in a network of its own.
const ELSEWHERE: &str = "WARREN_BENCH_NETWORK";
/// Descriptors that a process needs beside connections and listeners.
const OTHERS: usize = 1_000;

/// Runs this program again in a network namespace of its own, where this may make one: all ports are
/// free there, and nothing of it is left behind. Says whether it did.
pub fn is_elsewhere() -> bool {
    let may = Command::new("unshare").args(["--net", "ip", "link", "set", "lo", "up"]).output();
    if std::env::var_os(ELSEWHERE).is_some() || !may.is_ok_and(|made| made.status.success()) {
        return false;
    }
    let program = std::env::current_exe().expect("it runs");
    let status = Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up; exec \"$@\"", "sh"])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(ELSEWHERE, "1")
        .status();
    assert!(status.is_ok_and(|status| status.success()), "it fails in a network of its own");
    true
}

/// As many descriptors as may be, here and in what is started from here; how many that is.
pub fn raise_limit() -> usize {
    let set = |limit| setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: limit });
    let own = getrlimit(Resource::Nofile).maximum;
    if set(own.max(Some(200_000))).is_err() {
        // It stays as it is where even that is refused.
        let _ = set(own);
    }
    println!("{} descriptors a process", descriptors());
    descriptors()
}

/// Connections that one process can carry beside so many listeners.
pub fn pairs(descriptors: usize, listeners: u16) -> usize {
    descriptors.saturating_sub(usize::from(listeners) + OTHERS) / 2
}

/// How many descriptors this process may have.
pub fn descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit).unwrap_or(usize::MAX)
}
