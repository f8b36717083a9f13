//! Two PostgreSQL servers that Patroni keeps, one of which writes, with an etcd: on loopback, in a
//! folder that goes with them.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::postgres::{children_of, folder_of, owner};
use crate::{PATIENCE, Ports};

const PASSWORD: &str = "not-a-secret";

/// It ends with this value.
pub struct Patroni {
    folder: PathBuf,
    ports: Ports,
    etcd: Child,
    members: [Child; 2],
}

impl Patroni {
    /// Starts it; returns once one server writes and the other one has all that it writes.
    pub fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("warren-patroni-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder for Patroni");
        fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).expect("its mode");
        chown(&folder, owner(), owner()).expect("its owner");
        watch_over(&folder);
        let ports = Ports::reserve(6);
        let etcd = etcd(&folder, &ports);
        let members = [0, 1].map(|member| member_of(&folder, &ports, member));
        let cluster = Self { folder, ports, etcd, members };
        cluster.wait_for_both();
        cluster
    }

    /// The URL of the database, which names both servers.
    pub fn url(&self) -> String {
        let [one, other] = [0, 1].map(|member| self.postgres_port(member));
        format!("postgres://warren:{PASSWORD}@127.0.0.1:{one},127.0.0.1:{other}/postgres")
    }

    /// Which server writes.
    pub fn leader(&self) -> usize {
        let start = Instant::now();
        loop {
            let leads = |member: &usize| {
                self.asked(*member, "SELECT pg_is_in_recovery()").is_some_and(|says| says == "f")
            };
            if let Some(member) = [0, 1].iter().find(|member| leads(member)) {
                return *member;
            }
            assert!(start.elapsed() < PATIENCE, "no server writes:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the server that does not write has all that the other one acknowledges, and etcd
    /// knows: until then nobody would take over.
    pub fn wait_for_both(&self) {
        let start = Instant::now();
        while !self.cluster(self.leader()).contains("\"sync_standby\"") {
            assert!(start.elapsed() < 2 * PATIENCE, "no copy is kept:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What a server's Patroni says of all, or nothing.
    fn cluster(&self, member: usize) -> String {
        let ask = || -> std::io::Result<String> {
            let address = (Ipv4Addr::LOCALHOST, self.ports.get(4 + member));
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"GET /cluster HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().unwrap_or_default()
    }

    /// kill -9 for a server and the Patroni that keeps it, as if its machine lost its power.
    pub fn kill(&mut self, member: usize) {
        self.signal(member, "-KILL");
        let _ = self.members[member].wait();
    }

    /// Starts what was killed.
    pub fn restart(&mut self, member: usize) {
        self.members[member] = member_of(&self.folder, &self.ports, member);
    }

    /// Stops a server and its Patroni where they are, between two rounds of the latter; they do not
    /// know it. In the middle of a round a Patroni without a watchdog would write down, once it goes
    /// on, that it leads, whoever leads by then.
    pub fn pause(&self, member: usize) {
        let rounds = || self.log(member).matches(" no action. ").count();
        let (start, before) = (Instant::now(), rounds());
        while rounds() == before {
            assert!(start.elapsed() < PATIENCE, "no round of it ends:\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.signal(member, "-STOP");
    }

    /// Lets them go on.
    pub fn resume(&self, member: usize) {
        self.signal(member, "-CONT");
    }

    fn signal(&self, member: usize, signal: &str) {
        let mut pids = vec![self.members[member].id()];
        let file = self.folder.join(format!("data{member}/postmaster.pid"));
        let text = fs::read_to_string(file).unwrap_or_default();
        if let Some(postmaster) = text.lines().next().and_then(|line| line.parse().ok()) {
            pids.push(postmaster);
            pids.extend(children_of(postmaster));
        }
        let mut kill = Command::new("kill");
        kill.arg(signal).args(pids.iter().map(u32::to_string)).stderr(Stdio::null());
        let _ = kill.status();
    }

    fn postgres_port(&self, member: usize) -> u16 {
        self.ports.get(2 + member)
    }

    fn asked(&self, member: usize, statement: &str) -> Option<String> {
        let port = self.postgres_port(member);
        let answer = Command::new("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", statement])
            .arg(format!(
                "postgres://warren:{PASSWORD}@127.0.0.1:{port}/postgres?connect_timeout=2"
            ))
            .stdin(Stdio::null())
            .output()
            .expect("psql is installed (apt-get install postgresql)");
        let text = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
        answer.status.success().then_some(text)
    }

    fn logs(&self) -> String {
        [0, 1].map(|member| self.log(member)).concat()
    }

    fn log(&self, member: usize) -> String {
        fs::read_to_string(self.folder.join(format!("log{member}"))).unwrap_or_default()
    }
}

impl Drop for Patroni {
    fn drop(&mut self) {
        for member in [0, 1] {
            self.kill(member);
        }
        let _ = self.etcd.kill();
        let _ = self.etcd.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Patroni's servers are nobody's children: where the test is killed, they would stay, with their ports.
fn watch_over(folder: &Path) {
    const UNTIL_THE_END: &str = r#"while kill -0 "$0" 2>/dev/null; do sleep 0.2; done
        for file in "$1"/data*/postmaster.pid; do
            [ -e "$file" ] && kill -KILL "$(head -n 1 "$file")"
        done
        rm -rf "$1""#;
    let mut watch = Command::new("setsid");
    watch.args(["--fork", "sh", "-c", UNTIL_THE_END, &std::process::id().to_string()]).arg(folder);
    watch.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(watch.status().expect("setsid").success());
}

fn etcd(folder: &Path, ports: &Ports) -> Child {
    let [clients, peers] = [0, 1].map(|port| format!("http://127.0.0.1:{}", ports.get(port)));
    let mut etcd = ending_with_us("etcd");
    // By its older interface Patroni compares before it writes down who leads; by the newer one (3.0)
    // whoever was stopped may find an old answer in its memory, and write itself down again.
    etcd.args(["--enable-v2=true", "--name", "one", "--unsafe-no-fsync", "--data-dir"])
        .arg(folder.join("etcd"));
    etcd.args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients]);
    etcd.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
    etcd.args(["--initial-cluster", &format!("one={peers}")]);
    spawn(etcd, folder, "etcd.log")
}

fn member_of(folder: &Path, ports: &Ports, member: usize) -> Child {
    let settings = folder.join(format!("member{member}.yml"));
    fs::write(&settings, settings_of(folder, ports, member)).expect("Patroni's settings");
    fs::set_permissions(&settings, PermissionsExt::from_mode(0o644)).expect("their mode");
    let mut patroni = ending_with_us("patroni");
    patroni.arg(settings).env("HOME", folder);
    spawn(patroni, folder, &format!("log{member}"))
}

/// It ends with the test, also where that is killed.
fn ending_with_us(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=KILL");
    if let Some(owner) = owner() {
        command
            .args([format!("--reuid={owner}"), format!("--regid={owner}")])
            .arg("--clear-groups");
    }
    command.arg(name);
    command
}

fn spawn(mut command: Command, folder: &Path, log: &str) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join(log));
    let log = log.expect("a log file");
    let more = log.try_clone().expect("a second handle");
    command.current_dir(folder).stdin(Stdio::null()).stdout(more).stderr(log);
    command.spawn().expect("it is installed (apt-get install patroni etcd-server)")
}

/// A leader that is silent for five seconds is replaced.
fn settings_of(folder: &Path, ports: &Ports, member: usize) -> String {
    let (etcd, postgres, rest) = (ports.get(0), ports.get(2 + member), ports.get(4 + member));
    let (folder, programs) = (folder.display(), folder_of("postgres"));
    let programs = programs.display();
    format!(
        r#"scope: warren
name: member{member}
restapi: {{listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}}
etcd: {{host: "127.0.0.1:{etcd}"}}
bootstrap:
  dcs:
    ttl: 5
    loop_wait: 1
    retry_timeout: 2
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: {{wal_log_hints: "on", max_connections: 40}}
  initdb: [{{encoding: UTF8}}, {{auth: scram-sha-256}}, data-checksums]
  pg_hba:
    - host all all 127.0.0.1/32 scram-sha-256
    - host replication all 127.0.0.1/32 scram-sha-256
postgresql:
  listen: 127.0.0.1:{postgres}
  connect_address: 127.0.0.1:{postgres}
  data_dir: {folder}/data{member}
  bin_dir: {programs}
  pgpass: {folder}/pgpass{member}
  authentication:
    superuser: {{username: warren, password: {PASSWORD}}}
    replication: {{username: copy, password: {PASSWORD}}}
  parameters: {{unix_socket_directories: "{folder}"}}
"#
    )
}
