//! Two starts of a cell on one volume: the older one ends, and nothing that was acknowledged is lost.

use std::time::Duration;

use server_host::CellError;

use crate::lab::{SECRET, Swarm, placement};

const PUT: &str = "update:n.x@alice";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_start_takes_over_and_the_earlier_one_writes_and_answers_no_more() {
    let (swarm, alice) = (Swarm::new(), placement("@alice", 1));
    let first = swarm.start(1).await;
    first.cell.create(alice.clone(), SECRET.to_owned()).await.unwrap();
    let mut old = swarm.owner(&first, &alice).await;
    assert_eq!(old.ask(&format!("{PUT} 1")).await.unwrap(), "data:0");

    let second = swarm.start(2).await;
    second.cell.adopt(&alice).unwrap();
    let mut new = swarm.owner(&second, &alice).await;
    assert_eq!(new.ask("llookup:n.x@alice").await.unwrap(), "data:1", "what was acknowledged");
    assert!(!old.ask(&format!("{PUT} 2")).await.is_ok_and(|answer| answer.starts_with("data:")));
    first.until("fenced", |cell| cell.counters().fenced == 1).await;
    first.until("ended", |cell| cell.counters().awake == 0).await;
    let come_again = swarm.client(&first, &alice).await;
    assert!(come_again.is_err(), "without a word: she is led to the other one the next time");
    assert_eq!(first.cell.counters().wakes, 1, "it is not even tried");
    assert_eq!(new.ask(&format!("{PUT} 3")).await.unwrap(), "data:1");
    assert_eq!(new.ask("llookup:n.x@alice").await.unwrap(), "data:3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_only_read_from_ends_too_and_soon() {
    let (swarm, alice) = (Swarm::new(), placement("@alice", 1));
    let first = swarm.start(1).await;
    first.cell.create(alice.clone(), SECRET.to_owned()).await.unwrap();
    let mut old = swarm.owner(&first, &alice).await;
    old.ask(&format!("{PUT} 1")).await.unwrap();
    let second = swarm.start(2).await;
    second.cell.adopt(&alice).unwrap();
    let mut new = swarm.owner(&second, &alice).await;
    let fenced = tokio::time::Instant::now();
    new.ask(&format!("{PUT} 2")).await.unwrap();
    // Readers who keep asking are told old values for a short time at most, then nothing.
    while old.ask("llookup:n.x@alice").await.is_ok_and(|answer| answer == "data:1") {
        assert!(fenced.elapsed() < Duration::from_secs(4), "it still answers");
    }
    first.until("ended", |cell| cell.counters().awake == 0).await;
    assert_eq!(first.cell.counters().fenced, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_placement_wakes_a_fenced_server_and_an_older_one_is_refused() {
    let (swarm, alice) = (Swarm::new(), placement("@alice", 1));
    let (first, second) = (swarm.start(1).await, swarm.start(1).await);
    first.cell.create(alice.clone(), SECRET.to_owned()).await.unwrap();
    swarm.owner(&first, &alice).await.ask(&format!("{PUT} 1")).await.unwrap();
    // Moved to another cell whose term is no higher: the placement's epoch decides.
    let moved = placement("@alice", 2);
    second.cell.adopt(&moved).unwrap();
    swarm.owner(&second, &moved).await.ask(&format!("{PUT} 2")).await.unwrap();
    first.until("fenced", |cell| cell.counters().fenced == 1).await;
    let back = placement("@alice", 3);
    first.cell.adopt(&back).unwrap();
    let mut owner = swarm.owner(&first, &back).await;
    assert_eq!(owner.ask("llookup:n.x@alice").await.unwrap(), "data:2");
    assert!(matches!(first.cell.adopt(&alice), Err(CellError::Stale { .. })));
    // Renewed while somebody is connected: the old server ends, the next connection wakes the new.
    first.cell.adopt(&placement("@alice", 4)).unwrap();
    while owner.ask("llookup:n.x@alice").await.is_ok() {}
    let mut owner = swarm.owner(&first, &back).await;
    assert_eq!(owner.ask(&format!("{PUT} 4")).await.unwrap(), "data:2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_an_earlier_start_left_half_done_is_done_again() {
    let swarm = Swarm::new();
    let (empty, torn, whole) =
        (placement("@empty", 1), placement("@torn", 1), placement("@whole", 1));
    let first = swarm.start(1).await;
    for placement in [&torn, &whole] {
        first.cell.create(placement.clone(), SECRET.to_owned()).await.unwrap();
    }
    first.end().await;
    // A crash left a folder, or a segment without all of its first record.
    std::fs::create_dir_all(swarm.volume(&empty)).unwrap();
    for file in std::fs::read_dir(swarm.volume(&torn)).unwrap() {
        let file = std::fs::File::options().write(true).open(file.unwrap().path()).unwrap();
        file.set_len(10).unwrap();
    }
    let second = swarm.start(2).await;
    for placement in [&empty, &torn, &whole] {
        for _twice in 0..2 {
            second.cell.create(placement.clone(), SECRET.to_owned()).await.unwrap();
        }
        let key = format!("n.x{}", placement.identity);
        let mut owner = swarm.owner(&second, placement).await;
        assert!(owner.ask(&format!("update:{key} 1")).await.unwrap().starts_with("data:"));
        // While she is connected, and once more after that.
        second.cell.create(placement.clone(), SECRET.to_owned()).await.unwrap();
        assert_eq!(owner.ask(&format!("llookup:{key}")).await.unwrap(), "data:1");
    }
    second.end().await;
    let third = swarm.start(3).await;
    third.cell.create(whole.clone(), SECRET.to_owned()).await.unwrap();
    let mut owner = swarm.owner(&third, &whole).await;
    assert_eq!(owner.ask("llookup:n.x@whole").await.unwrap(), "data:1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cell_with_anothers_secrets_harms_nothing() {
    let (swarm, alice) = (Swarm::new(), placement("@alice", 1));
    let first = swarm.start(1).await;
    first.cell.create(alice.clone(), SECRET.to_owned()).await.unwrap();
    let mut owner = swarm.owner(&first, &alice).await;
    let stranger = swarm.start_with(2, [8; 32]).await;
    let created = stranger.cell.create(alice.clone(), SECRET.to_owned()).await;
    assert!(matches!(created, Err(CellError::Volume { .. })), "{created:?}");
    let text = created.unwrap_err().with_causes();
    assert!(text.contains("master key"), "{text}");
    assert!(stranger.cell.remove(&alice).await.is_err());
    stranger.cell.adopt(&alice).unwrap();
    let mut refused = swarm.client(&stranger, &alice).await.unwrap();
    assert!(refused.ask("info:brief").await.unwrap_or_default().contains("error"));
    assert_eq!(owner.ask(&format!("{PUT} 1")).await.unwrap(), "data:0", "nobody was shut out");
    first.end().await;
    let third = swarm.start(3).await;
    third.cell.adopt(&alice).unwrap();
    let mut owner = swarm.owner(&third, &alice).await;
    assert_eq!(owner.ask("llookup:n.x@alice").await.unwrap(), "data:1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_released_stays_and_what_is_removed_is_gone() {
    let (swarm, alice) = (Swarm::new(), placement("@alice", 1));
    let first = swarm.start(1).await;
    first.cell.create(alice.clone(), SECRET.to_owned()).await.unwrap();
    let mut owner = swarm.owner(&first, &alice).await;
    owner.ask(&format!("{PUT} 1")).await.unwrap();
    first.cell.release(alice.volume).await;
    assert!(owner.ask("llookup:n.x@alice").await.is_err(), "nobody is served any more");
    assert_eq!(first.cell.counters().residents, 0);
    assert!(swarm.client(&first, &alice).await.is_err(), "there is no handshake");

    let (second, moved) = (swarm.start(1).await, placement("@alice", 2));
    second.cell.adopt(&moved).unwrap();
    let mut owner = swarm.owner(&second, &moved).await;
    assert_eq!(owner.ask("llookup:n.x@alice").await.unwrap(), "data:1");
    // The cell in which she lived may not delete what is another's now.
    assert!(matches!(first.cell.remove(&alice).await, Err(CellError::Volume { .. })));
    assert!(swarm.volume(&alice).exists());
    second.cell.remove(&moved).await.unwrap();
    second.cell.remove(&moved).await.unwrap();
    assert!(!swarm.volume(&alice).exists());
    assert_eq!(second.cell.counters().residents, 0);
}
