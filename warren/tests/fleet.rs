//! A registrar, a cell and a router as processes of their own: an identity is registered, her
//! server is used through the router, and each of the three is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use net::https::{Method, Upstream};
use net::tls::{ClientTls, TrustRoots};
use protocol::Address;
use serde_json::{Value, json};
use testkit::{Certificate, LineClient, PATIENCE, Ports};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// One machine with everything on it.
struct Machine {
    folder: PathBuf,
    certificate: Certificate,
    ports: Ports,
    /// Of registrar, cell, the router's health, and of all names.
    doors: Ports,
    /// Whether identities are reached by name.
    by_name: bool,
}

/// A process that ends with this value.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine {
    fn new(folder: &Path, by_name: bool) -> Self {
        for role in ["cell", "router", "host", "admin"] {
            std::fs::write(folder.join(format!("{role}.token")), token(role)).unwrap();
        }
        std::fs::write(folder.join("link.key"), "0123456789abcdef".repeat(4)).unwrap();
        for inner in ["volumes", "scratch"] {
            std::fs::create_dir(folder.join(inner)).unwrap();
        }
        // Whoever comes first finds it: a cell makes none, since all cells have the same.
        storage::MasterKey::load_or_create(folder.join("master.key")).unwrap();
        let certificate = Certificate::make(folder);
        let (ports, doors) = (Ports::reserve(20), Ports::reserve(4));
        Self { folder: folder.to_owned(), certificate, ports, doors, by_name }
    }

    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
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
            let registrar = format!("https://localhost:{}", self.doors.first);
            command.args(["--registrar", &registrar]).arg("--registrar-ca");
            command.arg(&self.certificate.chain);
            command.args(["--token-file", &self.file(&format!("{role}.token"))]);
            command.args(["--link-key-file", &self.file("link.key")]);
        }
        let output = Stdio::from(log.try_clone().unwrap());
        Daemon(command.stdin(Stdio::null()).stdout(output).stderr(log).spawn().unwrap())
    }

    fn registrar(&self) -> Daemon {
        let mut options = vec!["--metrics-port".to_owned(), "0".to_owned()];
        for role in ["cell", "router", "host", "admin"] {
            let file = self.file(&format!("{role}.token"));
            options.extend([format!("--{role}-token-file"), file]);
        }
        let places = [self.file("data"), self.file("scratch")];
        options.extend(["--data-dir", &places[0], "--scratch", &places[1]].map(str::to_owned));
        let port = self.doors.first.to_string();
        let more = ["--registrar-port", &port, "--ports", &self.ports.argument()];
        options.extend(more.map(str::to_owned));
        if self.by_name {
            let (port, hosts) = (self.doors.last.to_string(), "*.warren.localhost");
            options.extend(["--hostname", hosts, "--name-port", &port].map(str::to_owned));
        }
        self.spawn("registrar", &options.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn cell(&self) -> Daemon {
        let listen = format!("127.0.0.1:{}", self.doors.first + 1);
        let scratch = self.file("scratch");
        let volumes = self.file("volumes");
        let own = ["--cell", "cell-1", "--node", "n1", "--listen", &listen];
        let places = ["--volumes", &volumes, "--scratch", &scratch];
        let rest = ["--directory", "localhost:1", "--health-port", "0"];
        self.spawn("cell", &[&own[..], &places, &rest].concat())
    }

    fn router(&self) -> Daemon {
        let health = (self.doors.first + 2).to_string();
        let names = format!("--names=127.0.0.1:{}", self.doors.last);
        let names = self.by_name.then_some(names.as_str());
        let words = ["--listen", "127.0.0.1", "--health-port", &health];
        self.spawn("router", &words.into_iter().chain(names).collect::<Vec<_>>())
    }

    /// What the router and the registrar say of the way to somebody.
    fn trace(&self, who: &str) -> (bool, String) {
        let output = Command::new(WARREN)
            .args(["router", "trace", who])
            .args(["--router", &format!("127.0.0.1:{}", self.doors.first + 2)])
            .args(["--registrar", &format!("https://localhost:{}", self.doors.first)])
            .args(["--ca-file", &self.file("chain.pem"), "--token-file", &self.file("admin.token")])
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    }

    fn admin(&self) -> Upstream {
        let roots = TrustRoots::from_pem_file(&self.certificate.chain).unwrap();
        let address = Address::parse(&format!("localhost:{}", self.doors.first)).unwrap();
        Upstream::new(ClientTls::new(&roots, None).unwrap(), vec![address], &token("admin"))
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let start = Instant::now();
        loop {
            match self.admin().exchange(Method::POST, path, &body).await {
                Ok(answer) => return answer,
                Err(error) => assert!(start.elapsed() < PATIENCE, "{path}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn register(&self, who: &str) -> (String, String) {
        let body = json!({"identity": who, "registration": format!("of {who}")});
        let made = self.post("/v1/identities", body).await;
        assert_eq!(made["cell"], 1);
        let text = |member: &str| made[member].as_str().unwrap().to_owned();
        (text("address"), text("activation_secret"))
    }

    /// An owner's connection, as soon as there can be one.
    fn owner(&self, who: &str, (address, secret): &(String, String)) -> LineClient {
        let start = Instant::now();
        loop {
            let connected = LineClient::connect(address, &self.certificate.chain);
            let proven = connected.and_then(|mut client| {
                client.try_cram(who, secret)?;
                Ok(client)
            });
            match proven {
                Ok(client) => return client,
                Err(error) => assert!(start.elapsed() < PATIENCE, "{who}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn token(role: &str) -> String {
    format!("the-token-of-the-{role}-role")
}

#[test]
fn an_identity_is_served_through_the_router_whichever_of_the_three_is_killed() {
    each_of_the_three_is_killed(false);
}

#[test]
fn so_it_is_where_she_has_a_name_instead_of_a_port() {
    each_of_the_three_is_killed(true);
}

fn each_of_the_three_is_killed(by_name: bool) {
    net::tls::install_provider();
    let scratch = tempfile::tempdir().unwrap();
    let machine = Machine::new(scratch.path(), by_name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut registrar = machine.registrar();
    let (mut cell, mut router) = (machine.cell(), machine.router());
    let alice = runtime.block_on(async {
        machine.post("/v1/swarms", json!({"swarm": "eu-1"})).await;
        let cell = json!({"swarm": "eu-1", "image": "cell:1", "port": machine.doors.first + 1,
            "capacity": 10, "memory_bytes": 1_000_000_000, "millicpus": 1_000});
        machine.post("/v1/cells", cell).await;
        machine.register("@alice").await
    });
    let port = if by_name { machine.doors.last } else { machine.ports.first };
    assert!(alice.0.ends_with(&format!("localhost:{port}")), "{}", alice.0);
    machine.owner("@alice", &alice).ask("update:diary@alice 0");
    for round in 1..=3 {
        match round {
            1 => {
                drop(cell);
                cell = machine.cell();
            }
            2 => {
                drop(router);
                router = machine.router();
            }
            _ => {
                drop(registrar);
                // Nobody misses it who is there already.
                assert_eq!(machine.owner("@alice", &alice).ask("llookup:diary@alice"), "data:2");
                registrar = machine.registrar();
            }
        }
        let mut owner = machine.owner("@alice", &alice);
        assert_eq!(owner.ask("llookup:diary@alice"), format!("data:{}", round - 1));
        assert!(owner.ask(&format!("update:diary@alice {round}")).starts_with("data:"));
    }
    runtime.block_on(async {
        let bob = machine.register("@bob").await;
        assert!(machine.owner("@bob", &bob).ask("update:diary@bob 1").starts_with("data:"));
    });
    let (is_carried, traced) = machine.trace("@alice");
    let let_in = if by_name {
        "comes in through the port of all names"
    } else {
        "has a listener of its own"
    };
    let said = [
        format!("@alice is published at {}, says the registrar", alice.0),
        let_in.to_owned(),
        "in cell cell-1".to_owned(),
        format!("127.0.0.1:{}", machine.doors.first + 1),
        "n1, says the registrar; it reported ".to_owned(),
        "is carried to the cell".to_owned(),
    ];
    assert!(is_carried && said.iter().all(|part| traced.contains(part)), "{said:?} in {traced}");
    assert!(!machine.trace("@nobody").0);
    drop((cell, router, registrar));
}
