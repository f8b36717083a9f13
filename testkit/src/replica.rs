//! `warren directory serve` as a process.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::certificate::Certificate;
use crate::process::resident_bytes;
use crate::{LineClient, PATIENCE, Source};

/// The options that open one more door each; for each, a line says where it is.
const DOORS: [&str; 4] = ["--https", "--dns", "--dns-tls", "--metrics"];

/// Opens the relays of these tests.
const RELAY_TOKEN: &str = "a-token-for-those-who-follow";

/// A directory that runs alone. It ends with this value.
pub struct Replica {
    binary: String,
    child: Child,
    doors: Vec<(String, u16)>,
    /// Kept so that it may go on printing.
    _lines: Lines<BufReader<ChildStdout>>,
    /// The certificate that it shows.
    pub cert: PathBuf,
}

impl Replica {
    /// Starts the program `binary` with all its files in `dir` and these further options, and waits
    /// until it has said where its doors are. Its log is beside its data there.
    pub fn start(binary: &str, dir: &Path, more: &[&str]) -> Self {
        std::fs::create_dir_all(dir).unwrap();
        let Certificate { chain, key } = Certificate::make(dir);
        let log = dir.join("replica.log");
        let mut child = Command::new(binary)
            .args(["directory", "serve", "--port", "0", "--tls-cert"])
            .arg(&chain)
            .arg("--tls-key")
            .arg(key)
            .arg("--data-dir")
            .arg(dir.join("replica"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(File::create(&log).unwrap()))
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = 1 + more.iter().filter(|option| DOORS.contains(option)).count();
        let doors: Vec<_> = lines.by_ref().take(wanted).map(|line| door(&line.unwrap())).collect();
        let said = || std::fs::read_to_string(&log).unwrap();
        assert_eq!(doors.len(), wanted, "the replica ended: {}", said());
        Self { binary: binary.to_owned(), child, doors, _lines: lines, cert: chain }
    }

    /// Starts one that follows this source and nobody else.
    pub fn follow(binary: &str, dir: &Path, source: &Source, more: &[&str]) -> Self {
        let Source { url, ca_file, token_file, feed_key } = source;
        let (ca_file, token_file) = (ca_file.to_str().unwrap(), token_file.to_str().unwrap());
        let feed = ["--registrar", url, "--feed-key", feed_key];
        let trust = ["--ca-file", ca_file, "--token-file", token_file];
        Self::start(binary, dir, &[&feed, &trust, more].concat())
    }

    /// Starts one that follows, and that others may follow in its turn: over the source beside it.
    pub fn relay(binary: &str, dir: &Path, source: &Source) -> (Self, Source) {
        std::fs::create_dir_all(dir).unwrap();
        let token_file = dir.join("relay.token");
        std::fs::write(&token_file, RELAY_TOKEN).unwrap();
        let token = ["--relay-token-file", token_file.to_str().unwrap()];
        let front = ["--https", "127.0.0.1:0"];
        let relay = Self::follow(binary, dir, source, &[front, token].concat());
        let own = Source {
            url: format!("https://localhost:{}", relay.port("https")),
            ca_file: relay.cert.clone(),
            token_file,
            feed_key: source.feed_key.clone(),
        };
        (relay, own)
    }

    /// The port behind the door that it calls by this word; the first of several.
    pub fn port(&self, word: &str) -> u16 {
        let door = self.doors.iter().find(|(known, _)| known == word);
        door.unwrap_or_else(|| panic!("no {word} among {:?}", self.doors)).1
    }

    /// `localhost:port` for the line protocol.
    pub fn address(&self) -> String {
        format!("localhost:{}", self.port("directory"))
    }

    /// A connection for the line protocol, its prompt read.
    pub fn connect(&self) -> LineClient {
        LineClient::connect(&self.address(), &self.cert).unwrap()
    }

    /// The exit code of `warren resolve`, and what it prints.
    pub fn resolve(&self, name: &str) -> (Option<i32>, String) {
        let output = Command::new(&self.binary)
            .args(["resolve", name, "--directory", &self.address(), "--ca-file"])
            .arg(&self.cert)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Waits until a name resolves to this address, or is unknown.
    pub fn resolves_to(&self, name: &str, wanted: Option<&str>) {
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

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        resident_bytes(self.child.id())
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `https       127.0.0.1:443   (…)`, or a URL with a path in the second place.
fn door(line: &str) -> (String, u16) {
    let mut words = line.split_whitespace();
    let (word, place) = (words.next().unwrap(), words.next().unwrap());
    let port = place.trim_end_matches("/metrics").rsplit_once(':').unwrap().1;
    (word.to_owned(), port.parse().unwrap())
}

/// Packs a list of names (`name<TAB>host:port` lines) into `directory.snapshot` in this folder.
pub fn build_snapshot(binary: &str, dir: &Path, names: &str) -> PathBuf {
    std::fs::create_dir_all(dir).unwrap();
    let (list, snapshot) = (dir.join("names.tsv"), dir.join("directory.snapshot"));
    std::fs::write(&list, names).unwrap();
    let built = Command::new(binary)
        .args(["directory", "snapshot", "build", "--from"])
        .arg(&list)
        .arg("--out")
        .arg(&snapshot)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    snapshot
}
