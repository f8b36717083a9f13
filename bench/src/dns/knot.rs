//! Knot with the same records, from a zone file.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Answerer, ZONE};
use crate::directory::process::Process;

/// Starts it; none where there is no Knot.
pub fn start(folder: &Path, list: &Path, port: u16) -> Option<Answerer> {
    Command::new("knotd").arg("--version").output().ok()?;
    write_zone(&folder.join("dir.zone"), list);
    let path = folder.display();
    let config = format!(
        "server:\n  listen: 127.0.0.1@{port}\n  rundir: {path}\n\
         control:\n  listen: {path}/knot.sock\n\
         database:\n  storage: {path}/knot\n\
         log:\n  - target: stderr\n    any: error\n\
         zone:\n  - domain: {ZONE}\n    file: {path}/dir.zone\n    zonefile-load: whole\n    \
         zonefile-sync: -1\n    journal-content: none\n"
    );
    std::fs::write(folder.join("knot.conf"), config).expect("a file");
    let started = Instant::now();
    let child = Command::new("knotd")
        .arg("--config")
        .arg(folder.join("knot.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("knotd runs");
    let process = Process(child);
    Some(Answerer { who: "Knot", process, port, started, started_in: Duration::ZERO, resident: 0 })
}

fn write_zone(file: &Path, list: &Path) {
    let mut out = BufWriter::new(File::create(file).expect("a file"));
    writeln!(
        out,
        "$ORIGIN {ZONE}.\n$TTL 60\n@ 3600 SOA ns hostmaster 1 600 120 86400 15\n@ 3600 NS ns\n\
         ns A 192.0.2.53"
    )
    .expect("a line");
    for line in BufReader::new(File::open(list).expect("the list")).lines() {
        let line = line.expect("a line");
        let (name, address) = line.split_once('\t').expect("a tab");
        let (host, port) = address.split_once(':').expect("a port");
        writeln!(
            out,
            "_atproto._tcp.{name} SRV 0 0 {port} {host}.\n{name} SVCB 1 {host}. port={port}\n\
             {name} TXT \"host={host} port={port} epoch=1\""
        )
        .expect("a line");
    }
    out.flush().expect("the rest");
}
