//! `warren registrar serve`: killed, replaced from another machine, and restarted; what it has
//! granted is never granted again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use net::https::{Method, Upstream};
use net::tls::{ClientTls, TrustRoots};
use protocol::Address;
use protocol::control::roster::{Roster, TermGrant};
use serde_json::{Value, json};
use testkit::{PATIENCE, PostgresServer};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// A registrar on one of several machines that see the same volume.
struct Serve {
    child: Child,
    folder: PathBuf,
    address: Address,
    /// Kept so that it may go on printing.
    _stdout: BufReader<ChildStdout>,
}

impl Serve {
    fn start(folder: &Path, machine: &str, more: &[&str]) -> Self {
        let scratch = folder.join(machine);
        std::fs::create_dir_all(&scratch).unwrap();
        let mut command = Command::new(WARREN);
        command.args(["registrar", "serve", "--registrar-port", "0", "--metrics-port", "0"]);
        command.arg("--scratch").arg(&scratch).arg("--data-dir").arg(folder.join("volume"));
        for role in ["cell", "router", "host", "admin"] {
            let file = folder.join(format!("{role}.token"));
            std::fs::write(&file, token(role)).unwrap();
            command.arg(format!("--{role}-token-file")).arg(file);
        }
        let log = std::fs::File::create(scratch.join("log")).unwrap();
        let mut child = command
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line.split_whitespace().nth(1).unwrap_or_else(|| {
            panic!("it ended: {}", std::fs::read_to_string(scratch.join("log")).unwrap())
        });
        let address = Address::parse(url.strip_prefix("https://").unwrap()).unwrap();
        Self { child, folder: folder.to_owned(), address, _stdout: stdout }
    }

    fn client(&self, role: &str) -> Upstream {
        let roots = TrustRoots::from_pem_file(&self.folder.join("volume/tls/ca.pem")).unwrap();
        let tls = ClientTls::new(&roots, None).unwrap();
        Upstream::new(tls, vec![self.address.clone()], &token(role))
    }

    async fn make_a_cell(&self) {
        let admin = self.client("admin");
        let post = |path, body: Value| {
            let admin = admin.clone();
            async move { admin.exchange::<Value>(Method::POST, path, &body).await.unwrap() }
        };
        post("/v1/swarms", json!({"swarm": "eu-1"})).await;
        let cell = json!({"swarm": "eu-1", "image": "cell:1", "port": 7001, "capacity": 10,
            "memory_bytes": 1, "millicpus": 1});
        assert_eq!(post("/v1/cells", cell).await["cell"], 1);
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn ended(mut self) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(start.elapsed() < PATIENCE, "it goes on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn token(role: &str) -> String {
    format!("the-token-of-the-{role}-role")
}

async fn term(client: &Upstream) -> Option<u32> {
    let body = json!({"node": "n1", "version": "1"});
    let path = "/v1/cells/cell-1/terms";
    let grant = client.exchange::<TermGrant>(Method::POST, path, &body).await;
    grant.ok().map(|grant| grant.term.number())
}

fn runtime() -> tokio::runtime::Runtime {
    net::tls::install_provider();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Asks for terms until nobody answers any more.
async fn terms(client: Upstream) -> Vec<u32> {
    let mut granted = Vec::new();
    while let Some(term) = term(&client).await {
        granted.push(term);
    }
    granted
}

#[test]
fn of_two_on_one_volume_the_later_one_goes_on_and_the_other_ends() {
    let scratch = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let first = Serve::start(scratch.path(), "machine-1", &[]);
        first.make_a_cell().await;
        let asking = tokio::spawn(terms(first.client("cell")));
        let idle = first.client("cell");
        tokio::time::sleep(Duration::from_millis(300)).await;
        let folder = scratch.path().to_owned();
        let second = tokio::task::spawn_blocking(move || Serve::start(&folder, "machine-2", &[]));
        let second = second.await.unwrap();
        let granted = asking.await.unwrap();
        let next = term(&second.client("cell")).await.unwrap();
        assert!(granted.len() > 3, "{granted:?}");
        assert!(granted.windows(2).all(|pair| pair[0] < pair[1]), "{granted:?}");
        assert!(granted.last() < Some(&next), "{granted:?} then {next}");
        assert_eq!(first.ended(), Some(5));
        assert_eq!(term(&idle).await, None);

        let roster = format!("/v1/cells/cell-1/roster?term={next}");
        let roster: Roster = second.client("cell").get(&roster).await.unwrap();
        assert_eq!((roster.upto.run, roster.is_whole), (2, true));
        let foreign = second.client("router").get::<Value>("/v1/cells/cell-1/roster?term=1").await;
        assert_eq!(foreign.unwrap_err().status(), Some(401));
    });
    let left = std::fs::read_dir(scratch.path().join("machine-2")).unwrap().count();
    assert_eq!(left, 1, "there is nothing but the log");
}

#[test]
fn one_that_nobody_asks_anything_ends_too() {
    let scratch = tempfile::tempdir().unwrap();
    let first = Serve::start(scratch.path(), "machine-1", &[]);
    let _second = Serve::start(scratch.path(), "machine-2", &[]);
    assert_eq!(first.ended(), Some(5));
}

#[test]
fn terms_grow_however_often_it_is_killed() {
    let scratch = tempfile::tempdir().unwrap();
    runtime().block_on(async { killed_again_and_again(scratch.path(), &[]).await });
}

#[test]
fn terms_grow_in_postgresql_too() {
    let server = PostgresServer::start();
    let url = server.database();
    let scratch = tempfile::tempdir().unwrap();
    let more = ["--registrar-store", &*url];
    runtime().block_on(async { killed_again_and_again(scratch.path(), &more).await });
}

async fn killed_again_and_again(folder: &Path, more: &[&str]) {
    let mut all = vec![0];
    let mut runs = vec![0];
    for round in 0..4 {
        let registrar = Serve::start(folder, &format!("machine-{round}"), more);
        if round == 0 {
            registrar.make_a_cell().await;
        }
        let client = registrar.client("cell");
        let asking = tokio::spawn(terms(client.clone()));
        tokio::time::sleep(Duration::from_millis(200 + 130 * round)).await;
        let routes: Value = registrar.client("router").get("/v1/routes").await.unwrap();
        runs.push(routes["upto"]["run"].as_u64().unwrap());
        registrar.kill();
        let granted = asking.await.unwrap();
        assert!(!granted.is_empty(), "round {round}");
        all.extend(granted);
    }
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
    assert!(runs.windows(2).all(|pair| pair[0] < pair[1]), "{runs:?}");
}
