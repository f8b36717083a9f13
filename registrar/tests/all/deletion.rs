//! Giving a name back.

use protocol::Epoch;
use registrar::{DeleteError, Deletion, RegisterError, State, Step, SwarmError};

use crate::swarm::Fault;
use crate::world::{NewWorld, World, changes, id, name, snapshot, state};

on_each_store! {
    a_deleted_name_is_free_again_and_comes_back_with_a_higher_epoch,
    who_is_not_registered_cannot_be_deleted,
    a_name_that_was_registered_anew_is_not_deleted_by_its_old_epoch,
    a_registration_that_does_not_get_on_can_be_deleted_in_every_state,
    a_server_that_cannot_be_removed_now_no_longer_resolves_and_is_removed_later,
}

fn a_deleted_name_is_free_again_and_comes_back_with_a_higher_epoch(new: NewWorld<'_>) {
    let world = new();
    let first = world.run(async {
        let registrar = world.open();
        let first = registrar.register(name("@alice"), id(1)).await.unwrap();
        assert_eq!(registrar.delete(name("@alice"), None).await.unwrap(), Deletion::Done);
        assert_eq!(registrar.show(&name("@alice")).await.unwrap(), None);
        assert!(registrar.activation(&name("@alice")).await.unwrap().is_none());
        assert!(world.swarm.host().servers.is_empty());
        first
    });
    world.run(async {
        let registrar = world.open();
        let second = registrar.register(name("@alice"), id(1)).await.unwrap();
        assert_ne!(second.activation_secret, first.activation_secret);
        let shown = registrar.show(&name("@alice")).await.unwrap().unwrap();
        assert_eq!(Some(shown.epoch), Epoch::FIRST.next());
        let epochs: Vec<u64> = changes(&registrar).await.iter().map(|c| c.epoch.number()).collect();
        assert_eq!(epochs, [1, 1, 2]);
    });
}

fn who_is_not_registered_cannot_be_deleted(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let registrar = world.open();
        let never = registrar.delete(name("@alice"), None).await;
        assert!(matches!(never, Err(DeleteError::Unknown(_))));
        registrar.register(name("@alice"), id(1)).await.unwrap();
        registrar.delete(name("@alice"), None).await.unwrap();
        let again = registrar.delete(name("@alice"), Some(Epoch::FIRST)).await;
        assert!(matches!(again, Err(DeleteError::Unknown(_))));
        assert_eq!(changes(&registrar).await.len(), 2);
    });
}

fn a_name_that_was_registered_anew_is_not_deleted_by_its_old_epoch(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        registrar.delete(name("@alice"), Some(Epoch::FIRST)).await.unwrap();
        registrar.register(name("@alice"), id(2)).await.unwrap();
        let stale = registrar.delete(name("@alice"), Some(Epoch::FIRST)).await.unwrap_err();
        assert_eq!(stale.to_string(), "@alice has epoch 2, not 1");
        assert_eq!(state(&registrar, "@alice").await, Some(State::Published));
    });
}

fn a_registration_that_does_not_get_on_can_be_deleted_in_every_state(new: NewWorld<'_>) {
    for (step, calls_after) in [(Step::Create, 2), (Step::Start, 2), (Step::Probe, 2)] {
        let world = new();
        let refused = SwarmError::Refused("no".into());
        world.swarm.set_rule(move |_, now| match now {
            now if now == step => Fault::Fail(refused.clone()),
            _ => Fault::None,
        });
        world.run(async {
            let registrar = world.open();
            registrar.register(name("@alice"), id(1)).await.unwrap_err();
            let calls = world.swarm.host().calls.len();
            assert_eq!(registrar.delete(name("@alice"), None).await.unwrap(), Deletion::Done);
            assert_eq!(world.swarm.host().calls.len(), calls + calls_after);
            assert!(world.swarm.host().servers.is_empty());
            assert!(changes(&registrar).await.is_empty(), "it was never published");
        });
    }
    let world = World { ports: "25000", ..new() };
    world.run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        registrar.register(name("@bob"), id(2)).await.unwrap_err();
        assert_eq!(state(&registrar, "@bob").await, Some(State::Reserved));
        assert_eq!(registrar.delete(name("@bob"), None).await.unwrap(), Deletion::Done);
        registrar.delete(name("@alice"), None).await.unwrap();
        registrar.register(name("@bob"), id(3)).await.unwrap();
    });
}

fn a_server_that_cannot_be_removed_now_no_longer_resolves_and_is_removed_later(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        world.swarm.set_rule(|_, _| Fault::Fail(SwarmError::Unavailable("away".into())));
        assert_eq!(registrar.delete(name("@alice"), None).await.unwrap(), Deletion::Unfinished);
        assert_eq!(state(&registrar, "@alice").await, Some(State::Deleting));
        assert!(snapshot(&registrar).await.entries.is_empty());
        let early = registrar.register(name("@alice"), id(2)).await;
        assert!(matches!(early, Err(RegisterError::BeingDeleted(_))));
        world.swarm.heal();
        registrar.resume().await;
        assert_eq!(state(&registrar, "@alice").await, None);
        registrar.register(name("@alice"), id(2)).await.unwrap();
    });
}
