//! Identities that have names instead of ports.

use protocol::HostLabel;
use registrar::{FeedAnswer, State};

use crate::fleet::{Fleet, register};
use crate::world::{World, changes, changes_after, id, name, run, snapshot, state};

fn world() -> World {
    World { hostname: "*.swarm.example", ports: "25000", ..World::new() }
}

fn address(who: &str) -> String {
    format!("{}.swarm.example:443", HostLabel::of(&name(who)))
}

#[test]
fn whoever_has_a_name_needs_no_port() {
    let world = world();
    let entries = run(async {
        let registrar = world.open();
        for (byte, who) in (1..).zip(["@alice", "@bob", "@carol"]) {
            let registered = registrar.register(name(who), id(byte)).await.unwrap();
            assert_eq!(registered.address.to_string(), address(who));
        }
        registrar.delete(name("@carol"), None).await.unwrap();
        let entries = snapshot(&registrar).await.entries;
        let told: Vec<_> = entries.iter().map(|entry| entry.address.to_string()).collect();
        assert_eq!(told, [address("@alice"), address("@bob")]);
        let addresses: Vec<_> = changes(&registrar).await.into_iter().map(|c| c.address).collect();
        assert_eq!(addresses.len(), 4);
        assert_eq!(addresses[3], None, "she is gone");
        assert_eq!(addresses[2].as_ref().unwrap().to_string(), address("@carol"));
        assert!(registrar.placements().unwrap().iter().all(|placement| placement.port.is_none()));
        entries
    });
    run(async {
        let registrar = world.open();
        assert_eq!(snapshot(&registrar).await.entries, entries);
        let again = registrar.register(name("@carol"), id(9)).await.unwrap();
        assert_eq!(again.address.to_string(), address("@carol"));
        assert_eq!(state(&registrar, "@carol").await, Some(State::Published));
    });
}

#[test]
fn a_store_goes_from_ports_to_names_and_not_back() {
    let world = World { ports: "25000-25001", ..World::new() };
    run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        let old = snapshot(&registrar).await.feed;
        drop(registrar);

        let world = World { hostname: "*.swarm.example", ..world };
        let registrar = world.open();
        assert_eq!(changes_after(&registrar, old, 1).await, FeedAnswer::SnapshotNeeded);
        let told = snapshot(&registrar).await;
        assert_ne!(told.feed, old);
        assert_eq!(told.entries[0].address.to_string(), address("@alice"));
        let placements = registrar.placements().unwrap();
        assert_eq!(placements[0].port.map(|port| port.get()), Some(25_000), "she keeps her port");
        drop(registrar);

        // As long as everybody has a port, it can be as before.
        let world = World { hostname: "localhost", ..world };
        let registrar = world.open();
        assert_eq!(snapshot(&registrar).await.entries[0].address.to_string(), "localhost:25000");
        drop(registrar);
        let world = World { hostname: "*.swarm.example", ..world };
        let registrar = world.open();
        registrar.register(name("@bob"), id(2)).await.unwrap();
        let told = snapshot(&registrar).await;
        drop(registrar);

        let world = World { hostname: "localhost", ..world };
        let refused = world.try_open().err().unwrap();
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.starts_with("@bob was registered without a port"), "{cause}");
        // Nothing was begun by that.
        let world = World { hostname: "*.swarm.example", ..world };
        assert_eq!(snapshot(&world.open()).await, told);
        assert_eq!(told.entries.len(), 2);
    });
}

#[test]
fn routers_hear_of_labels_with_ports_and_without() {
    for hostname in ["localhost", "*.swarm.example"] {
        let world = World { hostname, ..World::new() };
        world.run(async {
            let fleet = Fleet::with_a_cell(&world).await;
            let process = fleet.start_on("n1").await;
            let registered = register(&fleet, &process, "@alice", 1).await.unwrap();
            let routes = fleet.routes("").await;
            assert_eq!(routes.routes.len(), 1);
            assert_eq!(routes.routes[0].label, Some(HostLabel::of(&name("@alice"))));
            let port = (hostname == "localhost").then_some(registered.address.port);
            assert_eq!(routes.routes[0].port, port);
        });
    }
}
