//! The directory over HTTPS as its users meet it: the real program, and `curl`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Ports, Replica, Warren, build_snapshot};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// What `curl` got.
struct Got {
    status: u16,
    head: String,
    body: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

fn curl(ca_file: &Path, url: &str, more: &[&str]) -> Got {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "20", "--include", "--cacert"])
        .arg(ca_file)
        .args(more)
        .arg(url)
        .output()
        .expect("curl is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{url}: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Got { status, head: head.to_owned(), body: body.to_owned() }
}

fn warren(args: &[&str]) -> Output {
    Command::new(WARREN).args(args).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A replica with an HTTPS front.
struct Front {
    replica: Replica,
    url: String,
}

impl Front {
    fn start(dir: &Path, source: &[&str]) -> Self {
        let options = [&["--https", "127.0.0.1:0"], source].concat();
        let replica = Replica::start(WARREN, dir, &options);
        let url = format!("https://localhost:{}", replica.port("https"));
        Self { replica, url }
    }

    fn get(&self, path: &str) -> Got {
        curl(&self.replica.cert, &format!("{}{path}", self.url), &[])
    }

    fn status(&self, more: &[&str]) -> Output {
        let cert = self.replica.cert.to_str().unwrap();
        warren(&[&["directory", "status", &self.url, "--ca-file", cert], more].concat())
    }
}

#[test]
fn who_is_registered_is_found_with_curl_and_stays_found_until_she_changes() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let ports = Ports::reserve(20);
    let up = Warren::start(WARREN, &data, &ports, &["--directory-https", "0"]);
    let url = up.endpoints.directory_https.clone().expect("endpoints.json says where");
    let get =
        |path: &str, more: &[&str]| curl(&up.endpoints.ca_file, &format!("{url}{path}"), more);

    let unknown = get("/v1/identities/@alice", &[]);
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.header("content-type"), "application/problem+json");
    assert_eq!(unknown.json()["type"], "urn:warren:problem:unknown-identity");

    let (address, _) = up.register("@alice");
    let (host, port) = address.split_once(':').unwrap();
    let found = (0..200).map(|_| get("/v1/identities/@alice", &[])).find(|got| {
        std::thread::sleep(Duration::from_millis(20));
        got.status == 200
    });
    let found = found.expect("the directory hears of her");
    let expected = json!({
        "identity": "@alice", "host": host, "port": port.parse::<u16>().unwrap(), "epoch": 1,
        "generation": found.json()["generation"],
    });
    assert_eq!(found.json(), expected);

    let tag = format!("If-None-Match: {}", found.header("etag"));
    let same = get("/v1/identities/alice", &["--header", &tag]);
    assert_eq!((same.status, same.body.as_str()), (304, ""), "{}", same.head);
    let other = get("/v1/identities/alice", &["--header", "If-None-Match: \"x\""]);
    assert_eq!((other.status, other.json()), (200, expected));
    let head = get("/v1/identities/alice", &["--head"]);
    assert_eq!((head.status, head.header("etag")), (200, found.header("etag")));

    let names = r#"{"identities":["@nobody","@alice"]}"#;
    let both = get("/v1/lookup", &["--json", names]).json();
    assert_eq!(both["unknown"], json!(["@nobody"]));
    assert_eq!(both["found"]["@alice"]["host"], host);

    let status = up.command(&["directory", "status", "--json", "--max-age", "60"]);
    assert_eq!(status.status.code(), Some(0), "{}", String::from_utf8_lossy(&status.stderr));
    let status: Value = serde_json::from_str(&stdout(&status)).unwrap();
    assert_eq!((&status["ready"], &status["entries"]), (&json!(true), &json!(1)));
    assert!(up.terminate().success());
}

#[test]
fn a_replica_of_a_file_tells_how_old_the_file_is() {
    let scratch = tempfile::tempdir().unwrap();
    let file = build_snapshot(WARREN, scratch.path(), "alice\tswarm.example.org:25000\n");
    let front = Front::start(scratch.path(), &["--snapshot", file.to_str().unwrap()]);
    assert_eq!(front.get("/v1/identities/alice").json()["host"], "swarm.example.org");
    let status = front.status(&["--max-age", "3600"]);
    assert_eq!(status.status.code(), Some(0));
    let text = stdout(&status);
    assert!(text.contains("ready       yes\n") && text.contains("identities  1\n"), "{text}");
    std::thread::sleep(Duration::from_millis(1_100));
    let old = front.status(&["--max-age", "0"]);
    assert_eq!(old.status.code(), Some(1), "{}", String::from_utf8_lossy(&old.stderr));
}

#[test]
fn a_replica_that_knows_nothing_yet_is_not_ready_and_says_so() {
    let scratch = tempfile::tempdir().unwrap();
    let token = scratch.path().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let ca_file = scratch.path().join("chain.pem");
    let (token, ca_file) = (token.to_str().unwrap(), ca_file.to_str().unwrap());
    let key = format!("ed25519:{}", "A".repeat(43));
    let nobody = [
        "--registrar",
        "https://localhost:1",
        "--token-file",
        token,
        "--ca-file",
        ca_file,
        "--feed-key",
        &key,
    ];
    let mut front = Front::start(scratch.path(), &nobody);
    let early = front.get("/v1/identities/alice");
    assert_eq!((early.status, early.header("retry-after")), (503, "2"));
    assert_eq!(front.get("/healthz").body, "ok\n");
    assert_eq!(front.get("/readyz").status, 503);
    let status = front.status(&[]);
    assert_eq!(status.status.code(), Some(6));
    assert!(stdout(&status).contains("ready       no\n"), "{}", stdout(&status));
    front.replica.kill();
    assert_eq!(front.status(&[]).status.code(), Some(6));
}
