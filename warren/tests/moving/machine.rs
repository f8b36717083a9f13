//! A registrar, a router and two cells on one folder of volumes, as processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use net::https::{Method, Upstream};
use net::tls::{ClientTls, TrustRoots};
use protocol::Address;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use testkit::{Certificate, LineClient, PATIENCE, Ports};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

pub struct Machine {
    folder: PathBuf,
    pub certificate: Certificate,
    ports: Ports,
    /// Of the registrar and the cells.
    doors: Ports,
}

/// A process that ends with this value.
pub struct Daemon(Child);

impl Daemon {
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An identity, and how its owner comes in.
#[derive(Clone)]
pub struct Owner {
    pub name: String,
    address: String,
    secret: String,
    chain: PathBuf,
}

impl Owner {
    /// One try. In the middle of a move it may fail.
    pub fn connect(&self) -> std::io::Result<LineClient> {
        let config = testkit::client_config(&self.chain);
        let mut client = LineClient::connect_within(&self.address, config, PATIENCE)?;
        let refused = || std::io::Error::other("she is refused");
        let answer = client.try_ask(&format!("from:{}", self.name))?;
        let challenge = answer.strip_prefix("data:").ok_or_else(refused)?;
        let digest = testkit::cram_digest(&self.secret, challenge);
        let answer = client.try_ask(&format!("cram:{digest}"))?;
        (answer == "data:success").then_some(client).ok_or_else(refused)
    }
}

impl Machine {
    pub fn new(folder: &Path) -> Self {
        net::tls::install_provider();
        for role in ["cell", "router", "host", "admin"] {
            std::fs::write(folder.join(format!("{role}.token")), token(role)).unwrap();
        }
        std::fs::write(folder.join("link.key"), "0123456789abcdef".repeat(4)).unwrap();
        for inner in ["volumes", "scratch-0", "scratch-1", "scratch-2"] {
            std::fs::create_dir(folder.join(inner)).unwrap();
        }
        storage::MasterKey::load_or_create(folder.join("master.key")).unwrap();
        let certificate = Certificate::make(folder);
        let (ports, doors) = (Ports::reserve(40), Ports::reserve(3));
        Self { folder: folder.to_owned(), certificate, ports, doors }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.doors.first)
    }

    fn spawn(&self, role: &str, options: &[&str]) -> Daemon {
        let log = self.folder.join(format!("{role}.log"));
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(WARREN);
        command.args([role, "serve", "--log-format", "json"]).args(options);
        if role != "router" {
            let key = ["--master-key-file", &self.file("master.key")];
            let ca = ["--tls-ca", &self.file("chain.pem")];
            command.args(key).args(ca).arg("--tls-cert").arg(&self.certificate.chain);
            command.arg("--tls-key").arg(&self.certificate.key);
        }
        if role != "registrar" {
            command.args(["--registrar", &self.url()]).arg("--registrar-ca");
            command.arg(&self.certificate.chain);
            command.args(["--token-file", &self.file(&format!("{role}.token"))]);
            command.args(["--link-key-file", &self.file("link.key"), "--health-port", "0"]);
        }
        let output = Stdio::from(log.try_clone().unwrap());
        Daemon(command.stdin(Stdio::null()).stdout(output).stderr(log).spawn().unwrap())
    }

    pub fn registrar(&self) -> Daemon {
        let mut options = vec!["--metrics-port".to_owned(), "0".to_owned()];
        for role in ["cell", "router", "host", "admin"] {
            let file = self.file(&format!("{role}.token"));
            options.extend([format!("--{role}-token-file"), file]);
        }
        let places = [self.file("data"), self.file("scratch-0")];
        options.extend(["--data-dir", &places[0], "--scratch", &places[1]].map(str::to_owned));
        let port = self.doors.first.to_string();
        let more = ["--registrar-port", &port, "--ports", &self.ports.argument()];
        options.extend(more.map(str::to_owned));
        self.spawn("registrar", &options.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// A cell on a node of its own.
    pub fn cell(&self, number: u16) -> Daemon {
        let listen = format!("127.0.0.1:{}", self.doors.first + number);
        let (name, node) = (format!("cell-{number}"), format!("n{number}"));
        let (scratch, volumes) = (self.file(&format!("scratch-{number}")), self.file("volumes"));
        let own = ["--cell", &name, "--node", &node, "--listen", &listen];
        let places = ["--volumes", &volumes, "--scratch", &scratch];
        self.spawn("cell", &[&own[..], &places, &["--directory", "localhost:1"]].concat())
    }

    pub fn router(&self) -> Daemon {
        self.spawn("router", &["--listen", "127.0.0.1"])
    }

    /// One who asks the registrar in this role.
    pub fn asks(&self, role: &str) -> Upstream {
        let roots = TrustRoots::from_pem_file(&self.certificate.chain).unwrap();
        let address = Address::parse(&format!("localhost:{}", self.doors.first)).unwrap();
        Upstream::new(ClientTls::new(&roots, None).unwrap(), vec![address], &token(role))
    }

    pub fn post(&self, path: &str, body: Value) -> Value {
        let start = Instant::now();
        loop {
            match block(self.asks("admin").exchange(Method::POST, path, &body)) {
                Ok(answer) => return answer,
                Err(error) => assert!(start.elapsed() < PATIENCE, "{path}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn get(&self, path: &str) -> Value {
        let start = Instant::now();
        loop {
            match block(self.asks("admin").get::<Value>(path)) {
                Ok(answer) => return answer,
                Err(error) => assert!(start.elapsed() < PATIENCE, "{path}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A swarm of two cells.
    pub fn two_cells(&self) {
        self.post("/v1/swarms", json!({"swarm": "eu-1"}));
        for number in 1..=2 {
            let cell = json!({"swarm": "eu-1", "image": "cell:1",
                "port": self.doors.first + number, "capacity": 100,
                "memory_bytes": 1_000_000_000, "millicpus": 1_000});
            self.post("/v1/cells", cell);
        }
    }

    /// Registers so many, and has each of their servers opened once.
    pub fn owners(&self, count: usize) -> Vec<Owner> {
        (0..count).map(|number| self.owner(&format!("@owner{number}"))).collect()
    }

    fn owner(&self, name: &str) -> Owner {
        let body = json!({"identity": name, "registration": format!("of {name}")});
        let made = self.post("/v1/identities", body);
        let text = |member: &str| made[member].as_str().unwrap().to_owned();
        let (address, secret) = (text("address"), text("activation_secret"));
        let chain = self.certificate.chain.clone();
        Owner { name: name.to_owned(), address, secret, chain }
    }

    /// In which cell somebody lives, and under which epoch.
    pub fn place(&self, who: &str) -> (u64, u64) {
        let shown = self.get(&format!("/v1/identities/{}", who.trim_start_matches('@')));
        (shown["cell"].as_u64().unwrap(), shown["epoch"].as_u64().unwrap())
    }

    /// Has somebody moved; none if the registrar does not do it now.
    pub fn moves(&self, who: &str, to: u64) -> Option<Value> {
        let path = format!("/v1/identities/{}/placement", who.trim_start_matches('@'));
        let body = json!({ "to": to });
        block(self.asks("admin").exchange(Method::POST, &path, &body)).ok()
    }

    /// As the agent of a node does.
    pub fn reports_node(&self, node: &str) {
        let report = json!({
            "swarm": "eu-1", "hostname": node, "address": "127.0.0.1",
            "engine": {"is_answering": true, "is_leader": false, "availability": "active",
                "labels": {}},
            "pressure": {"memory": 1, "disk": 2, "handles": 3}, "drift": [], "version": "1",
        });
        let path = format!("/v1/nodes/{node}");
        block(self.asks("host").send(Method::PUT, &path, &report)).unwrap();
    }

    /// An operator's command.
    pub fn command(&self, args: &[&str]) -> Output {
        let mut command = Command::new(WARREN);
        command.args(args).args(["--registrar", &self.url()]);
        command.arg("--ca-file").arg(&self.certificate.chain);
        command.arg("--token-file").arg(self.folder.join("admin.token"));
        command.stdin(Stdio::null()).output().unwrap()
    }
}

pub fn block<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

fn token(role: &str) -> String {
    format!("the-token-of-the-{role}-role")
}
