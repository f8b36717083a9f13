//! The operators' commands against a `warren registrar serve`, with cells and agents that are played.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "operators/upgrade.rs"]
mod upgrade;

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use net::https::{Method, Upstream, parse_url};
use net::tls::{ClientTls, TrustRoots};
use protocol::Term;
use protocol::control::roster::TermGrant;
use serde_json::{Value, json};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

/// Longest line that a person gets.
const COLUMNS: usize = 80;

/// A registrar's process; it ends with this value.
struct Registrar {
    process: Child,
    _stdout: Lines<BufReader<ChildStdout>>,
    folder: tempfile::TempDir,
    url: String,
    ca_file: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Drop for Registrar {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A process of a cell, as the registrar sees it.
struct Cell {
    name: String,
    term: Term,
}

impl Registrar {
    fn start(more: &[&str]) -> Self {
        net::tls::install_provider();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(WARREN);
        command.args(["registrar", "serve", "--registrar-port", "0", "--metrics-port", "0"]);
        command.arg("--data-dir").arg(folder.path().join("data")).args(more);
        for role in ["admin", "cell", "router", "host"] {
            let file = folder.path().join(role);
            std::fs::write(&file, format!("the-token-of-every-{role}")).unwrap();
            command.arg(format!("--{role}-token-file")).arg(file);
        }
        command.arg("--scratch").arg(folder.path());
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = |what: &str| loop {
            let line = lines.next().expect("it says where it is").unwrap();
            if let Some(rest) = line.strip_prefix(what) {
                return rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        let (url, ca_file) = (said("registrar"), PathBuf::from(said("authority")));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        Self { process, _stdout: lines, folder, url, ca_file, runtime }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(WARREN);
        command.args(args).args(["--registrar", &self.url]).arg("--ca-file").arg(&self.ca_file);
        command.arg("--token-file").arg(self.folder.path().join("admin"));
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// What a command prints that does what it should.
    fn done(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        assert_eq!(said, "", "bars are for terminals");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The objects that a command prints with `--json`.
    fn json(&self, args: &[&str]) -> Vec<Value> {
        let text = self.done(&[args, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn refused(&self, args: &[&str], code: i32, words: &[&str]) {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{word:?} is missing in: {said}");
        }
    }

    /// One who has the token of this role.
    fn role(&self, role: &str) -> Upstream {
        let token = std::fs::read_to_string(self.folder.path().join(role)).unwrap();
        let tls = ClientTls::new(&TrustRoots::from_pem_file(&self.ca_file).unwrap(), None).unwrap();
        Upstream::new(tls, vec![parse_url(&self.url).unwrap()], &token)
    }

    fn report_node(&self, node: &str, hostname: &str, is_leader: bool) {
        self.report_node_with(node, hostname, is_leader, &[]);
    }

    fn report_node_with(&self, node: &str, hostname: &str, is_leader: bool, drift: &[&str]) {
        let report = json!({
            "swarm": "eu-1", "hostname": hostname, "address": "10.0.0.1", "drift": drift,
            "engine": {
                "is_answering": true, "is_leader": is_leader, "availability": "active",
                "labels": { "zone": "a" },
            },
            "pressure": { "memory": 412, "disk": 37, "handles": 950 }, "version": "0.1.0",
        });
        let path = format!("/v1/nodes/{node}");
        self.runtime.block_on(self.role("host").send(Method::PUT, &path, &report)).unwrap();
    }

    fn start_cell(&self, name: &str, node: &str) -> Cell {
        let body = json!({ "node": node, "version": "0.1.0" });
        let path = format!("/v1/cells/{name}/terms");
        let role = self.role("cell");
        let grant: TermGrant =
            self.runtime.block_on(role.exchange(Method::POST, &path, &body)).unwrap();
        let cell = Cell { name: name.to_owned(), term: grant.term };
        self.report(&cell);
        cell
    }

    fn report(&self, cell: &Cell) {
        let counts = json!({ "residents": 3, "awake": 1, "memory_bytes": 41 << 20 });
        let body = json!({ "term": cell.term, "done": [], "counts": counts });
        let path = format!("/v1/cells/{}/reports", cell.name);
        self.runtime.block_on(self.role("cell").send(Method::POST, &path, &body)).unwrap();
    }

    /// A swarm with one cell that runs on n1.
    fn with_a_cell(more: &[&str]) -> (Self, Cell) {
        let registrar = Self::start(more);
        registrar.done(&["swarm", "create", "eu-1"]);
        registrar.done(&CREATE);
        registrar.report_node("n1-0123456789abcdefghijklmn", "host-one", true);
        let cell = registrar.start_cell("cell-1", "n1-0123456789abcdefghijklmn");
        (registrar, cell)
    }
}

const CREATE: [&str; 8] =
    ["cell", "create", "--swarm", "eu-1", "--image", "warren-cell:0.1", "--port", "7001"];

fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn a_swarm_is_set_up_changed_and_taken_down() {
    let registrar = Registrar::start(&[]);
    assert!(registrar.done(&["swarm", "create", "eu-1"]).contains("warren cell create"));
    registrar.refused(&["swarm", "create", "eu-1"], 5, &["eu-1 exists already", "fix:"]);
    let more =
        ["--port", "7001", "--count", "2", "--memory", "1G", "--cpus", "0.5", "--on", "zone=a"];
    let made = registrar.json(&[&CREATE[..6], &more].concat());
    let of = |name: &str| made.iter().map(|cell| cell[name].clone()).collect::<Vec<_>>();
    assert_eq!(
        (of("cell"), of("port")),
        (vec![1.into(), 2.into()], vec![7001.into(), 7002.into()])
    );
    assert_eq!(
        (&made[0]["memory_bytes"], &made[0]["millicpus"]),
        (&(1_u64 << 30).into(), &500.into())
    );
    assert_eq!(made[0]["on"], json!({ "zone": "a" }));
    let again = ["--port", "7000", "--count", "3"];
    registrar.refused(&[&CREATE[..6], &again].concat(), 8, &["1 cells were made", "--port 7001"]);

    let set =
        registrar.json(&["cell", "set", "cell-2", "--image", "warren-cell:0.2", "--capacity", "7"]);
    assert_eq!((&set[0]["image"], &set[0]["capacity"]), (&"warren-cell:0.2".into(), &7.into()));
    assert_eq!(set[0]["memory_bytes"], made[1]["memory_bytes"], "what was not named stays");
    let shown = registrar.done(&["cell", "show", "cell-2"]);
    assert!(shown.contains("state          waiting") && shown.contains("1 GiB"), "{shown}");
    assert_eq!(registrar.json(&["cell", "show", "cell-2"]), set);

    registrar.refused(&["swarm", "delete", "eu-1", "--yes"], 5, &["eu-1 has 3 cells"]);
    for cell in ["cell-1", "cell-2", "cell-3"] {
        registrar.done(&["cell", "delete", cell, "--yes"]);
    }
    assert_eq!(registrar.done(&["cell", "list"]), "");
    registrar.done(&["swarm", "delete", "eu-1", "--yes"]);
    assert!(registrar.json(&["swarm", "list"]).is_empty());
}

#[test]
fn what_cannot_be_done_has_its_exit_code_and_its_fix() {
    let (registrar, _cell) = Registrar::with_a_cell(&[]);
    let with = |more: &[&'static str]| [&CREATE[..6], more].concat();
    for (args, code, said) in [
        (vec!["swarm", "show", "us-1"], 3, "there is no swarm us-1"),
        (vec!["cell", "show", "cell-9"], 3, "there is no cell-9"),
        (vec!["cell", "delete", "cell-9", "--yes"], 3, "there is no cell-9"),
        (vec!["cell", "delete", "cell-1"], 2, "pass --yes"),
        (vec!["swarm", "delete", "eu-1"], 2, "pass --yes"),
        (vec!["cell", "set", "cell-1"], 2, "--image"),
        (vec!["cell", "show", "7"], 2, "cell-1 to cell-65535"),
        (with(&["--port", "7001"]), 2, "cell-1 has port 7001"),
        (with(&["--port", "25000"]), 2, "among the identities' ports"),
        (with(&["--port", "65535", "--count", "2"]), 2, "there are no 2 ports"),
        (with(&["--port", "7002", "--memory", "a lot"]), 2, "512M"),
        (with(&["--port", "7002", "--on", "zone"]), 2, "NAME=VALUE"),
        (vec!["node", "drain", "n9"], 3, "warren node list"),
        (vec!["placement", "explain", "@a", "--policy", "dice"], 2, "least-loaded"),
        (vec!["identity", "register", "@a", "--tier", "golden"], 2, "dedicated"),
        (vec!["identity", "register", "@a", "--tier", "dedicated"], 6, "warren placement explain"),
    ] {
        registrar.refused(&args, code, &[said]);
    }
    let elsewhere = ["swarm", "list", "--registrar", "https://localhost:1"];
    let mut elsewhere = Command::new(WARREN)
        .args(elsewhere)
        .args(["--ca-file"])
        .arg(&registrar.ca_file)
        .arg("--token-file")
        .arg(registrar.folder.path().join("cell"))
        .output()
        .unwrap();
    assert_eq!(elsewhere.status.code(), Some(6), "nobody there");
    elsewhere = Command::new(WARREN)
        .args(["swarm", "list", "--registrar", &registrar.url])
        .arg("--ca-file")
        .arg(&registrar.ca_file)
        .arg("--token-file")
        .arg(registrar.folder.path().join("cell"))
        .output()
        .unwrap();
    assert_eq!(elsewhere.status.code(), Some(4), "the cells' token is not the operators'");
}

#[test]
fn creating_waits_until_the_cell_reports_and_no_longer_than_it_may() {
    let registrar = Registrar::start(&[]);
    registrar.done(&["swarm", "create", "eu-1"]);
    let late = [&CREATE[..], &["--wait", "--wait-for", "1"]].concat();
    registrar.refused(&late, 7, &["not done after 1 s", "fix:"]);
    let args = [&CREATE[..6], &["--port", "7002", "--wait", "--json"]].concat();
    let waiting = registrar.command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while registrar.json(&["cell", "list"]).len() < 2 {
        assert!(std::time::Instant::now() < deadline, "the cell is made");
    }
    let _cell = registrar.start_cell("cell-2", "n1");
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success());
    let cell: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(cell["cell"], 2);
}

#[test]
fn a_node_is_drained_when_no_cell_reports_from_it() {
    let (registrar, cell) = Registrar::with_a_cell(&[]);
    registrar.report_node("n2-0123456789abcdefghijklmn", "host-two", false);
    let mut drain = registrar.command(&["node", "drain", "host-one", "--wait"]);
    let drain = drain.stdout(Stdio::piped()).spawn().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while registrar.json(&["node", "show", "n1-"])[0]["availability"] != "drain" {
        assert!(std::time::Instant::now() < deadline, "the wish is told");
    }
    registrar.report(&cell);
    let short = ["node", "drain", "n1", "--wait", "--wait-for", "1"];
    registrar.refused(&short, 7, &["draining n1-0123456789abcdefghijklmn"]);
    let _moved = registrar.start_cell("cell-1", "n2-0123456789abcdefghijklmn");
    let output = drain.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("runs no cell any more"));
    assert!(registrar.done(&["node", "activate", "n1"]).contains("active"));
    assert!(registrar.done(&["node", "pause", "n2"]).contains("pause"));
    assert_eq!(registrar.json(&["node", "show", "n2"])[0]["availability"], "pause");
}

#[test]
fn tables_tell_how_nodes_and_cells_are() {
    let (registrar, _cell) = Registrar::with_a_cell(&[]);
    let nodes = registrar.done(&["node", "list"]);
    let rows = words(&nodes);
    let row: Vec<_> =
        rows[0].iter().copied().filter(|word| !word.starts_with(char::is_numeric)).collect();
    assert_eq!(row, ["n1-012345678", "host-one", "eu-1", "active", "s*", "%"], "{nodes}");
    assert!(nodes.contains("41/3/95 %"), "{nodes}");
    let cells = registrar.done(&["cell", "list"]);
    let expected =
        ["cell-1", "eu-1", "runs", "n1-012345678", "0/10000", "41", "MiB", "warren-cell:0.1"];
    assert_eq!(words(&cells), [expected], "{cells}");
    assert!(registrar.done(&["cell", "list", "--swarm", "us-1"]).is_empty());
    assert_eq!(words(&registrar.done(&["swarm", "list"])), [["eu-1", "1", "1", "0/10000"]]);
    let shown = registrar.done(&["node", "show", "host-one"]);
    for line in ["memory used    41.2 %", "labels         zone=a", "leader         yes"] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let listed = &registrar.json(&["node", "list"])[0];
    assert_eq!(listed["report"]["pressure"]["memory"], 412, "all that the API tells");
}

#[test]
fn no_table_is_wider_than_a_terminal() {
    let registrar = Registrar::start(&[]);
    let swarm = "s".repeat(63);
    registrar.done(&["swarm", "create", &swarm]);
    registrar.done(&["swarm", "create", "eu-1"]);
    let image = format!("registry.example.org:5000/{}:1", "i".repeat(200));
    let zone = format!("zone={}", "z".repeat(200));
    let wide = ["cell", "create", "--swarm", &swarm, "--image", &image, "--port", "7001"];
    let wide = [&wide[..], &["--capacity", "4294967295", "--on", &zone]].concat();
    registrar.done(&wide);
    registrar.report_node(&"n".repeat(63), &"h".repeat(200), true);
    let _cell = registrar.start_cell("cell-1", &"n".repeat(63));
    for args in [
        &["swarm", "list"][..],
        &["node", "list"],
        &["cell", "list"],
        &["placement", "explain", "@alice"],
        &["placement", "explain", "@alice", "--needs", &zone],
    ] {
        let text = registrar.done(args);
        assert!(!text.is_empty());
        for line in text.lines() {
            assert!(
                line.chars().count() <= COLUMNS,
                "{args:?}: {} columns:\n{text}",
                line.chars().count()
            );
        }
    }
}

#[test]
fn a_placement_is_explained() {
    let (registrar, _cell) = Registrar::with_a_cell(&["--placement-policy", "packing"]);
    registrar.done(&[&CREATE[..6], &["--port", "7002"]].concat());
    let free = registrar.done(&["placement", "explain", "@alice"]);
    assert!(free.contains("@alice is free; by packing she would go to cell-1"), "{free}");
    assert!(free.contains(">  cell-1") && free.contains("no process runs the cell yet"), "{free}");
    let json = &registrar.json(&["placement", "explain", "@alice", "--policy", "least-loaded"])[0];
    assert_eq!((&json["policy"], &json["chosen"]), (&"least-loaded".into(), &1.into()));
    assert_eq!(json["candidates"][1]["verdict"], "refused");
    registrar.done(&["node", "drain", "host-one"]);
    let none = registrar.done(&["placement", "explain", "@alice"]);
    assert!(none.contains("no room") && none.contains("the machine is being drained"), "{none}");
}

#[test]
fn completion_knows_the_commands() {
    let output = Command::new(WARREN).args(["completion", "bash"]).output().unwrap();
    let script = String::from_utf8(output.stdout).unwrap();
    for command in [
        "warren__swarm__create",
        "warren__node__drain",
        "warren__cell__create",
        "warren__cell__upgrade",
    ] {
        assert!(script.contains(command) || script.contains(&command.replace("__", "__subcmd__")));
    }
    assert!(Path::new(WARREN).exists());
}
