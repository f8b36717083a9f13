//! A PostgreSQL of a test's own, on loopback, in a folder that goes with it.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::{Certificate, PATIENCE};

const PASSWORD: &str = "not-a-secret";

/// It ends with this value.
pub struct PostgresServer {
    child: Child,
    folder: PathBuf,
    owner: Option<u32>,
    port: u16,
    databases: AtomicU32,
}

impl PostgresServer {
    /// Makes an empty one and starts it on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let name = format!("warren-postgres-{}-{port}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).expect("a folder for PostgreSQL");
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).expect("its mode");
        let owner = owner();
        let password = folder.join("password");
        std::fs::write(&password, PASSWORD).expect("a password file");
        if let Some(owner) = owner {
            for path in [&folder, &password] {
                chown(path, Some(owner), Some(owner)).expect("its owner");
            }
        }
        let mut initdb = program("initdb", owner);
        initdb.args(["--username=warren", "--auth=scram-sha-256", "--no-sync", "--pwfile"]);
        initdb.arg(&password).arg("--pgdata").arg(folder.join("data"));
        let made = initdb.current_dir(&folder).output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let child = spawn(&folder, port, owner, &[]);
        let mut server = Self { child, folder, owner, port, databases: AtomicU32::new(0) };
        server.restart(&[]);
        server
    }

    /// Makes it a certificate for `localhost`, with which it goes on.
    pub fn use_tls(&mut self) -> Certificate {
        let certificate = Certificate::make(&self.folder);
        for path in [&certificate.chain, &certificate.key] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).expect("its mode");
            chown(path, self.owner, self.owner).expect("its owner");
        }
        let setting = |name: &str, path: &Path| format!("{name}={}", path.display());
        let chain = setting("ssl_cert_file", &certificate.chain);
        let key = setting("ssl_key_file", &certificate.key);
        self.restart(&["ssl=on", &chain, &key]);
        certificate
    }

    /// The URL of a new database.
    pub fn database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.ask("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// The URL of a new database without the password, and the password.
    pub fn database_and_password(&self) -> (String, &'static str) {
        (self.database().replace(&format!(":{PASSWORD}@"), "@"), PASSWORD)
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        self.url_through(self.port, database)
    }

    /// The URL of a database behind something that listens on another port.
    pub fn url_through(&self, port: u16, database: &str) -> String {
        format!("postgres://warren:{PASSWORD}@127.0.0.1:{port}/{database}")
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Asks in a database; the rows as psql writes them.
    pub fn ask(&self, database: &str, statement: &str) -> String {
        let answer = self.psql(database, statement);
        assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8_lossy(&answer.stdout).trim().to_owned()
    }

    /// Ends it as if it had never been asked to: kill -9 for it and all that belong to it.
    pub fn kill(&mut self) {
        let pid = self.child.id();
        let mut numbers = pid.to_string();
        for child in children_of(pid) {
            let _ = write!(numbers, " {child}");
        }
        let all = numbers.split(' ');
        let _ = Command::new("kill").arg("-9").args(all).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }

    /// Starts it again, with these settings (`name=value`).
    pub fn restart(&mut self, settings: &[&str]) {
        self.kill();
        let start = Instant::now();
        self.child = spawn(&self.folder, self.port, self.owner, settings);
        while !self.psql("postgres", "SELECT 1").status.success() {
            assert!(start.elapsed() < PATIENCE, "PostgreSQL does not answer");
            // What belonged to the old one may take a moment to be gone.
            if let Ok(Some(_)) = self.child.try_wait() {
                self.child = spawn(&self.folder, self.port, self.owner, settings);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn psql(&self, database: &str, statement: &str) -> std::process::Output {
        Command::new("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", statement])
            .arg(self.url(database))
            .stdin(Stdio::null())
            .output()
            .expect("psql is installed (apt-get install postgresql)")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn spawn(folder: &Path, port: u16, owner: Option<u32>, settings: &[&str]) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log"));
    let mut command = program("postgres", owner);
    command.arg("-D").arg(folder.join("data")).arg("-k").arg(folder);
    command.args(["-h", "127.0.0.1", "-p"]).arg(port.to_string());
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(log.expect("a log file")).spawn().expect("PostgreSQL starts")
}

/// One of PostgreSQL's programs, as a user that may run it: root may not.
fn program(name: &str, owner: Option<u32>) -> Command {
    let path = path_of(name);
    let Some(owner) = owner else { return Command::new(path) };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={owner}")).arg(format!("--regid={owner}"));
    command.arg("--clear-groups").arg(path);
    command
}

/// Debian keeps them beside the path, by version.
fn path_of(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}

/// In which folder it is.
pub(crate) fn folder_of(name: &str) -> PathBuf {
    path_of(name).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// As whom it runs: nobody, where this is root.
pub(crate) fn owner() -> Option<u32> {
    const NOBODY: u32 = 65_534;
    rustix::process::geteuid().is_root().then_some(NOBODY)
}

pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    listed.unwrap_or_default().split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
