//! One history: what the machines do, and whether it may have happened.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use storage::sim::{Crash, SimDisk};
use storage::{Batch, CommitError, Failure, OpenError, Store, Volumes, WatermarkError};

use super::mount::{Bug, Mount, SHARED, marks};
use super::schedule::Schedule;
use crate::support::{alice, epoch, id, keyring, wait};

const MACHINES: usize = 3;
const LIVES: u64 = 4;

type Keys = BTreeSet<String>;

#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub acks: u64,
    pub openings: u64,
    calls: u64,
}

struct Ack {
    epoch: u64,
    seq: u64,
    key: String,
}

/// All that an onlooker who sees everything notes.
#[derive(Default)]
struct Notes {
    acks: Vec<Ack>,
    /// Which epoch read which keys when it was opened.
    openings: Vec<(u64, Keys)>,
    tried: Keys,
    wrong: Option<String>,
    last_epoch: u64,
}

struct World {
    disk: SimDisk,
    schedule: Arc<Schedule>,
    notes: Mutex<Notes>,
    bug: Bug,
}

pub fn run(seed: u64, bug: Bug) -> Result<Outcome, String> {
    let disk = SimDisk::new();
    let volumes = Volumes::open(Arc::new(disk.clone()), SHARED, marks(0), &keyring()).unwrap();
    drop(volumes.create(id(1), &alice(), epoch(1)).unwrap());
    drop(volumes);
    let notes = Mutex::new(Notes { last_epoch: 1, ..Notes::default() });
    let schedule = Arc::new(Schedule::new(seed, MACHINES));
    let world = World { disk, schedule, notes, bug };
    std::thread::scope(|scope| {
        for machine in 0..MACHINES {
            let world = &world;
            scope.spawn(move || {
                let _turns = world.schedule.begin(machine);
                (0..LIVES).for_each(|life| world.live(machine, life));
            });
        }
    });
    world.judge(seed)
}

impl World {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }

    fn wrong(&self, what: String) {
        self.notes().wrong.get_or_insert(what);
    }

    /// A process on a machine, from its start to its end or its death.
    fn live(&self, machine: usize, life: u64) {
        let mount = Mount::new(&self.disk, &self.schedule, machine, self.bug);
        mount.set_opening(true);
        let disk = Arc::new(mount.clone());
        let Ok(volumes) = Volumes::open(disk, SHARED, marks(machine), &keyring()) else { return };
        let (number, highest) = self.next_epoch();
        let mut opened = self.open(&volumes, number);
        if opened.is_err() && self.schedule.dice(|d| d.once_in(2)) {
            // Once more in the same epoch, as after a failed start.
            opened = self.open(&volumes, number);
        }
        let Ok(store) = opened else { return };
        if number < highest {
            self.wrong(format!("epoch {number} was opened after {highest}"));
        }
        mount.set_opening(false);
        self.work(&store, number, &format!("{machine}-{life}"));
        if self.schedule.dice(|d| d.once_in(3)) && store.close().is_ok() {
            // The same machine and epoch again.
            mount.set_opening(true);
            let Ok(store) = self.open(&volumes, number) else { return };
            mount.set_opening(false);
            self.work(&store, number, &format!("{machine}-{life}-again"));
        }
    }

    /// What the registrar grants: an epoch that nobody had. Says also what was opened by then.
    fn next_epoch(&self) -> (u64, u64) {
        let mut notes = self.notes();
        notes.last_epoch += 1;
        let highest = notes.openings.iter().map(|(epoch, _)| *epoch).max().unwrap_or(1);
        (notes.last_epoch, highest)
    }

    fn open(&self, volumes: &Volumes, number: u64) -> Result<Store, ()> {
        let opened = match volumes.exists(id(1)) {
            true => volumes.open_store(id(1), &alice(), epoch(number)),
            false => volumes.take_over(id(1), &alice(), epoch(number)),
        };
        match opened {
            Ok(store) => {
                self.notes().openings.push((number, keys(&store)));
                Ok(store)
            }
            Err(
                OpenError::StaleEpoch { .. }
                | OpenError::EpochTaken { .. }
                | OpenError::AlreadyExists(_)
                | OpenError::Io { .. }
                | OpenError::Watermark(WatermarkError::Io { .. }),
            ) => Err(()),
            Err(error) => {
                self.wrong(format!("epoch {number} can't be opened: {error}"));
                Err(())
            }
        }
    }

    fn work(&self, store: &Store, epoch: u64, who: &str) {
        for round in 0..self.schedule.dice(|d| d.below(7)) {
            let done = match self.schedule.dice(|d| d.below(8)) {
                0 => store.compact().is_ok(),
                1 => store.check_epoch().is_ok(),
                kind => self.write(store, epoch, &format!("{who}-{round}"), kind / 3 + 1),
            };
            if !done {
                return;
            }
        }
    }

    /// Some batches with one sync.
    fn write(&self, store: &Store, epoch: u64, who: &str, count: u64) -> bool {
        let (mut waiting, mut jobs) = (Vec::new(), Vec::new());
        for number in 0..count {
            let key = format!("{epoch}-{who}-{number}");
            self.notes().tried.insert(key.clone());
            let mut batch = Batch::new();
            batch.put(key.as_bytes(), &value(&key));
            let Ok((commit, job)) = store.append(batch) else { return false };
            waiting.push((key, commit));
            jobs.extend(job);
        }
        jobs.into_iter().for_each(storage::SyncJob::run);
        let mut all = true;
        for (key, commit) in waiting {
            match wait(commit) {
                Ok(ack) => {
                    let seq = ack.seq().number();
                    self.notes().acks.push(Ack { epoch: ack.epoch().number(), seq, key });
                }
                Err(CommitError::Stopped(Failure::Fenced { opened, .. })) => {
                    let refused = store.append(Batch::new()).is_err();
                    if !refused || opened.number() <= epoch {
                        self.wrong(format!("epoch {epoch} was fenced by {opened} and goes on"));
                    }
                    all = false;
                }
                Err(_) => all = false,
            }
        }
        all
    }

    /// The shared disk loses its power, too; then a machine that knows nothing opens the volume.
    fn judge(self, seed: u64) -> Result<Outcome, String> {
        let how = match seed % 4 {
            0 => Crash::Kept,
            1 => Crash::Lost,
            _ => Crash::Torn(seed),
        };
        let disk = self.disk.crash(how);
        let mut notes = self.notes.into_inner().unwrap();
        if let Some(wrong) = notes.wrong {
            return Err(wrong);
        }
        let number = notes.last_epoch + 1;
        let store = Volumes::open(Arc::new(disk), SHARED, Path::new("/last/marks"), &keyring())
            .and_then(|volumes| volumes.take_over(id(1), &alice(), epoch(number)))
            .map_err(|error| format!("what was acknowledged is out of reach: {error}"))?;
        for key in keys(&store) {
            let found = store.get(key.as_bytes()).map_err(|error| format!("{key}: {error}"))?;
            assert!(found.unwrap().bytes == value(&key));
        }
        notes.openings.push((number, keys(&store)));
        notes.check()?;
        let (acks, openings) = (notes.acks.len() as u64, notes.openings.len() as u64);
        Ok(Outcome { acks, openings, calls: self.disk.calls() })
    }
}

impl Notes {
    fn check(&mut self) -> Result<(), String> {
        for (opened, keys) in &self.openings {
            if let Some(key) = keys.iter().find(|key| !self.tried.contains(*key)) {
                return Err(format!("epoch {opened} read {key}, which nobody wrote"));
            }
            let lost = self.acks.iter().find(|a| a.epoch < *opened && !keys.contains(&a.key));
            if let Some(Ack { epoch, seq, .. }) = lost {
                return Err(format!(
                    "epoch {epoch} acknowledged batch {seq}, which epoch {opened} did not read"
                ));
            }
        }
        self.acks.sort_by_key(|ack| ack.seq);
        let pairs = self.acks.windows(2);
        let mut crossed = pairs.filter(|p| p[0].seq == p[1].seq || p[0].epoch > p[1].epoch);
        match crossed.next() {
            None => Ok(()),
            Some(pair) => Err(format!(
                "epochs {} and {} acknowledged across one another (batch {})",
                pair[0].epoch, pair[1].epoch, pair[0].seq
            )),
        }
    }
}

fn keys(store: &Store) -> Keys {
    store.keys(b"").iter().map(|key| String::from_utf8(key.to_vec()).unwrap()).collect()
}

/// The value of a key, of various lengths.
fn value(key: &str) -> Vec<u8> {
    key.bytes().cycle().take(key.bytes().map(usize::from).sum::<usize>() % 700).collect()
}
