//! What a follower of the feed sees.

use std::time::Duration;

use net::drain::Drain;
use protocol::FeedId;
use registrar::limits::{CHANGES_KEPT_MAX, FEED_WAIT_MAX};
use registrar::{FeedAnswer, SwarmError};

use crate::swarm::Fault;
use crate::world::{NewWorld, World, changes, changes_after, id, name, run, snapshot};

on_each_store! {
    a_follower_that_waits_hears_of_the_next_change_at_once,
    a_restart_goes_on_with_the_same_feed_and_the_next_number,
    a_follower_of_another_feed_or_of_the_future_takes_a_snapshot,
    another_host_name_begins_another_feed_with_the_new_addresses,
    a_follower_is_let_go_when_the_registrar_closes,
}

fn a_follower_that_waits_hears_of_the_next_change_at_once(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let registrar = world.open();
        let feed = snapshot(&registrar).await.feed;
        let follower = registrar.clone();
        let waiting =
            tokio::spawn(
                async move { follower.feed_after(feed, 0, Duration::from_secs(3_600)).await },
            );
        tokio::task::yield_now().await;
        let begun = tokio::time::Instant::now();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        let FeedAnswer::Batch(batch) = waiting.await.unwrap() else { panic!() };
        assert_eq!(batch.changes.len(), 1);
        assert_eq!(batch.newest, 1);
        assert!(begun.elapsed() < FEED_WAIT_MAX);
    });
}

#[test]
fn a_wait_without_news_ends_with_an_empty_batch_and_is_never_longer_than_the_limit() {
    let world = World::new();
    run(async {
        let registrar = world.open();
        let feed = snapshot(&registrar).await.feed;
        let begun = tokio::time::Instant::now();
        let answer = registrar.feed_after(feed, 0, Duration::MAX).await;
        let FeedAnswer::Batch(batch) = answer else { panic!() };
        assert!(batch.changes.is_empty());
        assert!((FEED_WAIT_MAX..FEED_WAIT_MAX * 2).contains(&begun.elapsed()));
    });
}

fn a_restart_goes_on_with_the_same_feed_and_the_next_number(new: NewWorld<'_>) {
    let world = new();
    let before = world.run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        snapshot(&registrar).await
    });
    world.run(async {
        let registrar = world.open();
        assert_eq!(snapshot(&registrar).await, before);
        registrar.register(name("@bob"), id(2)).await.unwrap();
        let FeedAnswer::Batch(batch) = changes_after(&registrar, before.feed, 1).await else {
            panic!()
        };
        assert_eq!(batch.changes.len(), 1);
        assert_eq!(batch.changes[0].number, 2);
    });
}

#[test]
fn only_the_newest_changes_are_kept_and_who_missed_some_takes_a_snapshot() {
    let world = World::new();
    let rounds = CHANGES_KEPT_MAX / 2 + 5;
    run(async {
        let registrar = world.open();
        registrar.register(name("@first"), id(1)).await.unwrap();
        for _ in 0..rounds {
            registrar.register(name("@alice"), id(2)).await.unwrap();
            registrar.delete(name("@alice"), None).await.unwrap();
        }
    });
    run(async {
        let registrar = world.open();
        let snapshot = snapshot(&registrar).await;
        assert_eq!(snapshot.number, 2 * rounds as u64 + 1);
        assert_eq!(snapshot.entries.len(), 1);
        let oldest = snapshot.number - CHANGES_KEPT_MAX as u64;
        let missed = changes_after(&registrar, snapshot.feed, oldest - 1).await;
        assert_eq!(missed, FeedAnswer::SnapshotNeeded);
        match changes_after(&registrar, snapshot.feed, oldest).await {
            FeedAnswer::Batch(batch) => assert_eq!(batch.changes.len(), CHANGES_KEPT_MAX),
            FeedAnswer::SnapshotNeeded => panic!("they are kept"),
        }
    });
}

fn a_follower_of_another_feed_or_of_the_future_takes_a_snapshot(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        let feed = snapshot(&registrar).await.feed;
        let long = Duration::from_secs(3_600);
        let foreign = FeedId::from_bytes([1; 16]);
        assert_eq!(registrar.feed_after(foreign, 1, long).await, FeedAnswer::SnapshotNeeded);
        assert_eq!(registrar.feed_after(feed, 2, long).await, FeedAnswer::SnapshotNeeded);
        assert_eq!(registrar.feed_after(feed, u64::MAX, long).await, FeedAnswer::SnapshotNeeded);
    });
}

fn another_host_name_begins_another_feed_with_the_new_addresses(new: NewWorld<'_>) {
    let world = new();
    let before = world.run(async {
        let registrar = world.open();
        registrar.register(name("@alice"), id(1)).await.unwrap();
        snapshot(&registrar).await
    });
    let world = World { hostname: "warren.example", ..world };
    let after = world.run(async { snapshot(&world.open()).await });
    assert_ne!(after.feed, before.feed);
    assert_eq!(after.entries[0].address.to_string(), "warren.example:25000");
    world.run(async {
        let registrar = world.open();
        assert_eq!(snapshot(&registrar).await, after, "the change is made once");
        let placements = registrar.placements().unwrap();
        assert_eq!(placements[0].address.to_string(), "warren.example:25000");
        registrar.register(name("@bob"), id(2)).await.unwrap();
        assert_eq!(changes(&registrar).await.len(), 1);
    });
}

fn a_follower_is_let_go_when_the_registrar_closes(new: NewWorld<'_>) {
    let world = new();
    world.run(async {
        let registrar = world.open();
        let feed = snapshot(&registrar).await.feed;
        let drain = Drain::new();
        drain.spawn(registrar.clone().tend(drain.clone()));
        let follower = registrar.clone();
        let waiting =
            tokio::spawn(
                async move { follower.feed_after(feed, 0, Duration::from_secs(3_600)).await },
            );
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!waiting.is_finished());
        let begun = tokio::time::Instant::now();
        drain.start();
        assert!(drain.finished(Duration::from_secs(10)).await);
        let FeedAnswer::Batch(batch) = waiting.await.unwrap() else { panic!() };
        assert!(batch.changes.is_empty());
        assert!(begun.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn what_is_unfinished_is_taken_up_again_from_time_to_time() {
    let world = World::new();
    world.swarm.set_rule(|_, _| Fault::Fail(SwarmError::Unavailable("away".into())));
    run(async {
        let registrar = world.open();
        let drain = Drain::new();
        drain.spawn(registrar.clone().tend(drain.clone()));
        registrar.register(name("@alice"), id(1)).await.unwrap_err();
        world.swarm.heal();
        let feed = snapshot(&registrar).await.feed;
        let answer = registrar.feed_after(feed, 0, Duration::from_secs(30)).await;
        let FeedAnswer::Batch(batch) = answer else { panic!() };
        assert_eq!(batch.changes.len(), 1);
        drain.start();
        assert!(drain.finished(Duration::from_secs(10)).await);
    });
}
