//! What registering leads to while nothing crashes.

use std::collections::BTreeSet;

use protocol::Epoch;
use registrar::limits::FEED_WAIT_MAX;
use registrar::{RegisterError, State, Step, SwarmError};

use crate::swarm::Fault;
use crate::world::{NewWorld, World, changes, id, name, run, snapshot, state};

on_each_store! {
    a_registration_ends_with_a_server_that_answers_and_one_change,
    asking_again_with_the_same_id_hands_over_the_same_secret_and_does_nothing_new,
    a_name_that_somebody_has_is_refused_under_another_id,
    a_name_that_cannot_own_keys_is_refused_before_anything_is_written,
    a_hundred_registrations_at_once_get_a_hundred_ports,
    ten_at_once_for_one_name_make_one_identity,
    a_port_that_is_taken_is_left_and_the_next_one_tried,
    without_a_free_port_the_error_names_the_ranges_and_the_name_waits,
    a_failure_that_passes_is_tried_again_and_one_that_stays_leaves_the_name_reserved,
    a_refusal_is_not_tried_again,
    a_registration_goes_on_when_nobody_waits_for_it_any_more,
}

fn a_registration_ends_with_a_server_that_answers_and_one_change(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let registrar = world.open();
        let registered = registrar.register(name("@alice"), id(1)).await.unwrap();
        assert_eq!(registered.address.to_string(), "localhost:25000");
        {
            let host = world.swarm.host();
            let steps: Vec<Step> = host.calls.iter().map(|(step, ..)| *step).collect();
            assert_eq!(steps, [Step::Create, Step::Start, Step::Probe]);
            let (volume, server) = host.servers.iter().next().unwrap();
            assert_eq!(host.routes.get(&25_000), Some(volume));
            assert_eq!(server.secret, registered.activation_secret.expose());
            assert_eq!(server.epoch, Epoch::FIRST);
        }
        let changes = changes(&registrar).await;
        assert_eq!(changes.len(), 1);
        assert_eq!((changes[0].number, &changes[0].identity), (1, &name("@alice")));
        assert_eq!(changes[0].address.as_ref(), Some(&registered.address));
        let placements = registrar.placements().unwrap();
        assert_eq!(placements.len(), 1);
        assert_eq!(placements[0].address, registered.address);
    });
}

fn asking_again_with_the_same_id_hands_over_the_same_secret_and_does_nothing_new(
    new: NewWorld<'_>,
) {
    let world = new();
    let first = world.run(async {
        let registrar = world.open();
        let first = registrar.register(name("@alice"), id(1)).await.unwrap();
        assert_eq!(registrar.register(name("@alice"), id(1)).await.unwrap(), first);
        first
    });
    world.run(async {
        let again = world.open().register(name("@alice"), id(1)).await.unwrap();
        assert_eq!(again, first, "also after a restart");
        assert_eq!(world.swarm.host().calls.len(), 3);
    });
}

fn a_name_that_somebody_has_is_refused_under_another_id(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        let second = registrar.register(name("@Al.ice"), id(2)).await;
        assert!(matches!(second, Err(RegisterError::Taken(taken)) if taken == name("@alice")));
        let activation = registrar.activation(&name("@alice")).await.unwrap().unwrap().1;
        assert_eq!(world.swarm.host().servers.values().next().unwrap().secret, activation.expose());
    });
}

fn a_name_that_cannot_own_keys_is_refused_before_anything_is_written(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let registrar = world.open();
        for text in ["@ürümqi", &"a".repeat(56)] {
            let refused = registrar.register(name(text), id(1)).await;
            assert!(matches!(refused, Err(RegisterError::CannotOwnKeys(_))), "{text}");
        }
        registrar.register(name("@alice🛠"), id(2)).await.unwrap();
        assert_eq!(registrar.list(None, 10).await.unwrap().identities.len(), 1);
    });
}

fn a_hundred_registrations_at_once_get_a_hundred_ports(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let registrar = world.open();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..100u8 {
            let registrar = registrar.clone();
            tasks.spawn(async move {
                registrar.register(name(&format!("@n{number}")), id(number)).await.unwrap()
            });
        }
        let registered = tasks.join_all().await;
        let ports: BTreeSet<u16> = registered.iter().map(|one| one.address.port.get()).collect();
        assert_eq!(ports.into_iter().collect::<Vec<_>>(), (25_000..25_100).collect::<Vec<_>>());
        assert_eq!(snapshot(&registrar).await.entries.len(), 100);
        let numbers: Vec<u64> = changes(&registrar).await.iter().map(|c| c.number).collect();
        assert_eq!(numbers, (1..=100).collect::<Vec<_>>());
        let secrets: BTreeSet<_> =
            registered.iter().map(|one| one.activation_secret.expose().to_owned()).collect();
        assert_eq!(secrets.len(), 100);
    });
}

fn ten_at_once_for_one_name_make_one_identity(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let registrar = world.open();
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..10 {
            let registrar = registrar.clone();
            tasks.spawn(async move { registrar.register(name("@alice"), id(number / 5)).await });
        }
        let outcomes = tasks.join_all().await;
        let registered: Vec<_> = outcomes.iter().filter_map(|o| o.as_ref().ok()).collect();
        assert_eq!(registered.len(), 5, "those with the id that came first");
        assert!(registered.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(world.swarm.host().calls.len(), 3);
    });
}

fn a_port_that_is_taken_is_left_and_the_next_one_tried(new: NewWorld<'_>) {
    let world = new();
    world.swarm.host().taken.extend([25_000, 25_001]);
    world.run(async {
        let registrar = world.open();
        let alice = registrar.register(name("@alice"), id(1)).await.unwrap();
        assert_eq!(alice.address.port.get(), 25_002);
        let bob = registrar.register(name("@bob"), id(2)).await.unwrap();
        assert_eq!(bob.address.port.get(), 25_003);
        let host = world.swarm.host();
        assert_eq!(host.servers.len(), 2, "one volume each, however many ports were tried");
        assert_eq!(host.routes.keys().copied().collect::<Vec<_>>(), [25_002, 25_003]);
    });
    world.run(async { assert_eq!(changes(&world.open()).await.len(), 2) });
}

fn without_a_free_port_the_error_names_the_ranges_and_the_name_waits(new: NewWorld<'_>) {
    let world = World { ports: "25000-25001", ..new() };
    world.run(async {
        let registrar = world.open();
        registrar.register(name("@a"), id(1)).await.unwrap();
        registrar.register(name("@b"), id(2)).await.unwrap();
        let none = registrar.register(name("@c"), id(3)).await.unwrap_err();
        assert_eq!(none.to_string(), "no port is left: all 2 ports of 25000-25001 are in use");
        assert_eq!(state(&registrar, "@c").await, Some(State::Reserved));
    });
    let world = World { ports: "25000-25002", ..world };
    world.run(async {
        let registrar = world.open();
        registrar.resume().await;
        assert_eq!(state(&registrar, "@c").await, Some(State::Published));
    });
}

fn a_failure_that_passes_is_tried_again_and_one_that_stays_leaves_the_name_reserved(
    new: NewWorld<'_>,
) {
    for (step, call) in [(Step::Create, 0), (Step::Start, 1), (Step::Probe, 2)] {
        let world = new();
        let error = SwarmError::Unavailable("no memory".into());
        let failing = error.clone();
        world.swarm.set_rule(move |number, _| match number {
            n if n == call => Fault::Fail(failing.clone()),
            n if n == call + 1 => Fault::DoneButFail(SwarmError::Late),
            _ => Fault::None,
        });
        world.run(async {
            let registrar = world.open();
            registrar.register(name("@alice"), id(1)).await.unwrap();

            let lasting = error.clone();
            world.swarm.set_rule(move |_, now| match now {
                now if now == step => Fault::Fail(lasting.clone()),
                _ => Fault::None,
            });
            let failed = registrar.register(name("@bob"), id(2)).await.unwrap_err();
            match failed {
                RegisterError::Swarm { step: at, source, .. } => {
                    assert_eq!((at, source), (step, error.clone()));
                }
                other => panic!("{other}"),
            }
            let other = registrar.register(name("@bob"), id(3)).await;
            assert!(matches!(other, Err(RegisterError::Taken(_))), "it waits for its own id");
            world.swarm.heal();
            let bob = registrar.register(name("@bob"), id(2)).await.unwrap();
            assert_eq!(bob.address.port.get(), 25_001);
            assert_eq!(changes(&registrar).await.len(), 2);
        });
    }
}

fn a_refusal_is_not_tried_again(new: NewWorld<'_>) {
    let world = new();
    world.swarm.set_rule(|_, _| Fault::Fail(SwarmError::Refused("stale".into())));
    world.run(async {
        let failed = world.open().register(name("@alice"), id(1)).await;
        assert!(matches!(failed, Err(RegisterError::Swarm { .. })));
        assert_eq!(world.swarm.host().calls.len(), 1);
    });
}

#[test]
fn a_host_that_never_answers_is_given_up_on() {
    let world = World::new();
    world.swarm.set_rule(|_, _| Fault::DieBefore);
    run(async {
        let failed = world.open().register(name("@alice"), id(1)).await.unwrap_err();
        let RegisterError::Swarm { source, .. } = failed else { panic!("{failed}") };
        assert_eq!(source, SwarmError::Late);
    });
}

fn a_registration_goes_on_when_nobody_waits_for_it_any_more(new: NewWorld<'_>) {
    let world = new();
    world.swarm.set_rule(|call, _| if call == 0 { Fault::DieBefore } else { Fault::None });
    world.run(async {
        let registrar = world.open();
        let asked = registrar.clone();
        let asking = tokio::spawn(async move { asked.register(name("@alice"), id(1)).await });
        world.swarm.died().await;
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
        assert_eq!(state(&registrar, "@alice").await, Some(State::Placed));
        let feed = snapshot(&registrar).await.feed;
        registrar.feed_after(feed, 0, FEED_WAIT_MAX).await;
        assert_eq!(state(&registrar, "@alice").await, Some(State::Published));
    });
}

#[test]
fn the_secrets_are_nowhere_on_the_disk() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        let alice = registrar.register(name("@alice"), id(1)).await.unwrap();
        let secret = alice.activation_secret.expose().as_bytes().to_owned();
        for path in world.disk.files() {
            let bytes = world.disk.file(&path).unwrap();
            assert!(!bytes.windows(secret.len()).any(|w| w == secret), "{}", path.display());
            assert!(!bytes.windows(5).any(|w| w == b"alice"), "{}", path.display());
        }
    });
}
