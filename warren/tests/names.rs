//! Identities that are reached by name, through one port.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use protocol::{AtSign, HostLabel};
use testkit::{LineClient, Ports, Replica, Source, Warren};

const WARREN: &str = env!("CARGO_BIN_EXE_warren");

const PATTERN: &str = "*.warren.localhost";

fn up(data: &Path, ports: &Ports, more: &[&str]) -> Warren {
    std::fs::create_dir_all(data).unwrap();
    Warren::start(WARREN, data, ports, more)
}

fn by_name(data: &Path, ports: &Ports) -> Warren {
    let port = ports.last.to_string();
    let https = ["--directory-https", "0"];
    up(data, ports, &[&["--hostname", PATTERN, "--name-port", &port][..], &https].concat())
}

fn host(name: &str) -> String {
    format!("{}.warren.localhost", HostLabel::of(&AtSign::parse(name).unwrap()))
}

fn said(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn greet(warren: &Warren, who: &str, (address, secret): &(String, String)) {
    let mut owner = warren.owner(who, address, secret);
    assert!(owner.ask(&format!("update:public:greeting{who} of{who}")).starts_with("data:"));
}

fn greeting(warren: &Warren, who: &str, address: &str) -> String {
    warren.connect(address).ask(&format!("lookup:greeting{who}"))
}

#[test]
fn identities_are_reached_by_name_and_each_name_leads_to_its_own() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let warren = by_name(&scratch.path().join("data"), &ports);
    let people = ["@alice", "@bob", "@carol", "@alice🛠"];
    let registered = people.map(|who| warren.register(who));
    for (who, identity) in people.iter().zip(&registered) {
        assert_eq!(identity.0, format!("{}:{}", host(who), ports.last));
        greet(&warren, who, identity);
    }
    for (who, (address, _)) in people.iter().zip(&registered) {
        assert_eq!(greeting(&warren, who, address), format!("data:of{who}"));
        for more in [&["resolve", who][..], &["resolve", who, "--verify"]] {
            let found = said(&warren.command(more));
            assert!(found.contains(address.as_str()), "{found}");
        }
        let shown = said(&warren.command(&["identity", "show", who, "--json"]));
        assert!(shown.contains(address.as_str()), "{shown}");
    }
    // One server reads at another's, which it finds and checks by her name.
    let mut bob = warren.owner("@bob", &registered[1].0, &registered[1].1);
    assert_eq!(bob.ask("plookup:greeting@alice"), "data:of@alice");

    // A restart opens the names that were there.
    let ca_file = warren.endpoints.ca_file.clone();
    assert!(warren.terminate().success());
    let warren = by_name(&scratch.path().join("data"), &ports);
    assert_eq!(greeting(&warren, "@carol", &registered[2].0), "data:of@carol");
    said(&warren.command(&["identity", "delete", "@carol", "--yes"]));
    assert!(LineClient::connect(&registered[2].0, &ca_file).is_err());
}

#[test]
fn who_asks_for_nobody_is_told_so_and_nothing_is_resolved_to_a_pattern() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let warren = by_name(&scratch.path().join("data"), &ports);
    warren.register("@alice");
    let port = ports.last;
    for name in [host("@nobody"), "warren.localhost".to_owned(), "localhost".to_owned()] {
        let error = LineClient::connect(&format!("{name}:{port}"), &warren.endpoints.ca_file);
        let error = error.err().unwrap().to_string();
        assert!(error.to_lowercase().contains("unrecogni"), "{name}: {error}");
    }
    let mut garbage = TcpStream::connect(("127.0.0.1", port)).unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = garbage.read_to_end(&mut answer);
    assert!(answer.is_empty(), "{answer:?}");
    let refused = warren.command(&["resolve", "@nobody"]);
    assert_eq!(refused.status.code(), Some(3));
}

#[test]
fn whoever_had_a_port_keeps_it_beside_her_name_and_there_is_no_way_back() {
    let scratch = tempfile::tempdir().unwrap();
    let (data, ports) = (scratch.path().join("data"), Ports::reserve(20));
    // Names work beside ports too, where the certificate has them.
    let names = format!("127.0.0.1:{}", ports.last);
    let warren = up(&data, &ports, &["--names", &names, "--san", PATTERN]);
    let alice = warren.register("@alice");
    assert_eq!(alice.0, format!("localhost:{}", ports.first));
    greet(&warren, "@alice", &alice);
    let by_her_name = format!("{}:{}", host("@alice"), ports.last);
    assert_eq!(greeting(&warren, "@alice", &by_her_name), "data:of@alice");
    assert!(warren.terminate().success());

    let warren = by_name(&data, &ports);
    assert_eq!(said(&warren.command(&["resolve", "@alice"])).trim(), by_her_name);
    for address in [&alice.0, &by_her_name] {
        assert_eq!(greeting(&warren, "@alice", address), "data:of@alice");
    }
    warren.register("@bob");
    assert!(warren.terminate().success());

    let mut command = testkit::up_command(WARREN, &data, &ports);
    let refused = command.output().unwrap();
    assert!(!refused.status.success());
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("@bob was registered without a port"), "{why}");
}

#[test]
fn a_directory_that_follows_another_tells_names_as_well() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    let warren = by_name(&scratch.path().join("data"), &ports);
    let (before, _) = warren.register("@alice");
    let dir = |name: &str| scratch.path().join(name);
    let (_first, source) = Replica::relay(WARREN, &dir("1"), &Source::registrar(&warren.endpoints));
    let second = Replica::follow(WARREN, &dir("2"), &source, &[]);
    second.resolves_to("@alice", Some(&before));
    let (after, _) = warren.register("@bob");
    assert_eq!(after, format!("{}:{}", host("@bob"), ports.last));
    second.resolves_to("@bob", Some(&after));
    let at = format!("{}:{}", host("@alice"), ports.last);
    assert_eq!(before, at);
}

#[test]
fn a_pattern_and_its_port_go_together() {
    let scratch = tempfile::tempdir().unwrap();
    let ports = Ports::reserve(20);
    for (options, why) in [
        (&["--hostname", PATTERN][..], "needs the one port"),
        (&["--name-port", "443"], "pattern"),
        (&["--hostname", "*.localhost", "--name-port", "443"], "two labels"),
    ] {
        let mut command = testkit::up_command(WARREN, scratch.path(), &ports);
        let refused = command.args(options).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
