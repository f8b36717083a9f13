//! The store in a PostgreSQL that Patroni keeps: the server that writes dies, or is paused and comes
//! back, and another one takes its place.

use testkit::Patroni;

use crate::postgres::{check_kept, registered_while};
use crate::world::World;

#[test]
fn what_was_acknowledged_outlives_the_server_that_writes() {
    let mut cluster = Patroni::start();
    let world = World { ports: "20000-29999", ..World::in_database(&cluster.url()) };
    let before = std::cell::Cell::new(0);
    let acknowledged = registered_while(&world, |progress| {
        progress.wait_for_more(20);
        let first = cluster.leader();
        cluster.kill(first);
        let second = cluster.leader();
        assert_ne!(first, second, "the other one takes over");
        cluster.restart(first);
        cluster.wait_for_both();
        progress.wait_for_more(20);

        // It comes back and believes that it still writes.
        cluster.pause(second);
        assert_eq!(cluster.leader(), first);
        progress.wait_for_more(20);
        cluster.resume(second);
        cluster.wait_for_both();
        progress.wait_for_more(20);
        before.set(first);
    });
    // What the last failover keeps is what the copy has.
    cluster.kill(before.get());
    check_kept(&world, &acknowledged);
}
