//! A whole warren on a real Docker Swarm of three nodes, which lose their power, their links and their
//! time while people write.
//!
//! Needs root and a Docker engine; where either is missing, `cargo xtask test` leaves it out and says
//! so. `WARREN_TEST_VOLUME=gluster` has the nodes share a GlusterFS instead of a folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "swarm/world.rs"]
mod world;
#[path = "swarm/writer.rs"]
mod writer;

use std::time::Duration;

use world::{CELLS, NODES, World};

const PEOPLE: usize = 12;

fn pause(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

/// Nobody's acknowledged write is lost, whatever dies, and everybody writes again; what a person reads
/// after it is never older than what she wrote.
#[test]
fn no_acknowledged_write_is_lost_whatever_dies() {
    let world = World::start("storm");
    world.sdk_passes_every_check(["@alice🛠", "@bob"]);
    let writers = world.writers(PEOPLE);
    let outage = |what: &str, fault: &dyn Fn()| {
        world.outage(&writers, fault).report(what);
        world.is_whole();
        world.warren(&["identity", "register", &format!("@after-{}", what.replace(' ', "-"))]);
    };

    outage("nothing", &|| pause(2));
    outage("all cells killed", &|| {
        (1..=NODES).for_each(|node| world.kill_containers(node, "-cell-"));
    });
    outage("the registrar killed", &|| {
        (1..=NODES).for_each(|node| world.kill_containers(node, "warren_registrar"));
        pause(3);
    });
    outage("an engine hangs for 10 s", &|| {
        world.engine(2, "STOP");
        pause(10);
        world.engine(2, "CONT");
    });
    outage("a node loses its power", &|| {
        world.lab("kill", &["3"]);
        pause(10);
        world.lab("start", &["3"]);
    });
    outage("a link is cut for 15 s", &|| {
        world.lab("cut", &["2"]);
        pause(15);
        world.lab("heal", &["2"]);
    });
    outage("a node stands still for 20 s", &|| {
        world.lab("pause", &["1"]);
        pause(20);
        world.lab("resume", &["1"]);
    });
    outage("all nodes lose their power", &|| {
        (1..=NODES).for_each(|node| drop(world.lab("kill", &[&node.to_string()])));
        world.start_all();
    });
}

/// A new image reaches the cells ring by ring while people write; one that does not run stops at its
/// first ring, and what it touched runs as before.
#[test]
fn an_image_is_renewed_in_rings_and_a_bad_one_is_taken_back() {
    let world = World::start("rings");
    let writers = world.writers(PEOPLE);
    for node in 1..=NODES {
        world.docker(node, &["tag", "warren:lab", "warren:next"]);
        // There is nothing in it that could run.
        let nothing = world.folder().join("hosts.yml");
        let nothing = nothing.to_str().unwrap();
        let pack = format!(
            "tar --create --file - --absolute-names {nothing} | docker import - warren:bad"
        );
        world.lab("exec", &[&node.to_string(), "--", "sh", "-c", &pack]);
    }
    let upgrade = |image: &str| {
        let words = ["--", "warren", "cell", "upgrade", "--swarm", "lab", "--image", image];
        let more = ["--rings", "1,rest", "--settle", "16", "--patience", "60", "--yes"];
        let output = world.tries("client", &[&words[..], &more].concat());
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), said.concat())
    };
    let images = || {
        let list = world.warren(&["cell", "list", "--json"]);
        ["warren:lab", "warren:next", "warren:bad"].map(|image| list.matches(image).count())
    };

    world
        .outage(&writers, || {
            let (code, said) = upgrade("warren:next");
            assert_eq!(code, Some(0), "{said}");
        })
        .report("all cells renewed in rings");
    assert_eq!(images(), [0, CELLS, 0]);

    world
        .outage(&writers, || {
            let (code, said) = upgrade("warren:bad");
            assert_eq!(code, Some(1), "{said}");
            assert!(said.contains("cell-"), "{said}");
        })
        .report("a bad image in the first ring");
    assert_eq!(images(), [0, CELLS, 0]);
    world.is_whole();
}
