//! Random lives of a store against a map in memory, with faults.

use proptest::collection::vec;
use proptest::prelude::*;
use storage::sim::{Crash, SimDisk};
use storage::{Batch, OpenError, ReadError, Store};

use crate::support::*;

type Changes = Vec<(u8, Option<(u8, u16)>)>;

#[derive(Debug, Clone)]
enum Step {
    Commit(Changes),
    Group(Vec<Changes>),
    AppendOnly(Changes),
    Many(u8),
    Maintain,
    Reopen { next_epoch: bool, close: bool },
    PowerOff { calls: u64, torn: Option<u64> },
    Lie { call: u64, changes: Changes },
    FailSync { syncs: u64 },
    Full { room: u64 },
}

fn changes() -> impl Strategy<Value = Changes> {
    let value = proptest::option::weighted(0.8, (any::<u8>(), 0..1_500u16));
    vec((0..12u8, value), 1..5)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => changes().prop_map(Step::Commit),
        3 => vec(changes(), 1..5).prop_map(Step::Group),
        1 => changes().prop_map(Step::AppendOnly),
        1 => (1..30u8).prop_map(Step::Many),
        2 => Just(Step::Maintain),
        2 => any::<(bool, bool)>()
            .prop_map(|(next_epoch, close)| Step::Reopen { next_epoch, close }),
        2 => (1..12u64, proptest::option::of(any::<u64>()))
            .prop_map(|(calls, torn)| Step::PowerOff { calls, torn }),
        1 => (1..4u64, changes()).prop_map(|(call, changes)| Step::Lie { call, changes }),
        1 => (1..4u64).prop_map(|syncs| Step::FailSync { syncs }),
        1 => (0..4_000u64).prop_map(|room| Step::Full { room }),
    ]
}

struct World {
    disk: SimDisk,
    store: Store,
    epoch: u64,
    /// `states[n]` is the state after `n` batches, so far as they may have happened.
    states: Vec<State>,
    acknowledged: usize,
    power: Option<Crash>,
}

impl World {
    fn new() -> Self {
        let disk = SimDisk::new();
        let store = create(&disk);
        let states = vec![State::new()];
        Self { disk, store, epoch: 1, states, acknowledged: 0, power: None }
    }

    fn expect(&mut self, changes: &Changes) -> Batch {
        let mut state = self.states.last().unwrap().clone();
        let mut batch = Batch::new();
        for (key, value) in changes {
            let key = format!("key {key}").into_bytes();
            match value {
                Some((byte, length)) => {
                    let value = vec![*byte; usize::from(*length)];
                    batch.put(&key, &value);
                    state.insert(key, value);
                }
                None => {
                    batch.delete(&key);
                    state.remove(&key);
                }
            }
        }
        self.states.push(state);
        batch
    }

    fn group(&mut self, groups: &[Changes], run: bool) {
        let mut waiting = Vec::new();
        for changes in groups {
            let batch = self.expect(changes);
            match self.store.append(batch) {
                Ok(appended) => waiting.push(appended),
                Err(_) => {
                    self.states.pop();
                    break;
                }
            }
        }
        assert!((self.store.latest().number() as usize) < self.states.len());
        if !run {
            return;
        }
        let (commits, jobs): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        jobs.into_iter().flatten().for_each(storage::SyncJob::run);
        for commit in commits {
            if let Ok(ack) = wait(commit) {
                self.acknowledged = self.acknowledged.max(ack.seq().number() as usize);
            }
        }
    }

    /// Drops the store, lets the machine die if that is due, and opens it again.
    fn restart(&mut self, epoch: u64) {
        if let Some(how) = self.power.take() {
            self.disk = self.disk.crash(how);
        }
        self.disk.heal();
        self.epoch = epoch;
        // The old store may still hold the file's lock on the same disk.
        let placeholder = create(&SimDisk::new());
        drop(std::mem::replace(&mut self.store, placeholder));
        let volumes = volumes(&self.disk);
        self.store = match volumes.open_store(id(1), &alice(), crate::support::epoch(epoch)) {
            Err(OpenError::StaleEpoch { found, .. }) => {
                self.epoch = found.number();
                volumes.open_store(id(1), &alice(), found).unwrap()
            }
            opened => opened.unwrap(),
        };
        let batches = self.store.latest().number() as usize;
        assert!(batches >= self.acknowledged, "{batches} of {} left", self.acknowledged);
        assert!(batches < self.states.len());
        self.states.truncate(batches + 1);
        self.acknowledged = batches;
        self.check();
    }

    fn check(&self) {
        // With two faults at once a stopped store may be unable to read; then it says so.
        let is_stopped = self.store.append(Batch::new()).is_err();
        if is_stopped && matches!(self.store.digest(), Err(ReadError::Stopped(_))) {
            return;
        }
        let batches = self.store.latest().number() as usize;
        assert!(state(&self.store) == self.states[batches], "the state after {batches} batches");
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Commit(changes) => self.group(std::slice::from_ref(changes), true),
            Step::Group(groups) => self.group(groups, true),
            Step::AppendOnly(changes) => self.group(std::slice::from_ref(changes), false),
            Step::Many(count) => {
                (0..*count).for_each(|n| self.group(&[vec![(0, Some((n, 1)))]], true))
            }
            Step::Maintain => drop(self.store.compact()),
            Step::Reopen { next_epoch, close } => {
                if *close {
                    let _ = self.store.close();
                }
                self.restart(self.epoch + u64::from(*next_epoch));
            }
            // What is off stays off.
            Step::PowerOff { .. } if self.power.is_some() => {}
            Step::PowerOff { calls, torn } => {
                self.disk.power_off_in(*calls);
                self.power = Some(torn.map_or(Crash::Lost, Crash::Torn));
            }
            Step::Lie { call, changes } => {
                self.disk.lie_in(*call);
                self.group(std::slice::from_ref(changes), true);
                // Whatever reads next is to be told the truth.
                self.disk.lie_in(u64::MAX / 2);
            }
            Step::FailSync { syncs } => self.disk.fail_sync_in(*syncs),
            Step::Full { room } => self.disk.set_room(Some(*room)),
        }
        // While the machine is off nothing can be read.
        if self.power.is_none() {
            self.check();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_store_is_a_map_that_forgets_only_what_was_not_acknowledged(
        steps in vec(step(), 1..40)
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        world.restart(world.epoch);
    }
}
