//! Identities that are moved between the cells of a swarm while their owners write: real processes,
//! one folder of volumes, and no engine that would start anything again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod machine;
mod writers;

use std::time::{Duration, Instant};

use machine::{Daemon, Machine};
use rustix::process::Signal;
use writers::Writer;

const OWNERS: usize = 8;

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Prints the middle and the longest of some times.
fn figures(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (middle, longest) = (times[times.len() / 2], times.last().unwrap());
    let (middle, longest) = (middle.as_millis(), longest.as_millis());
    println!("{what}: p50 {middle} ms, longest {longest} ms, of {}", times.len());
}

/// Who lives in a cell.
fn residents(machine: &Machine, owners: &[Writer], cell: u64) -> Vec<String> {
    let names = owners.iter().map(|writer| writer.owner.name.clone());
    names.filter(|name| machine.place(name).0 == cell).collect()
}

/// Two cells, a router, and owners who write.
fn writing(machine: &Machine, count: usize) -> (Daemon, [Daemon; 2], Daemon, Vec<Writer>) {
    let registrar = machine.registrar();
    machine.two_cells();
    let (cells, router) = ([machine.cell(1), machine.cell(2)], machine.router());
    let writers = machine.owners(count).into_iter().map(Writer::start).collect::<Vec<_>>();
    (registrar, cells, router, writers)
}

#[test]
fn whoever_lived_in_a_cell_that_stands_still_or_dies_is_served_by_the_other_one() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new(folder.path());
    let (_registrar, [mut first, second], _router, writers) = writing(&machine, OWNERS);
    for signal in [Signal::STOP, Signal::KILL] {
        let hers = residents(&machine, &writers, 1);
        assert!(!hers.is_empty());
        let epochs: Vec<_> = hers.iter().map(|name| machine.place(name).1).collect();
        first.signal(signal);
        let stood = Instant::now();
        let back = writers.iter().filter(|writer| hers.contains(&writer.owner.name));
        let back = back.map(|writer| {
            until("she is moved", || machine.place(&writer.owner.name).0 == 2);
            writer.goes_on();
            stood.elapsed()
        });
        figures(&format!("after {signal:?} all write again"), back.collect());
        for (name, epoch) in hers.iter().zip(epochs) {
            assert_eq!(machine.place(name), (2, epoch + 1));
        }
        if signal == Signal::STOP {
            // It wakes, learns that they are gone, and takes nobody back for a while.
            first.signal(Signal::CONT);
            until("it is heard again", || {
                machine.get("/v1/cells/cell-1")["counts"]["residents"] == 0
            });
            writers.iter().for_each(|writer| _ = writer.goes_on());
            assert!(residents(&machine, &writers, 1).is_empty());
            for name in &hers {
                until("an operator may move her back", || machine.moves(name, 1).is_some());
            }
            writers.iter().for_each(|writer| _ = writer.goes_on());
        } else {
            first = machine.cell(1);
        }
    }
    writers.into_iter().for_each(Writer::end);
    drop((first, second));
}

#[test]
fn moved_there_and_back_twenty_times_while_she_writes() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new(folder.path());
    let (_registrar, _cells, _router, writers) = writing(&machine, 2);
    for writer in &writers {
        writer.longest_pause();
    }
    let (hers, other) = (&writers[0], &writers[1]);
    let mut pauses = Vec::new();
    let mut place = machine.place(&hers.owner.name);
    for _ in 0..20 {
        let to = 3 - place.0;
        let moved = machine.moves(&hers.owner.name, to).expect("she is moved");
        assert_eq!(moved["is_known"], true);
        let now = machine.place(&hers.owner.name);
        assert_eq!(now, (to, place.1 + 1));
        place = now;
        hers.goes_on();
        pauses.push(hers.longest_pause());
    }
    figures("pause of a planned move", pauses);
    println!("another owner meanwhile: at most {:.0?}", other.longest_pause());
    writers.into_iter().for_each(Writer::end);
}

#[test]
fn a_drained_machine_is_empty_while_its_owners_write_on() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new(folder.path());
    let (_registrar, _cells, _router, writers) = writing(&machine, OWNERS);
    machine.reports_node("n1");
    let hers = residents(&machine, &writers, 1);
    assert!(!hers.is_empty());
    for writer in &writers {
        writer.longest_pause();
    }
    let start = Instant::now();
    // No engine is there to start the empty cell elsewhere, so that is not waited for.
    let said = machine.command(&["node", "drain", "n1"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    until("nobody lives there", || machine.get("/v1/nodes/n1")["identities"] == 0);
    println!("{} identities left in {:.0?}", hers.len(), start.elapsed());
    let moved = writers.iter().filter(|writer| hers.contains(&writer.owner.name));
    let pauses = moved.map(|writer| {
        writer.goes_on();
        writer.longest_pause()
    });
    figures("pause of a drain", pauses.collect());
    assert!(residents(&machine, &writers, 1).is_empty());
    let cell = machine.get("/v1/cells/cell-1");
    assert_eq!(
        (&cell["emptying"]["cause"], &cell["emptying"]["left"]),
        (&"drain".into(), &0.into())
    );

    let said = machine.command(&["cell", "drain", "cell-2", "--wait", "--wait-for", "2"]);
    assert_eq!(said.status.code(), Some(7), "the only other cell's machine is drained");
    assert!(machine.command(&["cell", "activate", "cell-2"]).status.success());
    assert!(machine.command(&["node", "activate", "n1"]).status.success());
    let name = &hers[0];
    let said = machine.command(&["identity", "move", name, "--to", "cell-1"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said, format!("{name} is moved from cell-2 to cell-1.\n"));
    writers.into_iter().for_each(Writer::end);
}

#[test]
fn a_registrar_that_is_killed_while_it_empties_a_cell_goes_on_and_everybody_has_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine::new(folder.path());
    let (mut registrar, [first, _second], _router, writers) = writing(&machine, OWNERS);
    let before: Vec<_> = writers.iter().map(|writer| machine.place(&writer.owner.name)).collect();
    let (hers, others) = (residents(&machine, &writers, 1), residents(&machine, &writers, 2));
    assert!(!hers.is_empty() && !others.is_empty());
    first.signal(Signal::STOP);
    until("the first is moved", || hers.iter().any(|name| machine.place(name).0 == 2));
    registrar.signal(Signal::KILL);
    drop(registrar);
    registrar = machine.registrar();
    for writer in &writers {
        until("she is moved", || machine.place(&writer.owner.name).0 == 2);
        writer.goes_on();
    }
    for (writer, (cell, epoch)) in writers.iter().zip(before) {
        let moves = u64::from(cell == 1);
        assert_eq!(machine.place(&writer.owner.name), (2, epoch + moves), "once, if at all");
    }
    first.signal(Signal::CONT);
    until("it knows that all are gone", || {
        machine.get("/v1/cells/cell-1")["counts"]["residents"] == 0
    });
    writers.into_iter().for_each(Writer::end);
    drop(registrar);
}
