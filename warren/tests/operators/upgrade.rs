//! `warren cell upgrade` against a registrar, with an engine that is played: it restarts a cell whose
//! image changed, and each image has its fate.

use std::collections::BTreeMap;
use std::process::{Child, Output};
use std::time::Instant;

use super::*;

const NODE: &str = "n1-0123456789abcdefghijklmn";

/// After so long a cell that restarts does it: long enough to be seen well before.
const RESTART: Duration = Duration::from_secs(4);

/// What becomes of a cell that is to run another image.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// It runs.
    Runs,
    /// It runs, and starts again a little later.
    Restarts,
    /// It ends; the engine runs the old image again, and the agent says so.
    TakenBack,
    /// Nothing happens.
    Nothing,
}

/// The engine and the agent of a swarm of three cells.
struct Engine<'a> {
    registrar: &'a Registrar,
    fate: fn(&str, &str) -> Fate,
    running: BTreeMap<String, (String, Cell)>,
    /// Cells that start again, and when.
    restarting: BTreeMap<String, Instant>,
    drift: BTreeMap<String, String>,
}

impl<'a> Engine<'a> {
    fn start(registrar: &'a Registrar, fate: fn(&str, &str) -> Fate) -> Self {
        registrar.done(&["swarm", "create", "eu-1"]);
        registrar.done(&[&CREATE[..], &["--count", "3"]].concat());
        let running = ["cell-1", "cell-2", "cell-3"].map(|name| {
            let cell = registrar.start_cell(name, NODE);
            (name.to_owned(), ("warren-cell:0.1".to_owned(), cell))
        });
        let (running, restarting, drift) = (running.into(), BTreeMap::new(), BTreeMap::new());
        let engine = Self { registrar, fate, running, restarting, drift };
        engine.report();
        engine
    }

    fn upgrade(&self, image: &str, more: &[&str]) -> Child {
        let args = ["cell", "upgrade", "--swarm", "eu-1", "--yes", "--image", image];
        let settle = if more.contains(&"--settle") { &[][..] } else { &["--settle", "2"] };
        let mut command = self.registrar.command(&[&args, settle, more].concat());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Plays until the command has ended.
    fn play(&mut self, mut command: Child, mut each: impl FnMut(&Self, &Child)) -> Output {
        let deadline = Instant::now() + Duration::from_secs(100);
        while command.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the command ends");
            self.round();
            each(self, &command);
        }
        command.wait_with_output().unwrap()
    }

    fn round(&mut self) {
        let now = Instant::now();
        let is_due = |(name, at): (&String, &Instant)| (*at <= now).then(|| name.clone());
        for name in self.restarting.iter().filter_map(is_due).collect::<Vec<_>>() {
            self.restarting.remove(&name);
            let cell = self.registrar.start_cell(&name, NODE);
            self.running.get_mut(&name).unwrap().1 = cell;
        }
        for (name, image) in self.images() {
            if self.running[&name].0 == image {
                self.drift.remove(&name);
            } else if !self.drift.contains_key(&name) {
                self.renew(&name, &image);
            }
        }
        self.report();
    }

    fn renew(&mut self, name: &str, image: &str) {
        let fate = (self.fate)(name, image);
        if fate == Fate::Nothing {
            return;
        }
        let cell = self.registrar.start_cell(name, NODE);
        let running = self.running.get_mut(name).unwrap();
        running.1 = cell;
        match fate {
            Fate::TakenBack => {
                let line = server_host::agent::taken_back(name.parse().unwrap());
                self.drift.insert(name.to_owned(), line);
            }
            _ => running.0 = image.to_owned(),
        }
        if fate == Fate::Restarts {
            self.restarting.insert(name.to_owned(), Instant::now() + RESTART);
        }
    }

    fn report(&self) {
        self.running.values().for_each(|(_, cell)| self.registrar.report(cell));
        let drift: Vec<_> = self.drift.values().map(String::as_str).collect();
        self.registrar.report_node_with(NODE, "host-one", true, &drift);
    }

    fn images(&self) -> Vec<(String, String)> {
        let cells = self.registrar.json(&["cell", "list"]);
        let text = |cell: &Value| cell["image"].as_str().unwrap().to_owned();
        cells.iter().map(|cell| (format!("cell-{}", cell["cell"]), text(cell))).collect()
    }

    fn terms(&self) -> Vec<u32> {
        self.running.values().map(|(_, cell)| cell.term.number()).collect()
    }

    /// The versions of the cells' images.
    fn versions(&self) -> Vec<String> {
        let images = self.images().into_iter();
        images.map(|(_, image)| image.split_once(':').unwrap().1.to_owned()).collect()
    }
}

fn said(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    (out, err)
}

#[test]
fn rings_are_renewed_one_after_the_other_and_what_is_done_is_skipped() {
    let registrar = Registrar::start(&[]);
    let mut engine = Engine::start(&registrar, |_, _| Fate::Runs);
    let ask = ["cell", "upgrade", "--swarm", "eu-1", "--image", "warren-cell:0.2"];
    registrar.refused(&ask, 2, &["pass --yes"]);
    registrar.refused(&[&ask[..], &["--rings", "0"]].concat(), 2, &["1,2,rest"]);
    registrar.refused(&["cell", "upgrade", "--swarm", "us-1", "--image", "i"], 3, &["us-1"]);

    let mut steps = vec![engine.versions()];
    let upgrade = engine.upgrade("warren-cell:0.2", &["--rings", "1,rest", "--json"]);
    let output = engine.play(upgrade, |engine, _| {
        let versions = engine.versions();
        if steps.last() != Some(&versions) {
            steps.push(versions);
        }
    });
    let lines: Vec<Value> =
        said(&output, 0).0.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |cell: u16, ring: u16| json!({ "cell": cell, "ring": ring, "image": "warren-cell:0.2", "outcome": "upgraded" });
    assert_eq!(lines, [line(1, 1), line(2, 2), line(3, 2)]);
    assert_eq!(steps[1], ["0.2", "0.1", "0.1"], "the first ring was alone");
    assert_eq!(engine.terms(), [2, 2, 2]);

    let again = engine.upgrade("warren-cell:0.2", &[]);
    let (out, _) = said(&engine.play(again, |_, _| {}), 0);
    assert_eq!(out.matches("runs it already").count(), 3, "{out}");
    assert_eq!(engine.terms(), [2, 2, 2]);
}

#[test]
fn what_the_engine_takes_back_ends_the_upgrade_at_its_first_cell() {
    let registrar = Registrar::start(&[]);
    let fate = |_: &str, image: &str| match image {
        "warren-cell:bad" => Fate::TakenBack,
        _ => Fate::Runs,
    };
    let mut engine = Engine::start(&registrar, fate);
    let upgrade = engine.upgrade("warren-cell:bad", &[]);
    let (_, err) = said(&engine.play(upgrade, |_, _| {}), 1);
    for words in
        ["cell-1: it failed, and the engine took it back", "cell-1 is back on warren-cell:0.1"]
    {
        assert!(err.contains(words), "{err}");
    }
    assert!(!err.contains("does not run yet"), "{err}");
    assert_eq!(engine.versions(), ["0.1", "0.1", "0.1"]);
    assert_eq!(engine.terms(), [2, 1, 1], "the later rings were not touched");

    registrar.done(&["cell", "set", "cell-2", "--image", "warren-cell:bad"]);
    engine.round();
    let (_, err) = said(&engine.upgrade("warren-cell:bad", &[]).wait_with_output().unwrap(), 5);
    assert!(err.contains("cell-2 is to run warren-cell:bad and does not"), "{err}");
}

#[test]
fn a_ring_that_restarts_goes_back_and_the_rings_before_it_stay() {
    let registrar = Registrar::start(&[]);
    let fate = |cell: &str, image: &str| match (cell, image) {
        ("cell-3", "warren-cell:0.2") => Fate::Restarts,
        _ => Fate::Runs,
    };
    let mut engine = Engine::start(&registrar, fate);
    let upgrade = engine.upgrade("warren-cell:0.2", &["--settle", "10"]);
    let output = engine.play(upgrade, |_, _| {});
    let (out, err) = said(&output, 1);
    assert!(out.contains("ring 1: cell-1 runs warren-cell:0.2"), "{out}");
    for words in [
        "ring 2 of 2: cell-3: it came up under term 2, and then started again: term 3",
        "cell-2 is back on warren-cell:0.1, cell-3 is back on warren-cell:0.1",
        "renewed and good are cell-1",
    ] {
        assert!(err.contains(words), "{err}");
    }
    assert_eq!(engine.versions(), ["0.2", "0.1", "0.1"]);
}

#[test]
fn a_ring_that_does_not_come_up_goes_back_after_all_patience() {
    let registrar = Registrar::start(&[]);
    let mut engine = Engine::start(&registrar, |_, _| Fate::Nothing);
    let upgrade = engine.upgrade("warren-cell:0.2", &["--patience", "3"]);
    let (_, err) = said(&engine.play(upgrade, |_, _| {}), 1);
    for words in ["cell-1: no new process of it started after 3 s", "no cell was renewed"] {
        assert!(err.contains(words), "{err}");
    }
    assert_eq!((engine.versions(), engine.terms()), (vec!["0.1".into(); 3], vec![1, 1, 1]));
}

#[test]
fn ctrl_c_ends_it_between_two_rings() {
    let registrar = Registrar::start(&[]);
    let mut engine = Engine::start(&registrar, |_, _| Fate::Runs);
    let upgrade = engine.upgrade("warren-cell:0.2", &[]);
    let mut is_sent = false;
    let output = engine.play(upgrade, |engine, command| {
        if !is_sent && engine.versions()[0] == "0.2" {
            let id = command.id().to_string();
            assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
            is_sent = true;
        }
    });
    let (_, err) = said(&output, 8);
    assert!(err.contains("ends after this ring"), "{err}");
    assert!(err.contains("before the next ring; renewed and good are cell-1"), "{err}");
    assert_eq!(engine.versions(), ["0.2", "0.1", "0.1"]);
}
