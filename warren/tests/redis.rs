//! The feed through Redis: `warren up --redis`, and replicas that follow there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{PATIENCE, Ports, RedisServer, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

const STREAM: &[u8] = b"warren:feed:changes";

struct Replica {
    child: Child,
    address: String,
    cert: PathBuf,
}

impl Replica {
    fn start(dir: &Path, feed_key: &str, carriers: &[&str]) -> Self {
        let (cert, key) = (dir.join("replica.pem"), dir.join("replica.key"));
        if !cert.exists() {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            std::fs::write(&cert, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        }
        let mut child = Command::new(WARREN)
            .args(["directory", "serve", "--port", "0", "--feed-key", feed_key])
            .args(carriers)
            .arg("--tls-cert")
            .arg(&cert)
            .arg("--tls-key")
            .arg(&key)
            .arg("--data-dir")
            .arg(dir.join("replica"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split_whitespace().nth(1).unwrap().rsplit_once(':').unwrap().1.to_owned();
        Self { child, address: format!("localhost:{port}"), cert }
    }

    fn resolve(&self, name: &str) -> (Option<i32>, String) {
        let output = Command::new(WARREN)
            .args(["resolve", name, "--directory", &self.address, "--ca-file"])
            .arg(&self.cert)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn resolves_to(&self, name: &str, wanted: &str) {
        let start = Instant::now();
        loop {
            let (code, address) = self.resolve(name);
            if code == Some(0) && address == wanted {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{name}: {code:?} {address}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_replica_follows_through_redis_alone_whatever_befalls_it() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let mut redis = RedisServer::start(scratch.path(), &[]);
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let more = ["--identity", "@alice", "--redis", &redis.url()];
    let warren = Warren::start(WARREN, &data, &ports, &more);
    let replica =
        Replica::start(scratch.path(), &warren.endpoints.feed_key, &["--redis", &redis.url()]);
    let alice = format!("localhost:{}", ports.first);
    replica.resolves_to("@alice", &alice);
    let (bob, _) = warren.register("@bob");
    replica.resolves_to("@bob", &bob);

    // A stranger's entry ahead of all ours would keep ours out for ever.
    let stranger = redis.ask(&[b"XADD", STREAM, b"99999-0", b"signed", &[7; 200]]);
    assert!(stranger.starts_with(b"$") || stranger == b"99999-0", "{stranger:?}");
    let (eve, _) = warren.register("@eve");
    replica.resolves_to("@eve", &eve);

    assert_eq!(redis.ask(&[b"FLUSHALL"]), b"+OK");
    let (carol, _) = warren.register("@carol");
    replica.resolves_to("@carol", &carol);

    redis.kill();
    let (dave, _) = warren.register("@dave");
    assert_eq!(replica.resolve("@alice"), (Some(0), alice.clone()));
    redis.restart();
    replica.resolves_to("@dave", &dave);

    warren.kill();
    for (name, address) in [("@alice", &alice), ("@bob", &bob), ("@dave", &dave)] {
        assert_eq!(replica.resolve(name), (Some(0), address.clone()));
    }
    // What is in Redis is enough for one that knows nothing, the registrar gone.
    let key = warren_key(&data);
    let other = scratch.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let late = Replica::start(&other, &key, &["--redis", &redis.url()]);
    late.resolves_to("@dave", &dave);
}

#[test]
fn a_redis_that_is_not_there_or_never_answers_harms_nobody() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    // It takes connections, and that is all.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", mute.local_addr().unwrap());
    let more = ["--identity", "@alice", "--redis", &url];
    let warren = Warren::start(WARREN, scratch.path(), &ports, &more);
    warren.register("@bob");
    drop(mute);
    warren.register("@carol");
    let start = Instant::now();
    assert!(warren.terminate().success());
    assert!(start.elapsed() < Duration::from_secs(8), "it waited for Redis at the end");
}

#[test]
fn over_tls_each_side_needs_no_more_than_its_few_commands() {
    let scratch = tempfile::tempdir().unwrap();
    let (ports, tls_port) = (Ports::reserve(20), Ports::reserve(1).first.to_string());
    let path = |name: &str| scratch.path().join(name).to_str().unwrap().to_owned();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key, password) = (path("redis.pem"), path("redis.key"), path("password"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::write(&password, "hidden\n").unwrap();
    let tls = ["--tls-port", &tls_port, "--tls-auth-clients", "no"];
    let files = ["--tls-cert-file", &cert, "--tls-key-file", &key];
    let writer = "--user writer on >hidden ~warren:feed:* +get +set +exists +del +xadd +xrevrange \
                  +multi +exec";
    let reader = "--user reader on >hidden ~warren:feed:* +get +xread";
    let users = writer.split(' ').chain(reader.split(' '));
    let options: Vec<&str> = tls.into_iter().chain(files).chain(users).collect();
    let _redis = RedisServer::start(scratch.path(), &options);

    let url = |user: &str| format!("rediss://{user}@localhost:{tls_port}");
    let common = ["--redis-password-file", &password, "--redis-ca-file", &cert, "--redis"];
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let writer = url("writer");
    let more: Vec<&str> =
        ["--identity", "@alice"].into_iter().chain(common).chain([writer.as_str()]).collect();
    let warren = Warren::start(WARREN, &data, &ports, &more);
    let reader = url("reader");
    let carriers: Vec<&str> = common.into_iter().chain([reader.as_str()]).collect();
    let replica = Replica::start(scratch.path(), &warren.endpoints.feed_key, &carriers);
    replica.resolves_to("@alice", &format!("localhost:{}", ports.first));
    let (bob, _) = warren.register("@bob");
    replica.resolves_to("@bob", &bob);
    assert!(!testkit::log_of(&data).contains("hidden"));
}

/// The feed's key, as the endpoints of a killed warren still say.
fn warren_key(data: &Path) -> String {
    let text = std::fs::read_to_string(data.join("endpoints.json")).unwrap();
    let endpoints: serde_json::Value = serde_json::from_str(&text).unwrap();
    endpoints["feed_key"].as_str().unwrap().to_owned()
}
