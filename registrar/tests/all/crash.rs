//! A crash anywhere ends in one published identity with one server, one port and one change.

use std::sync::Arc;

use protocol::Timestamp;
use registrar::{Registered, Registrar, State};
use storage::disk::sim::Crash;

use crate::swarm::Fault;
use crate::world::{NewWorld, World, changes, id, name, run, snapshot, state};

on_each_store! {
    a_crash_around_any_step_of_the_host_is_picked_up,
    a_second_crash_while_picking_up_is_picked_up_too,
}

fn crashes() -> Vec<Crash> {
    [Crash::Kept, Crash::Lost].into_iter().chain((0..6).map(Crash::Torn)).collect()
}

/// What a disk does in a crash is nothing to a database beyond it: there one crash is like another.
fn of_each_kind(new: NewWorld<'_>, kinds: Vec<Crash>) -> Vec<Crash> {
    if new().database.is_some() { vec![Crash::Kept] } else { kinds }
}

/// Alice is published, once, in every respect.
async fn assert_published_once(world: &World, registrar: &Arc<Registrar>) -> Registered {
    let alice = registrar.register(name("@alice"), id(1)).await.unwrap();
    assert_eq!(state(registrar, "@alice").await, Some(State::Published));
    let changes = changes(registrar).await;
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].address.as_ref(), Some(&alice.address));
    assert_eq!(snapshot(registrar).await.entries.len(), 1);
    {
        let host = world.swarm.host();
        assert_eq!(host.servers.len(), 1);
        assert_eq!(host.routes.keys().copied().collect::<Vec<_>>(), [alice.address.port.get()]);
        let server = host.servers.values().next().unwrap();
        assert_eq!(server.secret, alice.activation_secret.expose());
    }
    let placements = registrar.placements().unwrap();
    assert_eq!(placements.len(), 1);
    assert_eq!(placements[0].address, alice.address);
    alice
}

fn a_crash_around_any_step_of_the_host_is_picked_up(new: NewWorld<'_>) {
    for call in 0..3 {
        for fault in [Fault::DieBefore, Fault::DieAfter] {
            for crash in of_each_kind(new, crashes()) {
                let world = new();
                let deadly = fault.clone();
                world
                    .swarm
                    .set_rule(move |n, _| if n == call { deadly.clone() } else { Fault::None });
                world.run(async {
                    let registrar = world.open();
                    tokio::select! {
                        _ = registrar.register(name("@alice"), id(1)) => panic!("nobody died"),
                        () = world.swarm.died() => {}
                    }
                });
                let world = world.after(crash);
                world.run(async {
                    let registrar = world.open();
                    assert_eq!(snapshot(&registrar).await.entries.len(), 0, "published last");
                    registrar.resume().await;
                    assert_eq!(state(&registrar, "@alice").await, Some(State::Published));
                    assert_published_once(&world, &registrar).await;
                });
            }
        }
    }
}

#[test]
fn a_crash_in_any_call_to_the_disk_is_picked_up() {
    for crash in crashes() {
        let mut call = 0;
        loop {
            call += 1;
            let world = World::new();
            world.swarm.host().taken.insert(25_000);
            let outcome = run(async {
                let registrar = world.open();
                world.disk.power_off_in(call);
                registrar.register(name("@alice"), id(1)).await
            });
            let acknowledged = outcome.as_ref().ok().map(|alice| alice.address.clone());
            let world = world.after(crash);
            run(async {
                let registrar = world.open();
                registrar.resume().await;
                if acknowledged.is_some() {
                    assert_eq!(state(&registrar, "@alice").await, Some(State::Published));
                }
                let alice = assert_published_once(&world, &registrar).await;
                assert_eq!(alice.address.port.get(), 25_001);
                assert!(acknowledged.is_none_or(|address| address == alice.address));
            });
            if outcome.is_ok() {
                assert!(call > 10, "the disk was hardly used: {call}");
                break;
            }
        }
    }
}

fn a_second_crash_while_picking_up_is_picked_up_too(new: NewWorld<'_>) {
    for call in 0..3 {
        for crash in of_each_kind(new, vec![Crash::Kept, Crash::Lost, Crash::Torn(3)]) {
            let world = new();
            world.swarm.set_rule(move |n, _| if n == call { Fault::DieAfter } else { Fault::None });
            world.run(async {
                let registrar = world.open();
                tokio::select! {
                    _ = registrar.register(name("@alice"), id(1)) => panic!("nobody died"),
                    () = world.swarm.died() => {}
                }
            });
            let world = world.after(crash);
            let calls = world.swarm.host().calls.len();
            world
                .swarm
                .set_rule(move |n, _| if n == calls { Fault::DieAfter } else { Fault::None });
            world.run(async {
                let registrar = world.open();
                tokio::select! {
                    () = registrar.resume() => panic!("nobody died"),
                    () = world.swarm.died() => {}
                }
            });
            let world = world.after(crash);
            world.run(async {
                let registrar = world.open();
                registrar.resume().await;
                assert_published_once(&world, &registrar).await;
            });
        }
    }
}

#[test]
fn a_deletion_is_picked_up_after_a_crash_in_any_call_to_the_disk_or_the_host() {
    for crash in crashes() {
        let mut call = 0;
        loop {
            call += 1;
            let world = World::new();
            let outcome = run(async {
                let registrar = world.open();
                registrar.register(name("@alice"), id(1)).await.unwrap();
                world.disk.power_off_in(call);
                registrar.delete(name("@alice"), None).await
            });
            let world = world.after(crash);
            run(async {
                let registrar = world.open();
                registrar.resume().await;
                if state(&registrar, "@alice").await.is_some() {
                    assert!(outcome.is_err(), "what was acknowledged stays");
                    assert_published_once(&world, &registrar).await;
                    registrar.delete(name("@alice"), None).await.unwrap();
                }
                assert_gone(&world, &registrar).await;
            });
            if outcome.is_ok() {
                assert!(call > 2, "the disk was hardly used: {call}");
                break;
            }
        }
    }
    for call in 3..5 {
        for fault in [Fault::DieBefore, Fault::DieAfter] {
            let world = World::new();
            let deadly = fault.clone();
            world.swarm.set_rule(move |n, _| if n == call { deadly.clone() } else { Fault::None });
            run(async {
                let registrar = world.open();
                registrar.register(name("@alice"), id(1)).await.unwrap();
                tokio::select! {
                    _ = registrar.delete(name("@alice"), None) => panic!("nobody died"),
                    () = world.swarm.died() => {}
                }
            });
            let world = world.after(Crash::Lost);
            run(async {
                let registrar = world.open();
                assert_eq!(snapshot(&registrar).await.entries.len(), 0, "it stops resolving first");
                assert!(registrar.placements().unwrap().is_empty());
                registrar.resume().await;
                assert_gone(&world, &registrar).await;
            });
        }
    }
}

async fn assert_gone(world: &World, registrar: &Arc<Registrar>) {
    assert_eq!(state(registrar, "@alice").await, None);
    let changes = changes(registrar).await;
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[1].address, None);
    assert_eq!(changes[0].epoch, changes[1].epoch);
    let host = world.swarm.host();
    assert!(host.servers.is_empty() && host.routes.is_empty());
}

#[test]
fn after_a_failed_write_nothing_more_is_promised_until_a_restart() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        let before = snapshot(&registrar).await;
        world.disk.fail_sync_in(1);
        registrar.register(name("@bob"), id(2)).await.unwrap_err();
        assert!(!registrar.is_sound());
        registrar.register(name("@carol"), id(3)).await.unwrap_err();
        assert_eq!(snapshot(&registrar).await, before);
    });
    let world = world.after(Crash::Lost);
    world.clock.set(Timestamp(1_900_000_000_000));
    run(async {
        let registrar = world.open();
        assert!(registrar.is_sound());
        registrar.resume().await;
        assert_published_once(&world, &registrar).await;
        registrar.register(name("@bob"), id(2)).await.unwrap();
    });
}
