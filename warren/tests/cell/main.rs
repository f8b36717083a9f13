//! `warren cell serve`: a cell as a process of its own, behind a router and a registrar.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod process;
mod registrar;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use protocol::control::placement::Placement;
use protocol::{Address, AtSign, Epoch, VolumeId};
use rustix::process::Signal;
use testkit::{LineClient, PATIENCE};

use process::{Swarm, WARREN, preface};
use registrar::Registrar;

const SECRET: &str = "secret";

pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn alice() -> Placement {
    Placement {
        identity: AtSign::parse("@alice").unwrap(),
        volume: VolumeId::from_bytes([7; 16]),
        epoch: Epoch::FIRST,
        address: Address::parse("localhost:25000").unwrap(),
        port: None,
    }
}

fn login(mut client: LineClient) -> LineClient {
    client.cram("@alice", SECRET);
    client
}

#[test]
fn a_cell_serves_whom_its_registrar_places_in_it_and_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (registrar, swarm) = (Registrar::start(folder.path()), Swarm::new(folder.path()));
    registrar.is_silent(true);
    let mut cell = swarm.start(&registrar, "one");
    let port = cell.health.port().to_string();
    assert!(Command::new(WARREN).args(["health", &port]).status().unwrap().success());
    assert!(!cell.is_ready(), "it does not know yet who lives here");
    registrar.is_silent(false);
    registrar.creates(&alice(), SECRET);
    assert!(cell.is_ready());
    let mut owner = login(swarm.client(&cell, alice().volume).unwrap());
    assert_eq!(owner.ask("update:n.x@alice 1"), "data:0");
    assert!(cell.status("/metrics").contains("warren_cell_residents 1\n"));
    cell.signal(Signal::TERM);
    assert!(cell.ended().success());
    assert!(!Command::new(WARREN).args(["health", &port]).status().unwrap().success());

    let cell = swarm.start(&registrar, "two");
    until("ready", || cell.is_ready());
    let mut owner = login(swarm.client(&cell, alice().volume).unwrap());
    assert_eq!(owner.ask("llookup:n.x@alice"), "data:1");
}

#[test]
fn a_later_start_ends_the_earlier_one_with_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (registrar, swarm) = (Registrar::start(folder.path()), Swarm::new(folder.path()));
    let mut first = swarm.start(&registrar, "one");
    registrar.creates(&alice(), SECRET);
    let mut owner = login(swarm.client(&first, alice().volume).unwrap());
    assert_eq!(owner.ask("update:n.x@alice 1"), "data:0");
    let second = swarm.start(&registrar, "two");
    assert_eq!(first.ended().code(), Some(5));
    until("ready", || second.is_ready());
    let mut owner = login(swarm.client(&second, alice().volume).unwrap());
    assert_eq!(owner.ask("llookup:n.x@alice"), "data:1");
}

/// The registrar does not tell it, and nobody else does: only its volumes can.
#[test]
fn a_process_that_was_paused_gives_out_nothing_that_it_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let (registrar, swarm) = (Registrar::start(folder.path()), Swarm::new(folder.path()));
    registrar.is_strict(false);
    let first = swarm.start(&registrar, "one");
    registrar.creates(&alice(), SECRET);
    let mut clients: Vec<_> =
        (0..8).map(|_| login(swarm.client(&first, alice().volume).unwrap())).collect();
    assert_eq!(clients[0].ask("update:n.x@alice old"), "data:0");
    first.signal(Signal::STOP);
    let second = swarm.start(&registrar, "two");
    until("ready", || second.is_ready());
    let mut owner = login(swarm.client(&second, alice().volume).unwrap());
    assert_eq!(owner.ask("update:n.x@alice new"), "data:1");
    for (number, client) in clients.iter_mut().enumerate() {
        let command = ["llookup:n.x@alice\n", "update:n.x@alice older\n", "scan\n"][number % 3];
        client.send(command).unwrap();
    }
    std::thread::sleep(Duration::from_secs(3));
    first.signal(Signal::CONT);
    for client in &mut clients {
        let answer = client.read_line();
        let is_told = answer.as_ref().is_ok_and(|answer| answer.starts_with("data:"));
        assert!(!is_told, "{answer:?}");
    }
    assert_eq!(owner.ask("llookup:n.x@alice"), "data:new");
    until("it knows", || first.status("/metrics").contains("warren_cell_fenced_total 1\n"));
}

#[test]
fn a_cell_with_another_master_key_does_not_begin() {
    let folder = tempfile::tempdir().unwrap();
    let (registrar, swarm) = (Registrar::start(folder.path()), Swarm::new(folder.path()));
    let first = swarm.start(&registrar, "one");
    registrar.creates(&alice(), SECRET);
    swarm.key("master.key", 2);
    let (mut command, log) = swarm.command(&registrar, "two");
    assert_eq!(command.status().unwrap().code(), Some(4));
    let said = std::fs::read_to_string(log).unwrap();
    assert!(said.contains("another master key"), "{said}");
    assert_eq!(registrar.terms(), 1, "it takes nobody's place");
    let mut owner = login(swarm.client(&first, alice().volume).unwrap());
    assert_eq!(owner.ask("update:n.x@alice 1"), "data:0");
}

#[test]
fn the_door_closes_on_whoever_is_no_router() {
    let folder = tempfile::tempdir().unwrap();
    let (registrar, swarm) = (Registrar::start(folder.path()), Swarm::new(folder.path()));
    let cell = swarm.start(&registrar, "one");
    registrar.creates(&alice(), SECRET);
    let good = preface(alice().volume);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let unknown = preface(VolumeId::from_bytes([8; 16]));
    let cut = good[..good.len() - 1].to_vec();
    let tls = vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0, 0, 0, 0];
    for bytes in [forged, unknown, tls, vec![b'x'; 4096]] {
        assert!(closed(cell.door, &bytes) < Duration::from_secs(4), "at once");
    }
    let slow: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(cell.door).unwrap();
            stream.write_all(&cut).unwrap();
            stream
        })
        .collect();
    let mut owner = login(swarm.client(&cell, alice().volume).unwrap());
    assert_eq!(owner.ask("update:n.x@alice 1"), "data:0", "beside those who dawdle");
    for mut stream in slow {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(!matches!(stream.read(&mut [0; 1]), Ok(1..)));
    }
}

/// How long the door takes to close on these bytes.
fn closed(door: std::net::SocketAddr, bytes: &[u8]) -> Duration {
    let start = Instant::now();
    let mut stream = TcpStream::connect(door).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    assert!(!matches!(stream.read(&mut [0; 1]), Ok(1..)));
    start.elapsed()
}
