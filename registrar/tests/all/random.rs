//! Random orders, failures and crashes, watched by a follower that outlives them all.
//!
//! The follower keeps its table over every crash of the registrar, as a directory does. Whatever
//! happens: what it was told stays true, epochs never go back, and a name that resolves has a
//! server at its address.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::control::feed::Change;
use protocol::{Address, AtSign, Epoch, FeedId};
use registrar::{FeedAnswer, Registrar, State, SwarmError};
use storage::disk::sim::Crash;

use crate::swarm::{FakeSwarm, Fault};
use crate::world::{World, id, name, run, snapshot, state};

const NAMES: [&str; 4] = ["@alice", "@bob", "@carol", "@dave"];

/// Splitmix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0) % sides
    }
}

fn mix(number: u64) -> u64 {
    let x = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

#[derive(Default)]
struct Follower {
    feed: Option<FeedId>,
    number: u64,
    table: BTreeMap<AtSign, Address>,
    epochs: BTreeMap<AtSign, Epoch>,
}

impl Follower {
    async fn follow(&mut self, registrar: &Registrar) {
        if let Some(feed) = self.feed {
            match registrar.feed_after(feed, self.number, Duration::ZERO).await {
                FeedAnswer::Batch(batch) => {
                    assert!(batch.newest >= self.number, "what was told was forgotten");
                    batch.changes.into_iter().for_each(|change| self.take(change));
                    assert_eq!(self.number, batch.newest);
                }
                FeedAnswer::SnapshotNeeded => panic!("what was told was forgotten"),
            }
        }
        let snapshot = snapshot(registrar).await;
        let table = snapshot.entries.into_iter().map(|entry| (entry.identity, entry.address));
        let table: BTreeMap<_, _> = table.collect();
        if self.feed.is_some() {
            assert_eq!((self.number, &self.table), (snapshot.number, &table));
        }
        (self.feed, self.number, self.table) = (Some(snapshot.feed), snapshot.number, table);
    }

    fn take(&mut self, change: Change) {
        assert_eq!(change.number, self.number + 1);
        self.number = change.number;
        let before = self.epochs.insert(change.identity.clone(), change.epoch);
        match change.address {
            Some(address) => {
                assert!(before < Some(change.epoch), "an epoch came twice");
                self.table.insert(change.identity, address);
            }
            None => {
                assert_eq!(before, Some(change.epoch));
                assert!(self.table.remove(&change.identity).is_some());
            }
        }
    }

    /// A name that resolves has its server at its address, with the secret that it should have.
    async fn assert_answers(&self, registrar: &Registrar, swarm: &FakeSwarm) {
        for (identity, address) in &self.table {
            // The machine may go off during any call.
            let Ok(activation) = registrar.activation(identity).await else { return };
            let (_, secret) = activation.expect("it resolves and is not published");
            let host = swarm.host();
            let volume = host.routes.get(&address.port.get()).expect("no route");
            let server = host.servers.get(volume).expect("no server");
            assert_eq!((&server.identity, server.secret.as_str()), (identity, secret.expose()));
            assert_eq!(Some(&server.epoch), self.epochs.get(identity));
        }
    }
}

fn set_failures(swarm: &FakeSwarm, seed: u64) {
    let away = || SwarmError::Unavailable("away".into());
    swarm.set_rule(move |call, _| match mix(seed ^ (call as u64) << 32) % 20 {
        0 | 1 => Fault::Fail(away()),
        2 => Fault::DoneButFail(away()),
        3 => Fault::Fail(SwarmError::Refused("no".into())),
        4 => Fault::DoneButFail(SwarmError::PortTaken),
        5 => Fault::DieBefore,
        6 => Fault::DieAfter,
        _ => Fault::None,
    });
}

/// One order, as somebody would give it.
async fn order(registrar: &Arc<Registrar>, dice: &mut Dice) {
    let who = name(NAMES[usize::try_from(dice.roll(4)).unwrap()]);
    match dice.roll(5) {
        0 => registrar.resume().await,
        1 => drop(registrar.delete(who, None).await),
        _ => {
            let id = id(u8::try_from(dice.roll(2)).unwrap());
            drop(registrar.register(who, id).await);
        }
    }
}

fn live_through(seed: u64) {
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let mut world = World::new();
    let mut follower = Follower::default();
    for life in 0..6 {
        let power = dice.roll(2) == 0;
        run(async {
            let registrar = world.open();
            follower.follow(&registrar).await;
            follower.assert_answers(&registrar, &world.swarm).await;
            set_failures(&world.swarm, mix(seed) ^ life);
            if power {
                world.disk.power_off_in(1 + dice.roll(120));
            }
            for _ in 0..8 {
                tokio::select! {
                    () = order(&registrar, &mut dice) => {}
                    () = world.swarm.died() => return,
                }
                if !registrar.is_sound() {
                    return;
                }
                follower.follow(&registrar).await;
                follower.assert_answers(&registrar, &world.swarm).await;
            }
        });
        let crash = match dice.roll(3) {
            0 => Crash::Kept,
            1 => Crash::Lost,
            _ => Crash::Torn(dice.roll(1 << 32)),
        };
        world = world.after(crash);
    }
    run(async {
        let registrar = world.open();
        registrar.resume().await;
        follower.follow(&registrar).await;
        assert!(registrar.placements().is_ok(), "the machine is on");
        follower.assert_answers(&registrar, &world.swarm).await;
        for who in NAMES {
            let state = state(&registrar, who).await;
            assert!(matches!(state, None | Some(State::Published)), "{who} is {state:?}");
        }
        let host = world.swarm.host();
        assert_eq!(host.servers.len(), follower.table.len(), "a server is left over");
        assert_eq!(host.routes.len(), follower.table.len(), "a route is left over");
    });
}

#[test]
fn whatever_happens_a_follower_is_told_the_truth() {
    for seed in 0..120 {
        live_through(seed);
    }
}
