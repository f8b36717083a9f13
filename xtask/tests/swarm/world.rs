//! A lab with a whole warren on it, and people who write.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testkit::client_config;

use crate::writer::Writer;

pub const NODES: usize = 3;
pub const CELLS: usize = 3;

const FLOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/python/sdk_flow.py");

/// Longest that everybody may take to write again after a fault.
const RECOVERY: Duration = Duration::from_secs(180);

/// Ends with this value.
pub struct World {
    pub name: &'static str,
    subnet: String,
}

/// How long each identity could not write, in milliseconds, in order.
pub struct Outage(pub Vec<u64>);

impl World {
    /// Starts all nodes at once: a network volume is there once a majority is.
    pub fn start_all(&self) {
        std::thread::scope(|scope| {
            for node in 1..=NODES {
                scope.spawn(move || self.lab("start", &[&node.to_string()]));
            }
        });
    }

    /// A swarm of three nodes with three cells.
    pub fn start(name: &'static str) -> Self {
        let world = Self { name, subnet: String::new() };
        world.lab("down", &[]);
        let volume = std::env::var("WARREN_TEST_VOLUME").unwrap_or_else(|_| "shared-folder".into());
        world.lab("up", &["--nodes", "3", "--heartbeat", "1", "--volume", &volume]);
        let (archive, program) = image();
        let [archive, program] = [&archive, &program].map(|path| path.to_str().unwrap());
        world.lab("deploy", &["--archive", archive, "--program", program]);
        let status = world.lab("status", &[]);
        let address = status.split_whitespace().find(|word| word.starts_with("198.18.")).unwrap();
        let subnet = address.rsplit_once('.').unwrap().0.to_owned();
        // `world` must not be dropped: it would take the lab down.
        let mut world = world;
        world.subnet = subnet;
        world
    }

    pub fn lab(&self, task: &str, words: &[&str]) -> String {
        let output = self.tries(task, words);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{task} {words:?}: {complaints}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub fn tries(&self, task: &str, words: &[&str]) -> Output {
        self.command(task, words).output().unwrap()
    }

    fn command(&self, task: &str, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        command.args(["lab", task, "--name", self.name]).args(words);
        command
    }

    /// `warren …` as an operator of this warren.
    pub fn warren(&self, words: &[&str]) -> String {
        self.lab("client", &[&["--", "warren"], words].concat())
    }

    pub fn docker(&self, node: usize, words: &[&str]) -> String {
        self.lab("exec", &[&[&node.to_string(), "--", "docker"], words].concat())
    }

    /// kill -9 for all containers of a node whose name has this in it.
    pub fn kill_containers(&self, node: usize, part: &str) {
        let list = self.docker(node, &["ps", "--quiet", "--filter", &format!("name={part}")]);
        for container in list.split_whitespace() {
            self.docker(node, &["kill", container]);
        }
    }

    /// Sends a signal to a node's engine alone: its containers go on.
    pub fn engine(&self, node: usize, signal: &str) {
        let kill = format!("kill -{signal} \"$(cat /run/docker.pid)\"");
        self.lab("exec", &[&node.to_string(), "--", "sh", "-c", &kill]);
    }

    /// Waits until all nodes are there, and every cell runs.
    pub fn is_whole(&self) {
        let start = Instant::now();
        let is_whole = || {
            let status = self.lab("status", &["--json"]);
            let cells = self.tries("client", &["--", "warren", "cell", "list"]);
            let cells = String::from_utf8_lossy(&cells.stdout).into_owned();
            status.matches("\"Ready\"").count() == NODES
                && !status.contains("\"Unreachable\"")
                && cells.lines().filter(|line| line.contains(" runs ")).count() == CELLS
        };
        while !is_whole() {
            assert!(start.elapsed() < RECOVERY, "the swarm does not come together again");
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Registers two people who go their whole way with the published Python SDK, unmodified.
    pub fn sdk_passes_every_check(&self, people: [&str; 2]) {
        let python = std::env::var("WARREN_TEST_PYTHON")
            .expect("this test needs Python with the SDK: run it through `cargo xtask test`");
        let handover = people.map(|name| self.warren(&["identity", "register", name, "--json"]));
        let mut flow = self
            .command("client", &["--", &python, "-u", FLOW, "--directory", "warren.lab:6464"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        flow.stdin.take().unwrap().write_all(handover.join("\n").as_bytes()).unwrap();
        let output = flow.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{complaints}");
        let script = std::fs::read_to_string(FLOW).unwrap();
        let checks = script.lines().filter(|line| line.starts_with("@check(")).count();
        assert!(checks >= 20 && said.contains(&format!("all {checks} checks passed")), "{said}");
    }

    pub fn folder(&self) -> PathBuf {
        Path::new("/var/lib/warren-lab").join(self.name).join("warren")
    }

    /// Registers people who write, each through all nodes.
    pub fn writers(&self, count: usize) -> Vec<Writer> {
        let config = client_config(&self.folder().join("keys/ca.pem"));
        let begin = Instant::now();
        let register = |number| {
            let name = format!("@w{number}");
            let text = self.warren(&["identity", "register", &name, "--json"]);
            let port = text_of(&text, "address").rsplit_once(':').unwrap().1.to_owned();
            let mut doors: Vec<_> =
                (1..=NODES).map(|node| format!("{}.{}:{port}", self.subnet, 10 + node)).collect();
            doors.rotate_left(number % NODES);
            let secret = text_of(&text, "activation_secret");
            Writer::new(&name, &secret, doors, config.clone(), begin)
        };
        (0..count).map(register).collect()
    }

    /// Does something while everybody writes; returns how long each could not, at the longest.
    pub fn outage(&self, writers: &[Writer], fault: impl FnOnce()) -> Outage {
        let (is_over, is_done) = (AtomicBool::new(false), AtomicBool::new(false));
        let longest = std::thread::scope(|scope| {
            for writer in writers {
                scope.spawn(|| writer.write_until(&is_over));
            }
            let watching = scope.spawn(|| watch(writers, &is_done));
            everybody_writes(writers);
            fault();
            everybody_writes(writers);
            // Everybody has written once more: whoever was away has come back.
            is_done.store(true, Ordering::Relaxed);
            let longest = watching.join().unwrap();
            is_over.store(true, Ordering::Relaxed);
            longest
        });
        for writer in writers {
            let acknowledged = writer.acknowledged.load(Ordering::Relaxed);
            let read = (0..20).find_map(|_| {
                let read = writer.read();
                read.inspect_err(|_| std::thread::sleep(Duration::from_millis(500))).ok()
            });
            let read = read.unwrap_or_else(|| panic!("{} does not answer", writer.name));
            assert!(read >= acknowledged, "{}: {read} of {acknowledged}", writer.name);
        }
        let mut longest = longest;
        longest.sort_unstable();
        Outage(longest)
    }
}

impl Outage {
    pub fn report(&self, what: &str) {
        let at = |share: usize| self.0[(self.0.len() - 1) * share / 100];
        println!("{what}: p50 {} ms, p99 {} ms, most {} ms", at(50), at(99), at(100));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for words in [&["service", "ls"][..], &["stack", "ps", "--no-trunc", "warren"]] {
                let output = self.tries("exec", &[&["1", "--", "docker"], words].concat());
                eprintln!("{}", String::from_utf8_lossy(&output.stdout));
            }
        }
        if std::env::var_os("WARREN_KEEP_LAB").is_none() {
            self.tries("down", &[]);
        }
    }
}

/// The longest time between two acknowledgements of each.
fn watch(writers: &[Writer], is_done: &AtomicBool) -> Vec<u64> {
    let read = |writer: &Writer| writer.at_millis.load(Ordering::Relaxed);
    let mut last: Vec<u64> = writers.iter().map(read).collect();
    let mut longest = vec![0; writers.len()];
    let mut once_more = true;
    while once_more {
        once_more = !is_done.load(Ordering::Relaxed);
        for (index, writer) in writers.iter().enumerate() {
            let now = read(writer);
            // Before the first one nobody was away.
            if now > last[index] && last[index] > 0 {
                longest[index] = longest[index].max(now - last[index]);
            }
            last[index] = now;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    longest
}

/// Waits until everybody has written three times more.
fn everybody_writes(writers: &[Writer]) {
    let count = |writer: &Writer| writer.acknowledged.load(Ordering::Relaxed);
    let before: Vec<u64> = writers.iter().map(count).collect();
    let start = Instant::now();
    for (writer, before) in writers.iter().zip(before) {
        while count(writer) < before + 3 {
            assert!(start.elapsed() < RECOVERY, "{} cannot write any more", writer.name);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The archive and the program in it, as `cargo xtask test` or the caller made them.
fn image() -> (PathBuf, PathBuf) {
    let text = std::env::var("WARREN_TEST_IMAGE")
        .expect("this test needs an image: run it through `cargo xtask test`");
    let (archive, program) = text.split_once(':').expect("ARCHIVE:PROGRAM");
    (archive.into(), program.into())
}

fn text_of(json: &str, key: &str) -> String {
    let (_, rest) = json.split_once(&format!("\"{key}\":\"")).unwrap_or_else(|| panic!("{json}"));
    rest.split_once('"').unwrap().0.to_owned()
}
