//! `warren directory serve --parent`: own names here, the rest from above, and never "unknown" for a
//! parent that is gone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// A replica that says what a list says.
struct Replica {
    child: Child,
    address: String,
    cert: PathBuf,
}

impl Replica {
    fn start(dir: &Path, names: &str, more: &[&str]) -> Self {
        std::fs::create_dir(dir).unwrap();
        let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(file("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(file("key.pem"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(file("names.tsv"), names).unwrap();
        let build = ["directory", "snapshot", "build", "--from", &file("names.tsv"), "--out"];
        let built = Command::new(WARREN).args(build).arg(file("snapshot")).output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let mut child = Command::new(WARREN)
            .args(["directory", "serve", "--port", "0", "--snapshot", &file("snapshot")])
            .args(["--tls-cert", &file("cert.pem"), "--tls-key", &file("key.pem")])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split_whitespace().nth(1).unwrap().rsplit_once(':').unwrap().1;
        Self { address: format!("localhost:{port}"), cert: dir.join("cert.pem"), child }
    }

    /// The exit code of `warren resolve`, and what it prints.
    fn resolve(&self, name: &str) -> (Option<i32>, String) {
        let output = Command::new(WARREN)
            .args(["resolve", name, "--directory", &self.address, "--ca-file"])
            .arg(&self.cert)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_private_directory_asks_its_parent_and_says_when_it_cannot() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = |name: &str| scratch.path().join(name);
    let world = "far\tfar.example:64\nalice\timpostor.example:1\n";
    let mut parent = Replica::start(&dir("parent"), world, &[]);
    let trust = parent.cert.to_str().unwrap().to_owned();
    let above = ["--parent", &parent.address, "--parent-ca", &trust];
    let private = Replica::start(&dir("private"), "alice\there.example:25000\n", &above);
    let found = |address: &str| (Some(0), address.to_owned());
    assert_eq!(private.resolve("@alice"), found("here.example:25000"));
    assert_eq!(private.resolve("@far"), found("far.example:64"));
    assert_eq!(private.resolve("@nobody").0, Some(3), "unknown to both");

    parent.kill();
    assert_eq!(private.resolve("@other").0, Some(6), "unavailable, not unknown");
    assert_eq!(private.resolve("@alice"), found("here.example:25000"));
}
