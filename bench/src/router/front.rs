//! What is measured: somebody who takes connections on many ports and carries them on.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::ServerName;

use super::load;
use crate::directory::process::Process;

/// The first port of the routes; the others follow.
pub const FIRST_PORT: u16 = 2_000;

/// How a client says whom she wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    Port,
    Name,
}

impl How {
    pub fn label(self) -> &'static str {
        match self {
            Self::Port => "by port",
            Self::Name => "by name",
        }
    }
}

/// A router, or one of its peers, or nobody at all.
pub struct Front {
    pub who: &'static str,
    /// None where clients talk to the server itself.
    pub process: Option<Process>,
    /// Where its ports are.
    pub ip: Ipv4Addr,
    /// Where all routes are, if they are in one place.
    pub all: Option<SocketAddr>,
    /// Where it looks at names, if it does.
    pub names: Option<SocketAddr>,
    pub routes: u16,
    /// Has one route lead to the server of this number, without waiting.
    pub lead: Box<dyn FnMut(u16, usize)>,
    /// From starting it until its routes answered.
    pub started_in: Duration,
}

/// Whom a client connects to, and what she says first.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub hello: Vec<u8>,
}

impl Front {
    /// Waits until all routes answer, of which it asks some.
    pub fn until_ready(mut self, began: Instant) -> Self {
        let some = (0..self.routes).step_by(usize::from(self.routes / 100).max(1));
        for route in some.chain([self.routes - 1]) {
            let target = self.target(How::Port, route);
            while load::who(&target).is_none() {
                assert!(began.elapsed() < Duration::from_secs(120), "{} does not answer", self.who);
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.started_in = began.elapsed();
        self
    }

    pub fn knows(&self, how: How) -> bool {
        how == How::Port || self.names.is_some()
    }

    /// Where the route of this number is.
    pub fn target(&self, how: How, route: u16) -> Target {
        let port = SocketAddr::from((self.ip, FIRST_PORT.saturating_add(route)));
        match (how, self.names) {
            (How::Name, Some(address)) => Target { address, hello: hello(route) },
            _ => Target { address: self.all.unwrap_or(port), hello: Vec::new() },
        }
    }

    /// Processor time of all its processes.
    pub fn cpu(&self) -> Duration {
        self.pids().into_iter().map(crate::process::processor_time).sum()
    }

    /// Memory of all its processes; what they share counts once.
    pub fn memory(&self) -> u64 {
        self.pids().into_iter().map(proportional_bytes).sum()
    }

    fn pids(&self) -> Vec<u32> {
        let Some(process) = &self.process else { return Vec::new() };
        let (first, mut pids) = (process.0.id(), vec![process.0.id()]);
        let children = std::fs::read_to_string(format!("/proc/{first}/task/{first}/children"));
        let children = children.unwrap_or_default();
        pids.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        pids
    }
}

impl Drop for Front {
    /// Workers outlive whoever started them.
    fn drop(&mut self) {
        let workers: Vec<_> = self.pids().into_iter().skip(1).collect();
        self.process = None;
        for worker in workers {
            let pid = i32::try_from(worker).ok().and_then(Pid::from_raw);
            // It may have ended by itself.
            let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}

/// The label of a route's host: the number in base 32, as long as those of identities are.
pub fn label(route: u16) -> String {
    let digit = |at: u32| b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(route >> (5 * at) & 31)];
    let digits = (0..4).rev().map(digit).chain([b'a'; 22]);
    digits.map(char::from).collect()
}

/// The host name of a route.
pub fn name(route: u16) -> String {
    format!("{}.swarm.example", label(route))
}

/// What a TLS client says first to the server of this name.
fn hello(route: u16) -> Vec<u8> {
    let roots = rustls::RootCertStore::empty();
    let config =
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name(route)).expect("a name");
    let mut client =
        rustls::ClientConnection::new(std::sync::Arc::new(config), name).expect("a client");
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).expect("memory");
    bytes
}

/// Of a page that several processes have, each counts its part. A worker may just have ended.
fn proportional_bytes(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
