//! `warren up` and the commands that work with it, as a person uses them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use testkit::{Ports, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

struct Scratch {
    _dir: tempfile::TempDir,
    data: PathBuf,
    ports: Ports,
}

fn scratch() -> Scratch {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    Scratch { _dir: dir, data, ports: Ports::reserve(20) }
}

impl Scratch {
    fn up(&self, more: &[&str]) -> Warren {
        Warren::start(WARREN, &self.data, &self.ports, more)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_done(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

#[test]
fn a_registered_identity_resolves_and_her_server_answers() {
    let scratch = scratch();
    let warren = scratch.up(&[]);
    let (address, secret) = warren.register("@alice");
    assert_eq!(address, format!("localhost:{}", scratch.ports.first));
    assert_eq!(assert_done(&warren.command(&["resolve", "@alice"])), format!("{address}\n"));
    let resolved = assert_done(&warren.command(&["resolve", "Al.ice", "--json"]));
    let resolved: Value = serde_json::from_str(&resolved).unwrap();
    assert_eq!(resolved["identity"], "@alice");
    assert_eq!(resolved["address"], Value::from(address.clone()));

    let mut owner = warren.owner("@alice", &address, &secret);
    assert!(owner.ask("update:public:greeting@alice hello").starts_with("data:"));
    let mut anybody = warren.connect(&address);
    assert_eq!(anybody.ask("lookup:greeting@alice"), "data:hello");
}

#[test]
fn text_mode_shows_the_secret_with_its_qr_code_and_what_to_do_next() {
    let scratch = scratch();
    let warren = scratch.up(&[]);
    let shown = assert_done(&warren.command(&["identity", "register", "@alice"]));
    assert!(shown.contains("@alice is registered"), "{shown}");
    assert!(shown.contains("activation secret") && shown.contains("█"), "{shown}");
    assert!(shown.contains("keep it safe"), "{shown}");
}

#[test]
fn an_unknown_name_is_exit_code_3_with_its_fix() {
    let scratch = scratch();
    let warren = scratch.up(&[]);
    let output = warren.command(&["resolve", "@nobody"]);
    assert_refused(&output, 3, &["knows no @nobody", "fix: register her"]);
    assert_refused(&warren.command(&["identity", "show", "@nobody"]), 3, &["@nobody"]);
}

#[test]
fn a_name_that_is_taken_or_no_name_is_refused_with_its_reason() {
    let scratch = scratch();
    let warren = scratch.up(&["--identity", "@alice"]);
    assert_refused(&warren.command(&["identity", "register", "@alice"]), 5, &["@alice"]);
    assert_refused(&warren.command(&["identity", "register", "@a@b"]), 2, &["@"]);
    assert_refused(&warren.command(&["identity", "register", "@ürümqi"]), 2, &["fix:"]);
}

#[test]
fn many_names_come_from_a_file_with_one_json_object_each() {
    let scratch = scratch();
    let warren = scratch.up(&[]);
    let names = scratch.data.join("names.txt");
    std::fs::write(&names, "# the first ones\n@alice\n\nbob\n@alice\ncarol🛠\na:b\n").unwrap();
    let from = names.to_str().unwrap();
    let output = warren.command(&["identity", "register", "--from", from, "--json"]);
    assert_eq!(output.status.code(), Some(8), "{}", text(&output.stderr));
    let lines: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let done = lines.iter().filter(|line| line.get("activation_secret").is_some()).count();
    let refused = lines.iter().filter(|line| line.get("error").is_some()).count();
    assert_eq!((done, refused), (3, 2), "{lines:?}");
    let listed = assert_done(&warren.command(&["identity", "list", "--json"]));
    let listed: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = listed.iter().map(|row| row["identity"].as_str().unwrap()).collect();
    assert_eq!(names, ["@alice", "@bob", "@carol🛠"]);
}

#[test]
fn a_deleted_identity_is_gone_and_the_name_is_free_again() {
    let scratch = scratch();
    let warren = scratch.up(&[]);
    let (address, secret) = warren.register("@alice");
    let mut owner = warren.owner("@alice", &address, &secret);
    assert!(owner.ask("update:diary@alice secret").starts_with("data:"));
    drop(owner);
    assert_refused(&warren.command(&["identity", "delete", "@alice"]), 2, &["--yes"]);
    assert_done(&warren.command(&["identity", "delete", "@alice", "--yes"]));
    assert_refused(&warren.command(&["resolve", "@alice"]), 3, &[]);
    let (address, fresh) = warren.register("@alice");
    assert_ne!(fresh, secret, "a new registration has a new secret");
    let mut owner = warren.owner("@alice", &address, &fresh);
    assert!(owner.ask("llookup:diary@alice").starts_with("error:AT0015"));
}

#[test]
fn sigterm_drains_and_a_second_start_goes_on_where_it_was() {
    let scratch = scratch();
    let warren = scratch.up(&["--identity", "@alice", "--identity", "@bob"]);
    let (address, secret) = warren.register("@carol");
    let mut owner = warren.owner("@carol", &address, &secret);
    assert!(owner.ask("update:note@carol kept").starts_with("data:"));
    assert_eq!(warren.terminate().code(), Some(0));
    assert!(!scratch.data.join("endpoints.json").exists());

    let warren = scratch.up(&["--identity", "@alice"]);
    let mut owner = warren.owner("@carol", &address, &secret);
    assert_eq!(owner.ask("llookup:note@carol"), "data:kept");
    let listed = assert_done(&warren.command(&["identity", "list"]));
    assert_eq!(listed.lines().count(), 3, "{listed}");
    assert_eq!(warren.terminate().code(), Some(0));
}

#[test]
fn the_second_up_on_a_data_directory_refuses_and_says_who_holds_it() {
    let scratch = scratch();
    let warren = scratch.up(&[]);
    let output = testkit::up_command(WARREN, &scratch.data, &scratch.ports).output().unwrap();
    let holder = format!("process {}", warren.pid());
    assert_refused(&output, 5, &[&holder, "fix: stop that process"]);
}

#[test]
fn commands_without_a_running_warren_say_how_to_start_one() {
    let scratch = scratch();
    let run = |args: &[&str]| {
        Command::new(WARREN).args(args).arg("--data-dir").arg(&scratch.data).output().unwrap()
    };
    assert_refused(&run(&["identity", "list"]), 6, &["no warren runs on", "fix: start one"]);
    assert_refused(&run(&["resolve", "@alice"]), 6, &["fix: start one"]);
}

#[test]
fn a_stale_endpoints_file_is_an_unavailable_registrar_not_a_crash() {
    let scratch = scratch();
    scratch.up(&[]).kill();
    let output = Command::new(WARREN)
        .args(["identity", "list", "--data-dir"])
        .arg(&scratch.data)
        .output()
        .unwrap();
    assert_refused(&output, 6, &["does not answer", "fix: check that warren up runs"]);
}

#[test]
fn mistakes_on_the_command_line_are_exit_code_2_with_what_to_pass() {
    let scratch = scratch();
    let up = |more: &[&str]| {
        testkit::up_command(WARREN, &scratch.data, &scratch.ports).args(more).output().unwrap()
    };
    assert_refused(&up(&["--hostname", "a b"]), 2, &["not a host name"]);
    assert_refused(&up(&["--tls-cert", "x.pem"]), 2, &["--tls-key"]);
    assert_refused(&up(&["--identity", "@a@b"]), 2, &["more than one @"]);
    let missing = up(&["--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.key"]);
    assert_refused(&missing, 2, &["/nowhere.pem"]);
}

#[test]
fn a_port_that_is_taken_names_the_option_that_changes_it() {
    let scratch = scratch();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = testkit::up_command(WARREN, &scratch.data, &scratch.ports)
        .args(["--directory-port", &port])
        .output()
        .unwrap();
    // The option is given twice; clap refuses that before anything starts.
    assert_eq!(output.status.code(), Some(2));
    let output = Command::new(WARREN)
        .args(["up", "--directory-port", &port, "--data-dir"])
        .arg(&scratch.data)
        .output()
        .unwrap();
    assert_refused(&output, 6, &["cannot listen on", "pass --directory-port"]);
}

#[test]
fn the_master_key_can_be_kept_elsewhere_and_a_wrong_one_opens_nothing() {
    let scratch = scratch();
    let keys = tempfile::tempdir().unwrap();
    let key = |name: &str| keys.path().join(name).to_str().unwrap().to_owned();
    let warren = scratch.up(&["--master-key-file", &key("right"), "--identity", "@alice"]);
    assert!(!scratch.data.join("keys").exists());
    assert_eq!(warren.terminate().code(), Some(0));
    let output = testkit::up_command(WARREN, &scratch.data, &scratch.ports)
        .args(["--master-key-file", &key("wrong")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("key"), "{}", text(&output.stderr));
    let warren = scratch.up(&["--master-key-file", &key("right")]);
    assert_done(&warren.command(&["resolve", "@alice"]));
}

#[test]
fn nothing_secret_is_readable_under_the_data_directory() {
    let scratch = scratch();
    let warren = scratch.up(&[]);
    let (address, secret) = warren.register("@canaryname");
    let mut owner = warren.owner("@canaryname", &address, &secret);
    assert!(owner.ask("update:plantedkey.ns@canaryname plantedvalue").starts_with("data:"));
    assert!(owner.ask("update:public:otherkey@canaryname othervalue").starts_with("data:"));
    drop(owner);
    let canaries = [secret.as_str(), "plantedkey", "plantedvalue", "otherkey", "othervalue"];
    let found = |dir: &Path| -> Vec<String> {
        let mut found = Vec::new();
        for file in files_under(dir) {
            let bytes = std::fs::read(&file).unwrap();
            for canary in canaries.iter().filter(|canary| contains(&bytes, canary.as_bytes())) {
                found.push(format!("{canary:.20} in {}", file.display()));
            }
        }
        found
    };
    assert_eq!(found(&scratch.data), Vec::<String>::new());
    assert_eq!(warren.terminate().code(), Some(0));
    assert_eq!(found(&scratch.data), Vec::<String>::new());
    assert!(files_under(&scratch.data).len() > 5, "there was something to look at");
}

fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_under(&path)) } else { files.push(path) }
    }
    files
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
