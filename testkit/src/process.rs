//! The program as a process.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::{LineClient, PATIENCE, Ports};

/// What `endpoints.json` says.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Endpoints {
    /// `host:port` of the directory.
    pub directory: String,
    /// `https://host:port` of its HTTPS front, if it has one.
    pub directory_https: Option<String>,
    /// `https://host:port`.
    pub registrar: String,
    /// The authority to trust.
    pub ca_file: PathBuf,
    /// Where the token stands.
    pub admin_token_file: PathBuf,
    /// With which the feed is signed.
    pub feed_key: String,
    /// URL of the metrics.
    pub metrics: String,
}

/// A running `warren up`.
pub struct Warren {
    child: Child,
    binary: OsString,
    /// Its data directory.
    pub dir: PathBuf,
    /// What it said when it was ready.
    pub endpoints: Endpoints,
    /// From spawning it to `endpoints.json`.
    pub started_in: Duration,
}

/// `warren up` with everything on free ports.
pub fn up_command(binary: &str, dir: &Path, ports: &Ports) -> Command {
    let mut command = Command::new(binary);
    command
        .arg("up")
        .arg("--data-dir")
        .arg(dir)
        .args(["--directory-port", "0", "--registrar-port", "0", "--metrics-port", "0"])
        .args(["--ports", &ports.argument()])
        .env_remove("WARREN_DATA_DIR");
    command
}

impl Warren {
    /// Starts the program `binary` and waits until it is ready.
    pub fn start(binary: &str, dir: &Path, ports: &Ports, more: &[&str]) -> Self {
        let mut command = up_command(binary, dir, ports);
        command.args(more);
        Self::spawn(command, dir)
    }

    /// Starts a prepared command that works on `dir`. Its output goes to a log beside `dir`.
    pub fn spawn(mut command: Command, dir: &Path) -> Self {
        let binary = command.get_program().to_owned();
        let path = dir.join("endpoints.json");
        let _ = std::fs::remove_file(&path);
        let log =
            File::options().create(true).append(true).open(dir.with_extension("log")).unwrap();
        let start = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        loop {
            if let Ok(text) = std::fs::read_to_string(&path) {
                let endpoints = serde_json::from_str(&text).unwrap();
                let started_in = start.elapsed();
                return Self { child, binary, dir: dir.to_owned(), endpoints, started_in };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("warren up ended with {status}: {}", log_of(dir));
            }
            assert!(start.elapsed() < PATIENCE, "warren up is not ready: {}", log_of(dir));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(self.pid())
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and what it exits with.
    pub fn terminate(self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.ended()
    }

    /// Waits until it ends by itself, and what it exits with.
    pub fn ended(mut self) -> std::process::ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "warren up does not end: {}", log_of(&self.dir));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs another `warren` command against this one.
    pub fn command(&self, args: &[&str]) -> Output {
        Command::new(&self.binary)
            .args(args)
            .arg("--data-dir")
            .arg(&self.dir)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Registers a name; its address and activation secret.
    pub fn register(&self, name: &str) -> (String, String) {
        let output = self.command(&["identity", "register", name, "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let field = |name: &str| answer[name].as_str().unwrap().to_owned();
        (field("address"), field("activation_secret"))
    }

    /// A connection to one server, its prompt read.
    pub fn connect(&self, address: &str) -> LineClient {
        LineClient::connect(address, &self.endpoints.ca_file).unwrap()
    }

    /// A connection that CRAM has made the owner's.
    pub fn owner(&self, name: &str, address: &str, secret: &str) -> LineClient {
        let mut client = self.connect(address);
        client.cram(name, secret);
        client
    }
}

impl Drop for Warren {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resident memory of a process, in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// What a warren on this data directory has printed.
pub fn log_of(dir: &Path) -> String {
    let log = dir.with_extension("log");
    std::fs::read_to_string(log).unwrap_or_default()
}
