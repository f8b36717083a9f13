//! Identities that are moved from one cell to another: one by one, because their cell is silent, or
//! because it is to be emptied.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use net::drain::Drain;
use protocol::control::names::CellId;
use protocol::control::roster::{Order, Roster};
use protocol::control::routes::Routes;
use protocol::{Epoch, VolumeId};
use registrar::{LedgerError, MoveError};
use serde_json::Value;
use storage::disk::sim::Crash;
use tokio::time::{Instant, sleep};

use crate::fleet::{Fleet, Process, obey};
use crate::placing::{explain, register, set_node, start, two_cells};
use crate::world::{NewWorld, World, changes, name, run};

fn two() -> CellId {
    CellId::from_number(2).unwrap()
}

async fn move_to(fleet: &Fleet, who: &str, to: u16) -> Value {
    let path = format!("/v1/identities/{who}/placement");
    let answer = fleet.admin(Method::POST, &path, &format!(r#"{{"to":{to}}}"#)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.json()
}

async fn refused(fleet: &Fleet, who: &str, body: &str) -> (String, String) {
    let path = format!("/v1/identities/{who}/placement");
    let answer = fleet.admin(Method::POST, &path, body).await;
    (answer.problem(), answer.json()["detail"].as_str().unwrap().to_owned())
}

async fn cell_of(fleet: &Fleet, who: &str) -> (u16, Epoch) {
    let shown = fleet.registrar.show(&name(who)).await.unwrap().unwrap();
    (shown.cell.unwrap().number(), shown.epoch)
}

async fn view(fleet: &Fleet, path: &str) -> Value {
    fleet.admin(Method::GET, path, "").await.json()
}

/// Everybody has one place: the record, one roster and one route say the same, and counts agree.
async fn assert_one_place_each(fleet: &Fleet, processes: &[Process; 2], who: &[&str]) {
    let (mut rosters, mut counted) = (BTreeMap::<VolumeId, Vec<CellId>>::new(), [0; 2]);
    for process in processes {
        let roster: Roster = process.roster(fleet, "").await;
        for order in roster.orders {
            let Order::Keep { placement } = &order else { panic!("{order:?}") };
            rosters.entry(placement.volume).or_default().push(process.cell);
        }
    }
    let routes: Routes = fleet.routes("").await;
    assert_eq!((rosters.len(), routes.routes.len()), (who.len(), who.len()));
    for route in routes.routes {
        let target = route.to.unwrap();
        assert_eq!(rosters[&target.volume], [target.cell]);
    }
    for who in who {
        counted[usize::from(cell_of(fleet, who).await.0) - 1] += 1;
    }
    for (number, count) in (1..).zip(counted) {
        let cell = view(fleet, &format!("/v1/cells/cell-{number}")).await;
        assert_eq!(cell["identities"], count);
    }
}

fn a_move_is_told_to_all_who_have_to_know_and_to_nobody_else(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let (fleet, processes) = two_cells(&world).await;
        let [first, second] = &processes;
        assert_eq!(register(&fleet, &processes, "@alice", 1).await, 1);
        let before = fleet.routes("").await;
        let was = first.roster(&fleet, "").await;
        let secret = fleet.registrar.activation(&name("@alice")).await.unwrap().unwrap().1;
        let moved = tokio::select! {
            answer = first.work(&fleet, obey) => panic!("{}", answer.body),
            answer = second.work(&fleet, obey) => panic!("{}", answer.body),
            moved = move_to(&fleet, "alice", 2) => moved,
        };
        assert_eq!((&moved["from"], &moved["to"]), (&1.into(), &2.into()));
        assert_eq!((&moved["epoch"], &moved["is_known"]), (&2.into(), &true.into()));
        let (run, number) = (was.upto.run, was.upto.number);
        let old = first.roster(&fleet, &format!("run={run}&after={number}")).await;
        let volume = before.routes[0].to.unwrap().volume;
        assert_eq!(old.orders, [Order::Release { volume }]);
        let new = second.roster(&fleet, "").await;
        let [Order::Keep { placement }] = &new.orders[..] else { panic!("{new:?}") };
        assert_eq!((placement.volume, placement.epoch.number()), (volume, 2));
        let (run, number) = (before.upto.run, before.upto.number);
        let routes = fleet.routes(&format!("run={run}&after={number}")).await;
        assert!(!routes.is_whole && routes.routes[0].to.unwrap().cell == two(), "{routes:?}");
        assert_eq!(routes.routes[0].port, before.routes[0].port);
        assert_eq!(changes(&fleet.registrar).await.len(), 1, "her address is what it was");
        let same = fleet.registrar.activation(&name("@alice")).await.unwrap().unwrap().1;
        assert_eq!(same, secret, "it opens what was made with it");
        assert_one_place_each(&fleet, &processes, &["@alice"]).await;
        drop(fleet);

        let fleet = Fleet::open(&world);
        assert_one_place_each(&fleet, &processes, &["@alice"]).await;
        assert_eq!(cell_of(&fleet, "@alice").await, (2, Epoch::from_number(2).unwrap()));
        let gone = tokio::select! {
            answer = second.work(&fleet, obey) => panic!("{}", answer.body),
            gone = fleet.registrar.delete(name("@alice"), Some(Epoch::FIRST)) => gone,
        };
        assert_eq!(gone.unwrap(), registrar::Deletion::Done, "she is the one who had that epoch");
        assert_eq!(register(&fleet, &processes, "@alice", 2).await, 1);
        assert_eq!(cell_of(&fleet, "@alice").await.1.number(), 3, "no epoch comes twice");
    });
}

fn whoever_has_a_place_is_moved_there_and_back_twenty_times(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let (fleet, processes) = two_cells(&world).await;
        let [first, second] = &processes;
        register(&fleet, &processes, "@alice", 1).await;
        let there_and_back = async {
            for round in 1..=20 {
                let moved = move_to(&fleet, "alice", 1 + round % 2).await;
                assert_eq!(moved["epoch"], 1 + round);
            }
        };
        tokio::select! {
            answer = first.work(&fleet, obey) => panic!("{}", answer.body),
            answer = second.work(&fleet, obey) => panic!("{}", answer.body),
            () = there_and_back => {}
        }
        assert_one_place_each(&fleet, &processes, &["@alice"]).await;
        drop(fleet);
        let fleet = Fleet::open(&world);
        assert_one_place_each(&fleet, &processes, &["@alice"]).await;
        assert_eq!(cell_of(&fleet, "@alice").await.1.number(), 21);
    });
}

#[test]
fn a_cell_that_falls_silent_is_emptied_and_one_that_is_started_again_is_not() {
    let world = World::new();
    run(async {
        let (fleet, processes) = two_cells(&world).await;
        for (key, who) in [(1, "@alice"), (2, "@bob")] {
            register(&fleet, &processes, who, key).await;
        }
        tokio::select! {
            () = fleet.registrar.clone().tend(Drain::new()) => {}
            () = async {
                // Longer than a cell may be silent, and all is well.
                let steady = beat(&fleet, &processes[1], 9);
                tokio::join!(steady, beat(&fleet, &processes[0], 9));
                assert_eq!((cell_of(&fleet, "@alice").await.0, cell_of(&fleet, "@bob").await.0), (1, 2));
                // The engine starts it anew within the limit.
                let again = async {
                    sleep(Duration::from_secs(4)).await;
                    let first = start(&fleet, 1).await;
                    beat(&fleet, &first, 5).await;
                };
                tokio::join!(again, beat(&fleet, &processes[1], 9));
                assert_eq!(cell_of(&fleet, "@alice").await.0, 1);
                // It does not.
                let begun = Instant::now();
                while cell_of(&fleet, "@alice").await.0 == 1 {
                    beat(&fleet, &processes[1], 1).await;
                }
                let took = begun.elapsed().as_secs();
                assert!((5..=8).contains(&took), "{took} s");
            } => {}
        }
        assert_eq!(cell_of(&fleet, "@alice").await, (2, Epoch::from_number(2).unwrap()));
        let cell = view(&fleet, "/v1/cells/cell-1").await;
        assert_eq!(
            (&cell["emptying"]["cause"], &cell["emptying"]["moved"]),
            (&"lost".into(), &1.into())
        );
        let first = start(&fleet, 1).await;
        beat(&fleet, &first, 1).await;
        let reasons = explain(&fleet, "zoe").await["candidates"][0]["reasons"].to_string();
        assert!(reasons.contains("unsteady"), "nobody comes back at once: {reasons}");
        beat(&fleet, &first, 31).await;
        assert_eq!(explain(&fleet, "zoe").await["chosen"], 1);
    });
}

/// Reports every second.
async fn beat(fleet: &Fleet, process: &Process, seconds: u64) {
    for _ in 0..seconds {
        let answer = process.report(fleet, vec![]).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
        sleep(Duration::from_secs(1)).await;
    }
}

on_each_store! {
    a_move_is_told_to_all_who_have_to_know_and_to_nobody_else,
    whoever_has_a_place_is_moved_there_and_back_twenty_times,
}

#[test]
fn a_registrar_that_hears_nobody_or_has_just_begun_moves_nobody() {
    let world = World::new();
    run(async {
        let (fleet, processes) = two_cells(&world).await;
        register(&fleet, &processes, "@alice", 1).await;
        let [_, second] = &processes;
        let deaf = async {
            tokio::join!(beat(&fleet, &processes[0], 7), beat(&fleet, second, 7));
            // It was paused or cut off; then one is heard well before the other one.
            sleep(Duration::from_secs(60)).await;
            beat(&fleet, second, 4).await;
            tokio::join!(beat(&fleet, &processes[0], 9), beat(&fleet, second, 9));
        };
        tokio::select! {
            () = fleet.registrar.clone().tend(Drain::new()) => {}
            () = deaf => {}
        }
        assert_eq!(cell_of(&fleet, "@alice").await.0, 1);
        drop(fleet);

        let fleet = Fleet::open(&world);
        let begun = Instant::now();
        tokio::select! {
            () = fleet.registrar.clone().tend(Drain::new()) => {}
            () = async {
                while cell_of(&fleet, "@alice").await.0 == 1 {
                    beat(&fleet, second, 1).await;
                }
            } => {}
        }
        let took = begun.elapsed().as_secs();
        assert!((15..=18).contains(&took), "one that it never heard has longer: {took} s");
    });
}

#[test]
fn a_drained_machine_is_emptied_before_the_engine_drains_it_and_what_fits_nowhere_goes_with_it() {
    let world = World::new();
    run(async {
        let (fleet, processes) = two_cells(&world).await;
        for (key, who) in [(1, "@alice"), (2, "@bob"), (3, "@carol")] {
            register(&fleet, &processes, who, key).await;
        }
        let wish = async |fleet: &Fleet| fleet.plan("").await.nodes.values().next().copied();
        set_node(&fleet, "n1", "drain").await;
        let paused = wish(&fleet).await;
        assert_eq!(serde_json::to_value(paused).unwrap(), "pause", "somebody lives there yet");
        let node = view(&fleet, "/v1/nodes/n1").await;
        assert_eq!((&node["identities"], &node["availability"]), (&2.into(), &"drain".into()));
        let drained = async {
            while serde_json::to_value(wish(&fleet).await).unwrap() != "drain" {
                sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::select! {
            answer = processes[0].work(&fleet, obey) => panic!("{}", answer.body),
            answer = processes[1].work(&fleet, obey) => panic!("{}", answer.body),
            () = beat(&fleet, &processes[0], 99) => panic!("it takes for ever"),
            () = beat(&fleet, &processes[1], 99) => panic!("it takes for ever"),
            () = fleet.registrar.clone().tend(Drain::new()) => {}
            () = drained => {}
        }
        // The second cell has room for two, and holds Bob.
        let cells = view(&fleet, "/v1/cells").await["cells"].clone();
        assert_eq!((&cells[0]["identities"], &cells[1]["identities"]), (&1.into(), &2.into()));
        let why = cells[0]["emptying"]["why"].as_str().unwrap();
        assert_eq!(why, "no cell takes her (cell-2: 2 of 2 places are taken)");
        assert_eq!(view(&fleet, "/v1/nodes/n1").await["is_stuck"], true);
        assert_one_place_each(&fleet, &processes, &["@alice", "@bob", "@carol"]).await;
    });
}

#[test]
fn what_cannot_be_is_refused_and_she_stays() {
    let world = World::new();
    run(async {
        let (fleet, processes) = two_cells(&world).await;
        register(&fleet, &processes, "@alice", 1).await;
        let swarm = fleet.admin(Method::POST, "/v1/swarms", r#"{"swarm":"us-1"}"#).await;
        assert_eq!(swarm.status, StatusCode::CREATED);
        let other = r#"{"swarm":"us-1","image":"warren-cell:1","port":7003,"capacity":2,
            "memory_bytes":1000000,"millicpus":500}"#;
        fleet.admin(Method::POST, "/v1/cells", other).await;
        start(&fleet, 3).await;
        for (who, body, problem, word) in [
            ("alice", r#"{"to":3}"#, "no-target", "it is of swarm us-1"),
            ("alice", r#"{"to":1}"#, "no-target", "she is to leave it"),
            ("alice", r#"{"to":9}"#, "unknown", "there is no cell-9"),
            ("zoe", r#"{"to":2}"#, "unknown-identity", "@zoe is not registered"),
            ("alice", r#"{"where":2}"#, "bad-request", "where"),
        ] {
            let (found, detail) = refused(&fleet, who, body).await;
            assert!(found == problem && detail.contains(word), "{found}: {detail}");
        }
        set_node(&fleet, "n2", "pause").await;
        let (problem, detail) = refused(&fleet, "alice", "{}").await;
        assert_eq!(problem, "no-target");
        assert!(detail.contains("cell-2: the machine is paused"), "{detail}");
        assert_one_place_each(&fleet, &processes, &["@alice"]).await;
    });
}

/// The disk dies at every call that a move makes: she is in one place, under an epoch that never goes
/// back, and what was answered is so.
#[test]
fn a_crash_in_any_call_to_the_disk_ends_in_one_place() {
    for crash in [Crash::Kept, Crash::Lost, Crash::Torn(1), Crash::Torn(5)] {
        let mut call = 0;
        loop {
            call += 1;
            let world = World::new();
            let (outcome, processes) = run(async {
                let (fleet, processes) = two_cells(&world).await;
                register(&fleet, &processes, "@alice", 1).await;
                world.disk.power_off_in(call);
                let moving = fleet.registrar.move_identity(name("@alice"), Some(two()));
                let outcome = tokio::select! {
                    answer = processes[0].work(&fleet, obey) => panic!("{}", answer.body),
                    answer = processes[1].work(&fleet, obey) => panic!("{}", answer.body),
                    outcome = moving => outcome,
                };
                (outcome, processes)
            });
            let world = world.after(crash);
            run(async {
                let fleet = Fleet::open(&world);
                let (cell, epoch) = cell_of(&fleet, "@alice").await;
                assert_eq!(u64::from(cell), epoch.number(), "one place, one epoch");
                match &outcome {
                    Ok(moved) => assert_eq!((moved.to.number(), moved.epoch), (cell, epoch)),
                    Err(MoveError::Ledger(LedgerError::Write(_) | LedgerError::Read(_))) => {}
                    Err(error) => panic!("{error:?}"),
                }
                assert_one_place_each(&fleet, &processes, &["@alice"]).await;
            });
            if outcome.is_ok() {
                assert!(call > 2, "the disk was hardly used: {call}");
                break;
            }
        }
    }
}
