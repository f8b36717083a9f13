//! A cell does what its registrar says, and believes only what makes sense.

use net::drain::Drain;
use protocol::control::names::{CellId, NodeName};
use protocol::control::placement::Placement;
use protocol::control::roster::{Order, Outcome, Position, TermRequest};
use protocol::{AtSign, VolumeId};
use server_host::follow::ask_for_term;

use crate::lab::{SECRET, Swarm, placement, term};
use crate::registrar::Played;

fn create(placement: &Placement) -> Order {
    Order::Create { placement: placement.clone(), secret: SECRET.to_owned() }
}

fn keep(placement: &Placement) -> Order {
    Order::Keep { placement: placement.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_are_done_and_told_and_a_whole_list_drops_who_is_not_on_it() {
    let (swarm, registrar) = (Swarm::new(), Played::default());
    let (alice, bob) = (placement("@alice", 1), placement("@bob", 1));
    let first = swarm.start(1).await;
    let following = registrar.lead(&first, 1);
    registrar.says(1, 2, true, vec![create(&alice), create(&bob)]);
    registrar.until("both are made", |registrar| registrar.done().len() == 2).await;
    assert!(registrar.done().iter().all(|done| done.outcome == Outcome::Created));
    assert!(registrar.last_report().unwrap().counts.residents >= 1);
    let mut owner = swarm.owner(&first, &alice).await;
    owner.ask("update:n.x@alice 1").await.unwrap();

    // The same again, as from a registrar that did not hear of it, changes nothing.
    registrar.says(1, 3, false, vec![create(&alice)]);
    registrar.until("told again", |registrar| registrar.done().len() == 3).await;
    assert_eq!(owner.ask("llookup:n.x@alice").await.unwrap(), "data:1");
    registrar.says(1, 4, false, vec![Order::Remove { placement: bob.clone() }]);
    registrar.until("she is gone", |registrar| registrar.done().len() == 4).await;
    assert_eq!(registrar.done()[3].outcome, Outcome::Removed);
    assert!(!swarm.volume(&bob).exists());

    registrar.says(2, 0, true, vec![]);
    first.until("nobody", |cell| cell.counters().residents == 0).await;
    assert!(owner.ask("llookup:n.x@alice").await.is_err());
    assert!(swarm.volume(&alice).exists(), "her volume stays");
    registrar
        .until("what she used is told", |registrar| registrar.used("@alice").commands > 0)
        .await;
    let used = registrar.used("@alice");
    // The way in, a write and a read.
    assert!(used.commands >= 4 && used.wakes == 1 && used.stored_bytes > 0, "{used:?}");
    assert!(used.bytes_in > 40 && used.bytes_out > 20, "{used:?}");
    assert_eq!(registrar.used("@bob").wakes, 0, "nobody woke him");
    registrar.says(2, 1, false, vec![keep(&alice)]);
    first.until("back", |cell| cell.counters().residents == 1).await;
    let mut owner = swarm.owner(&first, &alice).await;
    assert_eq!(owner.ask("llookup:n.x@alice").await.unwrap(), "data:1");
    first.end().await;
    assert_eq!(following.await.unwrap(), Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cell_that_is_superseded_stops_following_at_once() {
    let (swarm, registrar) = (Swarm::new(), Played::default());
    let first = swarm.start(3).await;
    let following = registrar.lead(&first, 3);
    registrar.says(1, 1, true, vec![]);
    registrar.until("a report", |registrar| registrar.last_report().is_some()).await;
    registrar.supersedes();
    let ended = tokio::time::timeout(crate::lab::PATIENCE, following).await.unwrap();
    assert_eq!(ended.unwrap().unwrap_err().0, term(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registrar_that_is_away_leaves_everybody_served() {
    let (swarm, registrar, alice) = (Swarm::new(), Played::default(), placement("@alice", 1));
    let first = swarm.start(1).await;
    let _following = registrar.lead(&first, 1);
    registrar.fails();
    registrar.says(1, 1, true, vec![create(&alice)]);
    registrar.until("made", |registrar| registrar.done().len() == 1).await;
    registrar.goes_away(true);
    let asked = registrar.asked().len();
    registrar.until("asked in vain", |registrar| registrar.asked().len() > asked + 2).await;
    let mut owner = swarm.owner(&first, &alice).await;
    assert!(owner.ask("update:n.x@alice 1").await.unwrap().starts_with("data:"));
    registrar.goes_away(false);
    registrar.says(1, 2, false, vec![Order::Remove { placement: alice.clone() }]);
    registrar.until("goes on", |registrar| registrar.done().len() == 2).await;
    let basis = Some(Position { run: 1, number: 1 });
    assert!(registrar.asked().contains(&basis), "it goes on from where it was");
}

/// Whatever it says, who is here is served, and nobody else's volume is touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registrar_that_lies_is_not_believed() {
    let (swarm, registrar, alice) = (Swarm::new(), Played::default(), placement("@alice", 2));
    let bob = placement("@bob", 9);
    let other = swarm.start(1).await;
    other.cell.create(bob.clone(), SECRET.to_owned()).await.unwrap();
    let mut bobs = swarm.owner(&other, &bob).await;
    let first = swarm.start(1).await;
    let _following = registrar.lead(&first, 1);
    registrar.says(5, 5, true, vec![create(&alice)]);
    registrar.until("made", |registrar| registrar.done().len() == 1).await;
    let mut alices = swarm.owner(&first, &alice).await;

    // What it asks before it is lied to may still be on its way.
    let asked_for_all = |registrar: &Played, from: usize| registrar.asked()[from..].contains(&None);
    let lies: [(u64, u64, bool, Vec<Order>); 5] = [
        (4, 9, true, vec![]),
        (5, 4, true, vec![]),
        (5, 4, false, vec![Order::Release { volume: alice.volume }]),
        (6, 1, false, vec![Order::Release { volume: alice.volume }]),
        (7, 1, true, many(1_000_000)),
    ];
    for (run, number, is_whole, orders) in lies {
        let before = registrar.asked().len();
        registrar.says(run, number, is_whole, orders);
        registrar.until("it asks for everything", |it| asked_for_all(it, before)).await;
        assert_eq!(first.cell.counters().residents, 1);
    }
    // Another cell's volume, under an epoch that is over; hers under one that is over, too.
    let stale = Placement { epoch: placement("@x", 3).epoch, ..bob.clone() };
    let over = Placement { epoch: placement("@x", 1).epoch, ..alice.clone() };
    let mixed = Placement { identity: AtSign::parse("@eve").unwrap(), ..bob.clone() };
    let orders = vec![keep(&over), create(&stale), Order::Remove { placement: over }];
    let before = registrar.done().len();
    registrar.says(8, 1, true, orders);
    registrar.until("refused", |registrar| registrar.done().len() >= before + 2).await;
    // Of two outcomes for one volume the registrar may be told the later alone.
    registrar.says(8, 2, false, vec![Order::Remove { placement: stale }]);
    registrar.until("refused", |registrar| registrar.done().len() >= before + 3).await;
    registrar.says(8, 3, false, vec![create(&mixed)]);
    registrar.until("refused", |registrar| registrar.done().len() >= before + 4).await;
    assert!(registrar.done()[before..].iter().all(|done| failed(&done.outcome)));
    assert!(alices.ask("update:n.x@alice 1").await.unwrap().starts_with("data:"));
    assert!(bobs.ask("update:n.x@bob 1").await.unwrap().starts_with("data:"));
    assert!(swarm.volume(&bob).exists());
}

fn failed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { .. })
}

fn many(count: u32) -> Vec<Order> {
    let volume = |number: u32| {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        VolumeId::from_bytes(bytes)
    };
    (0..count).map(|number| Order::Release { volume: volume(number) }).collect()
}

#[tokio::test]
async fn a_term_is_asked_for_until_there_is_one_for_this_cell() {
    let (registrar, drain) = (Played::default(), Drain::new());
    let cell = CellId::from_number(7).unwrap();
    let request = TermRequest { node: NodeName::parse("n1").unwrap(), version: "0.1.0".to_owned() };
    registrar.grants(None);
    registrar.grants(Some((8, 5)));
    registrar.grants(Some((7, 6)));
    assert_eq!(ask_for_term(&registrar, cell, &request, &drain).await, Some(term(6)));
    drain.start();
    assert_eq!(ask_for_term(&registrar, cell, &request, &drain).await, None);
}
