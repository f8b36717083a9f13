//! `warren directory serve`: a replica that follows over HTTPS and needs nobody to answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{PATIENCE, Ports, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

struct Replica {
    child: Child,
    address: String,
    cert: PathBuf,
}

impl Replica {
    fn start(dir: &Path, warren: &testkit::Endpoints) -> Self {
        let (cert, key) = (dir.join("replica.pem"), dir.join("replica.key"));
        if !cert.exists() {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            std::fs::write(&cert, made.cert.pem()).unwrap();
            std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        }
        let mut child = Command::new(WARREN)
            .args(["directory", "serve", "--port", "0", "--registrar", &warren.registrar])
            .arg("--ca-file")
            .arg(&warren.ca_file)
            .arg("--token-file")
            .arg(&warren.admin_token_file)
            .args(["--feed-key", &warren.feed_key])
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

    fn resolves_to(&self, name: &str, wanted: Option<&str>) {
        let start = Instant::now();
        loop {
            let (code, address) = self.resolve(name);
            match wanted {
                Some(wanted) if code == Some(0) && address == wanted => return,
                None if code == Some(3) => return,
                _ => assert!(start.elapsed() < PATIENCE, "{name}: {code:?} {address}"),
            }
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

/// A warren beside the replica's files.
fn with_alice(scratch: &Path, ports: &Ports) -> Warren {
    let data = scratch.join("data");
    std::fs::create_dir(&data).unwrap();
    Warren::start(WARREN, &data, ports, &["--identity", "@alice"])
}

#[test]
fn a_replica_follows_the_registrar_and_answers_without_it() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let warren = with_alice(scratch.path(), &ports);
    let endpoints = warren.endpoints.clone();
    let replica = Replica::start(scratch.path(), &endpoints);
    let alice = format!("localhost:{}", ports.first);
    replica.resolves_to("@alice", Some(&alice));
    replica.resolves_to("@nobody", None);

    let (bob, _) = warren.register("@bob");
    replica.resolves_to("@bob", Some(&bob));
    let deleted = warren.command(&["identity", "delete", "@bob", "--yes"]);
    assert!(deleted.status.success(), "{}", String::from_utf8_lossy(&deleted.stderr));
    replica.resolves_to("@bob", None);

    // Its snapshot is on the disk some seconds later; until then a start without a registrar
    // would know nothing, and say so.
    let file = scratch.path().join("replica/directory.snapshot");
    let start = Instant::now();
    while !file.exists() {
        assert!(start.elapsed() < PATIENCE, "no snapshot file was written");
        std::thread::sleep(Duration::from_millis(50));
    }
    warren.kill();
    replica.resolves_to("@alice", Some(&alice));
    drop(replica);
    let alone = Replica::start(scratch.path(), &endpoints);
    alone.resolves_to("@alice", Some(&alice));
    alone.resolves_to("@nobody", None);
}

#[test]
fn a_replica_that_knows_nothing_yet_never_says_unknown() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let warren = with_alice(scratch.path(), &ports);
    let endpoints = warren.endpoints.clone();
    warren.kill();
    let replica = Replica::start(scratch.path(), &endpoints);
    let (code, said) = replica.resolve("@alice");
    assert_eq!(code, Some(6), "unavailable, not unknown: {said}");
}
