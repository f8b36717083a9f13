//! `cargo xtask lab` brings up a real swarm, breaks it, and leaves nothing behind.
//!
//! These need root and a Docker engine; where either is missing, `cargo xtask test` leaves them out
//! and says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "lab/machine.rs"]
mod machine;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use machine::Traces;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/answerer.rs");

/// Longest that a swarm may take for what it does by itself; with a heartbeat of a second a node is
/// given up after some three.
const PATIENCE: Duration = Duration::from_secs(90);

/// A lab of a test's own; ends with this value.
struct Lab {
    name: &'static str,
}

impl Lab {
    fn command(&self, task: &str, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["lab", task, "--name", self.name]).args(words);
        command
    }

    fn tries(&self, task: &str, words: &[&str]) -> Output {
        self.command(task, words).output().unwrap()
    }

    fn does(&self, task: &str, words: &[&str]) -> String {
        let output = self.tries(task, words);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{task} {words:?}: {complaints}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn docker(&self, node: &str, words: &[&str]) -> String {
        self.does("exec", &[&[node, "--", "docker"], words].concat())
    }

    fn folder(&self) -> PathBuf {
        Path::new("/var/lib/warren-lab").join(self.name)
    }

    /// What is written down about the nodes' processes.
    fn processes(&self) -> Vec<String> {
        (1..=3)
            .map(|node| fs::read_to_string(self.folder().join(format!("{node}/process"))).unwrap())
            .collect()
    }

    /// On which nodes the service's tasks run, as node 1 sees it.
    fn places(&self) -> Vec<String> {
        let words = ["service", "ps", "hello", "--filter", "desired-state=running"];
        let format = ["--format", "{{.Node}} {{.CurrentState}}"];
        let list = self.docker("1", &[&words[..], &format].concat());
        let running = list.lines().filter(|line| line.contains(" Running "));
        running.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    /// What node 1 and this machine say about all nodes.
    fn status(&self) -> String {
        self.does("status", &["--json"])
    }

    /// Whether the swarm sees all nodes, and all its managers reach one another.
    fn is_whole(&self) -> bool {
        let status = self.status();
        println!("{status}");
        status.matches("\"Ready\"").count() == 3 && !status.contains("\"Unreachable\"")
    }

    /// A node that does not lead: for a leader that stands still a swarm takes most of a minute.
    fn follower(&self) -> &'static str {
        let status = self.status();
        let second = status.split("{\"number\": ").find(|node| node.starts_with("2,")).unwrap();
        if second.contains("Leader") { "3" } else { "2" }
    }

    /// How many nodes are in this state.
    fn count(&self, state: &str) -> usize {
        self.status().matches(state).count()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.command("down", &[]).stderr(Stdio::null()).status();
    }
}

/// One test at a time has the machine: each looks at what is left on it.
fn alone() -> File {
    let lock = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab.lock")).unwrap();
    lock.lock().unwrap();
    lock
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("{what}: after {:.1?}", start.elapsed());
}

/// An ended process is there until the machine's first process has heard of it: that moment is given.
fn nothing_is_left_since(before: &Traces, when: &str) {
    let start = Instant::now();
    loop {
        let left = Traces::of_machine().since(before);
        if left.is_empty() {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{when}: {left:?} are left");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An archive with nothing but the program, as an image is imported from it.
fn image() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab-image");
    fs::create_dir_all(&folder).unwrap();
    let archive = folder.with_extension("tar");
    let mut compiler = Command::new("rustc");
    compiler.args([
        "-O",
        "-C",
        "target-feature=+crt-static",
        "-C",
        "strip=symbols",
        "--edition=2024",
    ]);
    assert!(
        compiler.arg(SOURCE).arg("-o").arg(folder.join("answerer")).status().unwrap().success()
    );
    let mut tar = Command::new("tar");
    tar.arg("--create").arg("--file").arg(&archive).arg("--directory").arg(&folder);
    assert!(tar.arg("answerer").status().unwrap().success());
    archive
}

#[test]
fn a_real_swarm_of_three_hosts_works_loses_a_node_and_leaves_nothing_behind() {
    let _alone = alone();
    let before = Traces::of_machine();
    let lab = Lab { name: "wltest" };
    lab.does("up", &["--heartbeat", "1"]);
    assert_eq!(lab.count("\"swarm\": \"Ready\""), 3);

    let processes = lab.processes();
    lab.does("up", &["--heartbeat", "1"]);
    assert_eq!(lab.processes(), processes, "a second `up` changes nothing");
    let other = lab.tries("up", &["--nodes", "4"]);
    assert!(!other.status.success(), "a lab has one shape");

    deploy(&lab);
    answers_everywhere(&lab);

    lab.does("cut", &["3"]);
    until("the tasks move to the other nodes", || {
        let places = lab.places();
        places.len() == 3 && !places.contains(&"wltest-3".to_owned())
    });
    assert_eq!((lab.count("\"cut\""), lab.count("\"Down\"")), (1, 1));
    lab.does("heal", &["3"]);
    until("the node is back", || lab.is_whole());

    let still = lab.follower();
    lab.does("pause", &[still]);
    assert_eq!(lab.count("\"paused\""), 1);
    until("a node that stands still is missed", || lab.count("\"Down\"") == 1);
    lab.does("resume", &[still]);
    until("the node goes on", || lab.is_whole());

    lab.does("kill", &["3"]);
    assert_eq!(lab.count("\"engine\": \"down\""), 1);
    until("the killed node is missed", || lab.count("\"Down\"") == 1);
    lab.does("start", &["3"]);
    until("the killed node is back", || lab.is_whole());

    lab.does("down", &[]);
    assert!(!lab.folder().exists());
    nothing_is_left_since(&before, "down");
}

/// A service of three tasks, one on each node, which see one another and the volume.
fn deploy(lab: &Lab) {
    let archive = image();
    for node in ["1", "2", "3"] {
        lab.docker(node, &["import", archive.to_str().unwrap(), "answerer:1"]);
    }
    lab.docker("1", &["network", "create", "--driver", "overlay", "mesh"]);
    let volume = lab.folder().join("volume");
    let mount = format!("type=bind,source={},target=/volume", volume.display());
    let service = ["service", "create", "--detach", "--no-resolve-image", "--name", "hello"];
    let shape = ["--replicas", "3", "--network", "mesh", "--endpoint-mode", "dnsrr"];
    let task = ["--hostname", "{{.Node.Hostname}}", "--mount", &mount, "answerer:1"];
    let program = ["/answerer", "serve", "/volume"];
    lab.docker("1", &[&service[..], &shape, &task, &program].concat());
    let hosts = BTreeSet::from(["wltest-1", "wltest-2", "wltest-3"].map(str::to_owned));
    until("a task runs on each node", || {
        lab.places().into_iter().collect::<BTreeSet<_>>() == hosts
    });
    let written =
        || fs::read_dir(&volume).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    until("all write to one volume", || written().collect::<BTreeSet<_>>() == hosts);
}

/// Each task reaches each, over the overlay.
fn answers_everywhere(lab: &Lab) {
    let tasks = lab.docker("1", &["service", "ps", "--quiet", "hello"]);
    let format = "{{range .NetworksAttachments}}{{range .Addresses}}{{.}}{{end}}{{end}}";
    let inspect = ["inspect", "--type", "task", "--format", format];
    let tasks: Vec<&str> = tasks.lines().collect();
    let addresses = lab.docker("1", &[&inspect[..], &tasks].concat());
    for node in ["1", "2", "3"] {
        let container = lab.docker(node, &["ps", "--quiet", "--filter", "name=hello"]);
        let mut hosts = BTreeSet::new();
        for address in addresses.lines() {
            let to = format!("{}:7000", address.split('/').next().unwrap());
            let ask = [node, "--", "docker", "exec", &container, "/answerer", "ask", &to];
            until(&format!("node {node} reaches {to}"), || {
                let output = lab.tries("exec", &ask);
                let host = String::from_utf8(output.stdout).unwrap().trim().to_owned();
                output.status.success() && hosts.insert(host)
            });
        }
        assert_eq!(hosts.len(), 3, "three hosts answer node {node}: {hosts:?}");
    }
}

#[test]
fn a_network_volume_outlives_each_node_and_a_second_lab_is_apart() {
    let _alone = alone();
    let before = Traces::of_machine();
    let (lab, other) = (Lab { name: "wlgfs" }, Lab { name: "wlother" });
    lab.does("up", &["--volume", "gluster"]);
    other.does("up", &["--nodes", "1"]);

    let file = lab.folder().join("volume/file");
    let file = file.to_str().unwrap();
    let write = |node, text| {
        let script = format!("echo {text} > {file} && sync {file}");
        lab.does("exec", &[node, "--", "sh", "-c", &script])
    };
    let read = |node| lab.does("exec", &[node, "--", "cat", file]);
    write("1", "first");
    assert_eq!((read("2"), read("3")), ("first".to_owned(), "first".to_owned()));
    assert!(!Path::new(file).exists(), "it is on the network, not in the machine's folder");

    lab.does("kill", &["2"]);
    write("3", "second");
    lab.does("start", &["2"]);
    assert_eq!(read("2"), "second");

    lab.does("down", &[]);
    let status = other.status();
    assert!(status.contains("Leader") && !status.contains("wlgfs"), "{status}");
    other.does("down", &[]);
    nothing_is_left_since(&before, "down");
}

#[test]
fn an_up_that_was_killed_anywhere_is_taken_away_or_completed() {
    let _alone = alone();
    let before = Traces::of_machine();
    let lab = Lab { name: "wlkill" };
    for milliseconds in [20, 60, 150, 400, 1000, 2000] {
        kill_up_after(&lab, milliseconds);
        lab.does("down", &[]);
        nothing_is_left_since(&before, &format!("killed after {milliseconds} ms"));
        assert!(!lab.folder().exists(), "killed after {milliseconds} ms");
    }
    for milliseconds in [60, 400, 1500] {
        kill_up_after(&lab, milliseconds);
    }
    lab.does("up", &[]);
    assert_eq!(lab.count("\"swarm\": \"Ready\""), 3);
    lab.does("down", &[]);
    nothing_is_left_since(&before, "down");
}

fn kill_up_after(lab: &Lab, milliseconds: u64) {
    let mut up = lab.command("up", &[]).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(milliseconds));
    up.kill().unwrap();
    up.wait().unwrap();
}
