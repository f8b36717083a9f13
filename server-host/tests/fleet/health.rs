//! A server that does not get on is given up and started again, alone.

use std::sync::Arc;
use std::time::Duration;

use protocol::control::placement::Placement;
use server_host::{CellConfig, Patience};
use storage::RealDisk;
use storage::snag::{Call, Snag, SnagDisk, Snags};

use crate::lab::{Client, PATIENCE, Running, SECRET, Swarm, placement, term};

const PUT: &str = "update:n.x@alice";
const GET: &str = "llookup:n.x@alice";

/// A cell in which Alice and Bob live, and the disk's snags.
struct Bench {
    swarm: Swarm,
    cell: Running,
    snags: Snags,
    alice: Placement,
    bob: Placement,
}

fn patience() -> Patience {
    Patience {
        store: Duration::from_millis(500),
        open: Duration::from_secs(1),
        pause: Duration::from_millis(1),
        ..Patience::default()
    }
}

impl Bench {
    async fn new(number: Option<u32>) -> Self {
        let (swarm, snags) = (Swarm::new(), Snags::default());
        let cell = start(&swarm, number, &snags).await;
        let (alice, bob) = (placement("@alice", 1), placement("@bob", 1));
        for placement in [&alice, &bob] {
            cell.cell.create(placement.clone(), SECRET.to_owned()).await.unwrap();
        }
        Self { swarm, cell, snags, alice, bob }
    }

    async fn owner(&self, placement: &Placement) -> Client {
        self.swarm.owner(&self.cell, placement).await
    }

    /// What Alice's disk does from now on.
    fn snag(&self, call: Call, snag: Snag) {
        self.snags.set(call, &self.alice.volume.to_string(), snag);
    }

    async fn restarted(&self, times: u64) {
        self.cell.until("restarted", |cell| cell.counters().restarts == times).await;
    }
}

async fn start(swarm: &Swarm, number: Option<u32>, snags: &Snags) -> Running {
    let (sleep_after, term) = (Duration::from_secs(60), number.map(term));
    let config = CellConfig { sleep_after, term, patience: patience() };
    let disk = Arc::new(SnagDisk(RealDisk, snags.clone()));
    swarm.start_as(config, [7; 32], disk, "marks").await
}

async fn told(client: &mut Client) -> String {
    client.ask(GET).await.unwrap_or_default()
}

/// The whole course of a sync that hangs.
async fn a_sync_hangs(bench: &Bench) {
    let (mut writer, mut idle) = (bench.owner(&bench.alice).await, bench.owner(&bench.alice).await);
    let mut bob = bench.owner(&bench.bob).await;
    assert_eq!(writer.ask(&format!("{PUT} 1")).await.unwrap(), "data:0");
    bench.snag(Call::Sync, Snag::HangNth(1));
    let mut beside = 0;
    let hung = async {
        let answer = writer.ask(&format!("{PUT} 2")).await;
        answer.expect("an error with a code")
    };
    let neighbour = async {
        while bench.cell.cell.counters().restarts == 0 {
            let before = bench.snags.hanging();
            let answer = bob.ask("update:n.x@bob v").await.unwrap();
            assert!(answer.starts_with("data:"), "{answer}");
            beside += usize::from(before == 1 && bench.snags.hanging() == 1);
        }
    };
    let (answer, ()) = tokio::join!(hung, neighbour);
    assert!(answer.starts_with("error:AT0024"), "{answer}");
    assert!(beside > 0, "neighbours are answered while she hangs");
    let farewell = told(&mut idle).await;
    assert!(!farewell.contains("data:"), "{farewell}");

    let mut owner = bench.owner(&bench.alice).await;
    let kept = told(&mut owner).await;
    assert!(kept == "data:1" || kept == "data:2", "{kept}");
    let put = owner.ask(&format!("{PUT} 3")).await.unwrap();
    assert!(put.starts_with("data:"), "{put}");
    assert_eq!(bench.snags.hanging(), 1, "the old sync still hangs");
    bench.snags.clear();
    assert_eq!(told(&mut owner).await, "data:3", "what it still did counts for nothing");
    assert!(bob.ask("update:n.x@bob w").await.unwrap().starts_with("data:"), "never cut off");
    let counted = bench.cell.cell.counters();
    assert_eq!((counted.restarts, counted.quarantined, counted.fenced), (1, 0, 0));
    let ill = bench.cell.cell.ill();
    assert_eq!(ill.len(), 1);
    assert_eq!((&ill[0].identity, ill[0].restarts), (&bench.alice.identity, 1));
    assert!(ill[0].why.contains("does not get on") && !ill[0].is_quarantined, "{ill:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_sync_hangs_is_started_again_alone() {
    let bench = Bench::new(Some(1)).await;
    a_sync_hangs(&bench).await;
    bench.cell.end().await;
    let next = start(&bench.swarm, Some(2), &bench.snags).await;
    next.cell.adopt(&bench.alice).unwrap();
    let mut owner = bench.swarm.owner(&next, &bench.alice).await;
    assert_eq!(told(&mut owner).await, "data:3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_where_the_process_is_alone_with_its_volumes_and_after_its_next_start() {
    let bench = Bench::new(None).await;
    a_sync_hangs(&bench).await;
    bench.cell.end().await;
    for round in 0..2 {
        let next = start(&bench.swarm, None, &bench.snags).await;
        next.cell.adopt(&bench.alice).unwrap();
        let mut owner = bench.swarm.owner(&next, &bench.alice).await;
        assert_eq!(told(&mut owner).await, "data:3");
        // And once more.
        bench.snags.set(Call::Sync, &bench.alice.volume.to_string(), Snag::Panic);
        assert!(!owner.ask(&format!("{PUT} 4")).await.unwrap_or_default().contains("data:"));
        bench.snags.clear();
        next.until("restarted", |cell| cell.counters().restarts == 1).await;
        let mut owner = bench.swarm.owner(&next, &bench.alice).await;
        assert!(owner.ask(&format!("{PUT} 3")).await.unwrap().starts_with("data:"), "{round}");
        next.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_sync_harms_one_server_and_it_takes_writes_again_though_clients_stay() {
    let bench = Bench::new(Some(1)).await;
    let (mut writer, mut idle, mut bob) = (
        bench.owner(&bench.alice).await,
        bench.owner(&bench.alice).await,
        bench.owner(&bench.bob).await,
    );
    writer.ask(&format!("{PUT} 1")).await.unwrap();
    bench.snag(Call::Sync, Snag::Panic);
    let answer = writer.ask(&format!("{PUT} 2")).await.unwrap_or_default();
    assert!(!answer.contains("data:"), "{answer}");
    bench.snags.clear();
    bench.restarted(1).await;
    assert!(!told(&mut idle).await.contains("data:"));
    let mut owner = bench.owner(&bench.alice).await;
    assert!(owner.ask(&format!("{PUT} 3")).await.unwrap().starts_with("data:"));
    assert_eq!(told(&mut owner).await, "data:3");
    assert!(bob.ask("update:n.x@bob v").await.unwrap().starts_with("data:"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_fails_again_and_again_is_quarantined_and_named_until_it_is_placed_anew() {
    let bench = Bench::new(Some(1)).await;
    let mut bob = bench.owner(&bench.bob).await;
    for times in 1..=6 {
        let mut owner = bench.owner(&bench.alice).await;
        bench.snag(Call::Sync, Snag::Panic);
        let _ = owner.ask(&format!("{PUT} 1")).await;
        bench.snags.clear();
        bench.restarted(times).await;
    }
    assert_eq!(bench.cell.cell.counters().quarantined, 1);
    let ill = bench.cell.cell.ill();
    assert!(ill.len() == 1 && ill[0].is_quarantined && ill[0].restarts == 6, "{ill:?}");
    let mut refused = bench.swarm.client(&bench.cell, &bench.alice).await.unwrap();
    let answer = refused.ask("info:brief").await.unwrap_or_default();
    assert!(answer.contains("error:AT0024"), "{answer}");
    assert!(bob.ask("update:n.x@bob v").await.unwrap().starts_with("data:"));
    let anew = placement("@alice", 2);
    bench.cell.cell.adopt(&anew).unwrap();
    let mut owner = bench.owner(&anew).await;
    assert!(owner.ask(&format!("{PUT} 9")).await.unwrap().starts_with("data:"));
    assert!(bench.cell.cell.ill().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_does_not_open_keeps_nobody_else_from_waking() {
    let swarm = Swarm::new();
    let snags = Snags::default();
    let first = start(&swarm, Some(1), &snags).await;
    let alice = placement("@alice", 1);
    // More than are woken at once.
    let others: Vec<_> = (0..40).map(|n| placement(&format!("@other{n}"), 1)).collect();
    for placement in others.iter().chain([&alice]) {
        first.cell.create(placement.clone(), SECRET.to_owned()).await.unwrap();
    }
    for placement in &others {
        snags.set(Call::Open, &placement.volume.to_string(), Snag::Hang);
    }
    let mut refused = Vec::new();
    for placement in &others {
        refused.push(swarm.client(&first, placement).await.unwrap());
    }
    let asked = refused.iter_mut().map(|client| client.ask("info:brief"));
    let answers = tokio::time::timeout(PATIENCE, join_all(asked));
    let owner = async {
        let mut owner = swarm.owner(&first, &alice).await;
        owner.ask(&format!("{PUT} 1")).await.unwrap()
    };
    let (answers, put) = tokio::join!(answers, owner);
    assert_eq!(put, "data:0");
    for answer in answers.unwrap() {
        assert!(!answer.as_deref().unwrap_or_default().contains("data:"), "{answer:?}");
    }
    assert!(first.cell.counters().quarantined > 0 || first.cell.counters().restarts > 0);
    snags.clear();
    let mut owner = swarm.owner(&first, &alice).await;
    assert_eq!(told(&mut owner).await, "data:1");
}

async fn join_all<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut done = Vec::new();
    for one in all {
        done.push(one.await);
    }
    done
}
