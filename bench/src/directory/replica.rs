//! Our directory, from a snapshot file.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::Answerer;
use super::process::Process;
use crate::Setting;

pub(super) fn start(setting: &Setting, folder: &Path, list: &Path) -> Answerer {
    let snapshot = build(setting, folder, list);
    let started = Instant::now();
    let (child, port) = serve(setting, folder, &snapshot, &[]);
    let mut one = Answerer {
        who: "warren directory",
        process: Process(child),
        address: format!("localhost:{port}"),
        started_in: started.elapsed(),
        resident: 0,
        question: |name| format!("{name}\n").into_bytes(),
        lines: 1,
        greets: true,
    };
    super::load::first_answer(&one, &folder.join("chain.pem"));
    one.started_in = started.elapsed();
    one.resident = one.process.resident();
    one
}

/// Packs a list into a snapshot file.
pub fn build(setting: &Setting, folder: &Path, list: &Path) -> PathBuf {
    let snapshot = folder.join("directory.snapshot");
    let began = Instant::now();
    let built = Command::new(&setting.warren)
        .args(["directory", "snapshot", "build", "--from"])
        .arg(list)
        .arg("--out")
        .arg(&snapshot)
        .stdout(Stdio::null())
        .status();
    assert!(built.expect("warren runs").success());
    println!("packed in {:.1} s", began.elapsed().as_secs_f64());
    snapshot
}

/// Starts with a snapshot file and further options; the process and its port, once it listens.
pub fn serve(setting: &Setting, folder: &Path, snapshot: &Path, more: &[&str]) -> (Child, String) {
    let mut child = Command::new(&setting.warren)
        .args(["directory", "serve", "--port", "0", "--snapshot"])
        .arg(snapshot)
        .arg("--tls-cert")
        .arg(folder.join("chain.pem"))
        .arg("--tls-key")
        .arg(folder.join("key.pem"))
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("warren runs");
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("its output");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let port = line.split_whitespace().nth(1).and_then(|at| at.rsplit_once(':')).expect("a port").1;
    (child, port.to_owned())
}
