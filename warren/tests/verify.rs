//! A directory that follows a directory, and `warren resolve --verify`, which believes neither.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{PATIENCE, Ports, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");
const RELAY_TOKEN: &str = "a-token-for-those-who-follow";

/// A replica with an HTTPS front.
struct Replica {
    child: Child,
    https: String,
    certificate: PathBuf,
}

impl Replica {
    /// Follows whoever answers at `registrar` for this token.
    fn start(dir: &Path, registrar: &str, ca_file: &Path, token_file: &Path, key: &str) -> Self {
        std::fs::create_dir(dir).unwrap();
        let (certificate, private) = (dir.join("replica.pem"), dir.join("replica.key"));
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&private, made.signing_key.serialize_pem()).unwrap();
        let relay = dir.join("relay.token");
        std::fs::write(&relay, RELAY_TOKEN).unwrap();
        let mut child = Command::new(WARREN)
            .args(["directory", "serve", "--port", "0", "--https", "127.0.0.1:0"])
            .args(["--registrar", registrar, "--feed-key", key, "--ca-file"])
            .arg(ca_file)
            .arg("--token-file")
            .arg(token_file)
            .arg("--tls-cert")
            .arg(&certificate)
            .arg("--tls-key")
            .arg(&private)
            .arg("--relay-token-file")
            .arg(&relay)
            .arg("--data-dir")
            .arg(dir.join("data"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let https =
            lines.find(|line| line.as_ref().unwrap().starts_with("https")).unwrap().unwrap();
        let port = https.split_whitespace().nth(1).unwrap().rsplit_once(':').unwrap().1.to_owned();
        Self { child, https: format!("localhost:{port}"), certificate }
    }

    fn verify(&self, name: &str, key: &str) -> Output {
        Command::new(WARREN)
            .args(["resolve", name, "--verify", "--json", "--https", &self.https])
            .args(["--feed-key", key, "--ca-file"])
            .arg(&self.certificate)
            .output()
            .unwrap()
    }

    /// What is proven, once it is there.
    fn proven(&self, name: &str, key: &str) -> Value {
        let start = Instant::now();
        loop {
            let output = self.verify(name, key);
            if output.status.success() {
                return serde_json::from_slice(&output.stdout).unwrap();
            }
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(start.elapsed() < PATIENCE, "{name}: {said}");
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
fn a_name_is_proven_through_directories_that_nobody_has_to_trust() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, ports) = (scratch.path().join("data"), Ports::reserve(20));
    std::fs::create_dir(&data).unwrap();
    let warren = Warren::start(WARREN, &data, &ports, &["--identity", "@alice"]);
    let endpoints = warren.endpoints.clone();
    let key = &endpoints.feed_key;
    let first = Replica::start(
        &scratch.path().join("1"),
        &endpoints.registrar,
        &endpoints.ca_file,
        &endpoints.admin_token_file,
        key,
    );
    let relay_token = scratch.path().join("relay.token");
    std::fs::write(&relay_token, format!("{RELAY_TOKEN}\n")).unwrap();
    let url = format!("https://{}", first.https);
    let second =
        Replica::start(&scratch.path().join("2"), &url, &first.certificate, &relay_token, key);

    let alice = second.proven("@alice", key);
    assert_eq!(alice["address"], format!("localhost:{}", ports.first));
    assert_eq!((&alice["verified"], &alice["epoch"]), (&Value::from(true), &Value::from(1)));

    // Who came later is proven as well, with the registrar gone by then.
    let (bob, _) = warren.register("@bob");
    assert_eq!(second.proven("@bob", key)["address"], bob);
    warren.kill();
    assert_eq!(second.proven("@bob", key)["address"], bob);

    let other = "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let refused = second.verify("@alice", other);
    assert_eq!(refused.status.code(), Some(4), "refused");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("not proven") && refused.stdout.is_empty(), "{said}");
    let unknown = second.verify("@nobody", key);
    assert_eq!(unknown.status.code(), Some(3));
}
