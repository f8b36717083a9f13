//! A whole warren on a real Docker Swarm of three nodes, which lose their power, their links and their
//! time while people write.
//!
//! Needs root and a Docker engine; where either is missing, `cargo xtask test` leaves it out and says
//! so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "swarm/world.rs"]
mod world;
#[path = "swarm/writer.rs"]
mod writer;

use std::time::Duration;

use world::World;

const PEOPLE: usize = 12;

fn pause(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

#[test]
fn no_acknowledged_write_is_lost_whatever_dies() {
    let world = World::start("storm");
    let writers = world.writers(PEOPLE);

    world.outage(&writers, || pause(3)).report("nothing");

    world
        .outage(&writers, || {
            for node in 1..=world::NODES {
                kill_containers(&world, node, "-cell-");
            }
        })
        .report("all cells killed");

    world
        .outage(&writers, || {
            world.lab("kill", &["3"]);
        })
        .report("a node loses its power");
    world.lab("start", &["3"]);

    world
        .outage(&writers, || {
            world.lab("cut", &["2"]);
            pause(20);
            world.lab("heal", &["2"]);
        })
        .report("a link is cut for 20 s");

    world
        .outage(&writers, || {
            world.lab("pause", &["1"]);
            pause(20);
            world.lab("resume", &["1"]);
        })
        .report("a node stands still for 20 s");
}

/// kill -9 for all containers of a node whose name has this in it.
fn kill_containers(world: &World, node: usize, part: &str) {
    let list = world.docker(node, &["ps", "--quiet", "--filter", &format!("name={part}")]);
    for container in list.split_whitespace() {
        world.docker(node, &["kill", container]);
    }
}
