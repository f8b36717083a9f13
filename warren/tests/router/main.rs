//! `warren router serve` as a process, between a pretended registrar and a pretended cell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod front;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use net::clock::{Clock, SystemClock};
use net::drain::Drain;
use net::gate::AcceptLimits;
use net::preface::{self, LinkKey};
use net::tls::{ServerTls, TlsMaterial};
use serde_json::{Value, json};
use testkit::{Certificate, Ports};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TOKEN: &str = "a-token-for-routers-only";
const LINK_KEY: &str = "0123456789abcdef0123456789abcdef";
const VOLUME: &str = "07070707070707070707070707070707";
const PATIENCE: Duration = Duration::from_secs(20);

const GATE: AcceptLimits = AcceptLimits {
    connections_max: 64,
    handshakes_max: 16,
    per_address_max: 64,
    handshake_deadline: Duration::from_secs(5),
};

/// A status and a body.
type Answer = (u16, Vec<u8>);

/// Says one thing after the other, and then waits.
#[derive(Clone, Default)]
struct Registrar {
    says: Arc<Mutex<VecDeque<Answer>>>,
    /// What whoever knows nothing hears at once.
    whole: Arc<Mutex<Option<String>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registrar {
    fn say(&self, status: u16, body: impl Into<Vec<u8>>) {
        self.says.lock().unwrap().push_back((status, body.into()));
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    async fn answer(State(registrar): State<Self>, request: Request) -> Response {
        let bearer = format!("Bearer {TOKEN}");
        if request.headers().get("authorization").is_none_or(|sent| *sent != *bearer) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let asked = request.uri().to_string();
        registrar.asked.lock().unwrap().push(asked.clone());
        if let Some(whole) = registrar.whole.lock().unwrap().clone()
            && asked.contains("run=0&")
        {
            return whole.into_response();
        }
        loop {
            if let Some((status, body)) = registrar.says.lock().unwrap().pop_front() {
                return (StatusCode::from_u16(status).unwrap(), body).into_response();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

struct World {
    registrar: Registrar,
    cell: TcpListener,
    router: Child,
    health: String,
    ports: Ports,
    urls: String,
    scratch: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.router.kill();
        let _ = self.router.wait();
    }
}

impl World {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more words on the router's command line.
    async fn start_with(words: &[&str]) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path();
        let certificate = Certificate::make(dir);
        std::fs::DirBuilder::new().mode(0o700).create(dir.join("private")).unwrap();
        std::fs::write(dir.join("token"), TOKEN).unwrap();
        std::fs::write(dir.join("link.key"), format!("{LINK_KEY}\n")).unwrap();

        let registrar = Registrar::default();
        let material = TlsMaterial::load(&certificate.chain, &certificate.key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let pages = axum::Router::new().fallback(Registrar::answer).with_state(registrar.clone());
        let tls = Some(ServerTls::new(&material).unwrap());
        tokio::spawn(net::https::serve_http(listener, tls, pages, GATE, Drain::new()));

        // Nobody is at the first address.
        let urls = format!("https://localhost:1,https://localhost:{port}");
        let (router, health) = spawn(dir, &urls, words);
        let cell = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { registrar, cell, router, health, ports: Ports::reserve(1), urls, scratch }
    }

    fn port(&self) -> u16 {
        self.ports.first
    }

    /// Everything: one route to the cell.
    fn routes(&self, run: u64, number: u64) -> Value {
        json!({
            "upto": { "run": run, "number": number },
            "is_whole": true,
            "routes": [{ "port": self.port(), "to": { "volume": VOLUME, "cell": 1 } }],
            "cells": [{ "cell": 1, "term": 1, "address": self.cell.local_addr().unwrap() }],
        })
    }

    async fn says(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.health).await.unwrap();
        let question = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(question.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn until_says(&self, path: &str, wanted: &str) {
        let began = Instant::now();
        loop {
            let answer = self.says(path).await;
            if answer.contains(wanted) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{path} never has {wanted:?}: {answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A client who speaks with the cell through the router.
    async fn is_carried(&self) -> (TcpStream, TcpStream) {
        let mut client = TcpStream::connect(("127.0.0.1", self.port())).await.unwrap();
        client.write_all(b"hello").await.unwrap();
        let (mut stream, _) = self.cell.accept().await.unwrap();
        let key = LinkKey::parse(LINK_KEY).unwrap();
        let preface = preface::read(&mut stream, &key, SystemClock.now()).await.unwrap();
        assert_eq!(preface.client, client.local_addr().unwrap());
        assert_eq!(preface.volume.to_string(), VOLUME);
        let mut bytes = [0; 5];
        stream.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
        (client, stream)
    }
}

fn spawn(dir: &Path, urls: &str, words: &[&str]) -> (Child, String) {
    health_of(command(dir, urls, words).stderr(Stdio::null()).spawn().unwrap())
}

fn command(dir: &Path, urls: &str, words: &[&str]) -> Command {
    let mut router = Command::new(env!("CARGO_BIN_EXE_warren"));
    router
        .args(["router", "serve", "--listen", "127.0.0.1", "--health-port", "0"])
        .args(["--registrar", urls, "--registrar-ca", "chain.pem"])
        .args(["--token-file", "token", "--link-key-file", "link.key"])
        .args(words)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    router
}

/// Where it says that its metrics are.
fn health_of(mut router: Child) -> (Child, String) {
    let lines = BufReader::new(router.stdout.take().unwrap()).lines();
    let health = lines.map_while(Result::ok).find_map(|line| {
        Some(line.strip_prefix("metrics     http://")?.strip_suffix("/metrics")?.to_owned())
    });
    (router, health.expect("it says where its metrics are"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_is_ready_once_it_knows_its_routes_and_ends_when_asked() {
    let mut world = World::start().await;
    assert!(world.says("/healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(world.says("/readyz").await.starts_with("HTTP/1.1 503 "));
    world.registrar.say(200, world.routes(3, 9).to_string());
    world.until_says("/readyz", "HTTP/1.1 200 ").await;
    let (mut client, mut stream) = world.is_carried().await;
    let metrics = world.says("/metrics").await;
    for line in
        ["warren_router_routes 1", "warren_router_connections 1", "warren_router_news_run 3"]
    {
        assert!(metrics.lines().any(|known| known == line), "{line}: {metrics}");
    }
    let asked = world.registrar.asked();
    assert_eq!(asked[0], "/v1/routes?run=0&after=0&wait=4");
    assert_eq!(asked[1], "/v1/routes?run=3&after=9&wait=4");

    let pid = world.router.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", world.port())).await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "it listens yet");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stream.write_all(b"the last").await.unwrap();
    drop(stream);
    let mut last = String::new();
    client.read_to_string(&mut last).await.unwrap();
    assert_eq!(last, "the last", "who is carried may finish");
    drop(client);
    let status = tokio::task::block_in_place(|| world.router.wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registrar_that_talks_nonsense_changes_nothing() {
    let world = World::start().await;
    world.registrar.say(200, world.routes(3, 9).to_string());
    world.until_says("/readyz", "HTTP/1.1 200 ").await;

    let with = |change: fn(&mut Value)| {
        let mut routes = world.routes(9, 9);
        change(&mut routes);
        routes.to_string().into_bytes()
    };
    let nonsense = [
        b"".to_vec(),
        b"{".to_vec(),
        b"[]".to_vec(),
        vec![b'['; 100_000],
        vec![b' '; 17 << 20],
        with(|routes| routes["routes"][0]["port"] = json!(0)),
        with(|routes| routes["routes"][0]["port"] = json!(70_000)),
        with(|routes| routes["routes"][0]["to"]["volume"] = json!("../etc")),
        with(|routes| routes["cells"][0]["cell"] = json!(0)),
        with(|routes| routes["cells"][0]["address"] = json!("nowhere")),
        with(|routes| routes["upto"]["run"] = json!(-1)),
        // These can be read, and are not believed.
        with(|routes| routes["upto"]["run"] = json!(2)),
        with(|routes| routes["is_whole"] = json!(false)),
    ];
    let unread = nonsense.len() - 2;
    let refusals = [401, 404, 409, 429, 500, 503];
    for (index, status) in refusals.into_iter().enumerate() {
        world.registrar.say(status, "{}");
        let more = format!("news_unanswered_total {}", index + 1);
        world.until_says("/metrics", &more).await;
        // A word that makes sense, so that the pauses stay short.
        world.registrar.say(200, world.routes(3, 9).to_string());
    }
    for (index, body) in nonsense.into_iter().enumerate() {
        world.registrar.say(200, body);
        let more = match index.checked_sub(unread) {
            None => format!("news_unanswered_total {}", refusals.len() + index + 1),
            Some(believed) => format!("news_refused_total {}", believed + 1),
        };
        world.until_says("/metrics", &more).await;
        world.registrar.say(200, world.routes(3, 9).to_string());
    }
    world.until_says("/metrics", "warren_router_news_run 3\n").await;
    drop(world.is_carried().await);
}
