//! Whatever a feed's carrier does to the registrar's changes, a directory shows a state that the
//! registrar once had, never an earlier one than before, and in the end the newest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use common::{Registrar, name, signed, signed_snapshot, the_feed, the_key};
use directory::{BoxFuture, Directory, FeedAnswer, FeedError, FeedSource};
use feed::{Signed, SignedSnapshot, SigningKey};
use net::drain::Drain;
use proptest::prelude::*;
use protocol::control::feed::{Batch, Change, Snapshot};
use protocol::{Address, AtSign, Epoch, FeedId, Timestamp};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];

type State = BTreeMap<AtSign, Address>;

/// What the carrier does to one answer.
#[derive(Debug, Clone)]
enum Fate {
    Honest,
    /// From an earlier number on than was asked for.
    Repeated(u64),
    /// Some changes at the front are missing.
    Gap(usize),
    /// One change inside is missing.
    Hole(usize),
    Reversed,
    /// Only the first few.
    Cut(usize),
    /// As the registrar answered long ago.
    Stale(u64),
    /// A change comes from a placement that is over.
    LowerEpoch,
    ForeignFeed,
    StartAnew,
    /// Somebody else's, signed by him.
    Forged,
    /// The registrar's, with a bit changed on the way.
    Flipped(usize),
    Lost,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Honest),
        2 => (0..20_u64).prop_map(Fate::Repeated),
        2 => (1..5_usize).prop_map(Fate::Gap),
        2 => (0..5_usize).prop_map(Fate::Hole),
        1 => Just(Fate::Reversed),
        3 => (1..4_usize).prop_map(Fate::Cut),
        2 => (0..20_u64).prop_map(Fate::Stale),
        2 => Just(Fate::LowerEpoch),
        1 => Just(Fate::ForeignFeed),
        1 => Just(Fate::StartAnew),
        2 => Just(Fate::Forged),
        2 => any::<usize>().prop_map(Fate::Flipped),
        1 => Just(Fate::Lost),
    ]
}

/// Changes as a registrar numbers them: epochs rise with each placement.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = (0..NAMES.len(), prop::option::weighted(0.8, 1..100_u16));
    prop::collection::vec(one, 1..30).prop_map(|steps| {
        let mut epochs = [1_u64; NAMES.len()];
        let numbered = steps.into_iter().zip(1..);
        numbered
            .map(|((who, port), number)| {
                epochs[who] += u64::from(port.is_some());
                Change {
                    number,
                    identity: name(NAMES[who]),
                    address: port.map(|p| Address::parse(&format!("h{}:{p}", p % 3)).unwrap()),
                    epoch: Epoch::from_number(epochs[who]).unwrap(),
                }
            })
            .collect()
    })
}

fn states(changes: &[Change]) -> Vec<State> {
    let mut state = State::new();
    let mut all = vec![state.clone()];
    for change in changes {
        match &change.address {
            Some(at) => drop(state.insert(change.identity.clone(), at.clone())),
            None => drop(state.remove(&change.identity)),
        }
        all.push(state.clone());
    }
    all
}

/// A carrier with a fate for each answer, honest once they are used up. While it has some, the
/// registrar publishes a few changes between two questions; then all that are left. It looks at the
/// directory whenever it is asked.
struct Carrier {
    changes: Vec<Change>,
    states: Vec<State>,
    fates: Mutex<Vec<(Fate, usize)>>,
    published: Mutex<usize>,
    seen: Mutex<u64>,
    directory: OnceLock<Arc<Directory>>,
}

impl Carrier {
    fn next_fate(&self) -> Fate {
        self.look();
        let mut published = self.published.lock().unwrap();
        let (fate, more) =
            self.fates.lock().unwrap().pop().unwrap_or((Fate::Honest, self.changes.len()));
        *published = (*published + more).min(self.changes.len());
        fate
    }

    fn look(&self) {
        let directory = self.directory.get().unwrap();
        let status = directory.status();
        let mut seen = self.seen.lock().unwrap();
        assert!(status.number >= *seen, "from {} back to {}", *seen, status.number);
        *seen = status.number;
        if !status.ready {
            return;
        }
        let shown: State =
            NAMES.iter().filter_map(|n| Some((name(n), directory.lookup(&name(n))?))).collect();
        let expected = &self.states[usize::try_from(status.number).unwrap()];
        assert_eq!(&shown, expected, "at change {}", status.number);
    }

    /// The registrar as it was when it had published so many changes, or fewer.
    fn registrar(&self, published_max: u64) -> Registrar {
        let published = *self.published.lock().unwrap();
        let count = published.min(usize::try_from(published_max).unwrap());
        Registrar::new(self.changes[..count].to_vec())
    }

    fn spoil(&self, number: u64, fate: Fate) -> Result<FeedAnswer, FeedError> {
        let mut batch = self.registrar(1000).batch_after(number);
        let changes = &mut batch.changes;
        match fate {
            Fate::Honest => {}
            Fate::Repeated(back) => {
                batch = self.registrar(1000).batch_after(number.saturating_sub(back));
            }
            Fate::Gap(count) => drop(changes.drain(..count.min(changes.len()))),
            Fate::Hole(at) if at < changes.len() => drop(changes.remove(at)),
            Fate::Hole(_) => {}
            Fate::Reversed => changes.reverse(),
            Fate::Cut(count) => changes.truncate(count),
            Fate::Stale(newest) => batch = self.registrar(newest).batch_after(0),
            Fate::LowerEpoch => self.bring_back_the_past(number, changes),
            Fate::ForeignFeed => batch.feed = FeedId::from_bytes([9; 16]),
            Fate::StartAnew => return Ok(FeedAnswer::SnapshotNeeded),
            Fate::Forged => return Ok(FeedAnswer::Batch(forged(batch))),
            Fate::Flipped(bit) => {
                let bytes = flipped(signed(&batch).to_bytes(), bit);
                return Ok(FeedAnswer::Batch(Signed::from_bytes(&bytes).unwrap()));
            }
            Fate::Lost => return Err(FeedError::Deadline),
        }
        Ok(FeedAnswer::Batch(signed(&batch)))
    }

    /// The first change becomes one of an old placement, if its identity has a newer one.
    fn bring_back_the_past(&self, number: u64, changes: &mut [Change]) {
        let state = &self.states[usize::try_from(number).unwrap()];
        if let Some(first) = changes.first_mut().filter(|c| state.contains_key(&c.identity)) {
            first.epoch = Epoch::FIRST;
            first.address = Some(Address::parse("old.example:1").unwrap());
        }
    }
}

impl FeedSource for Carrier {
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
        Box::pin(async {
            let now = self.registrar(1000).snapshot_now();
            match self.next_fate() {
                Fate::Lost => Err(FeedError::Deadline),
                // A snapshot as it was long ago.
                Fate::Stale(newest) => Ok(signed_snapshot(&self.registrar(newest).snapshot_now())),
                Fate::Forged => Ok(forged_snapshot(now)),
                Fate::Flipped(bit) => Ok(flipped(signed_snapshot(&now), bit)),
                _ => Ok(signed_snapshot(&now)),
            }
        })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>> {
        Box::pin(async {
            let (fate, now) = (self.next_fate(), self.registrar(1000).snapshot_now());
            let checkpoint = |snapshot: &Snapshot, key: &SigningKey| {
                SignedSnapshot::of(snapshot, Timestamp(9), key).unwrap().signed().clone()
            };
            match fate {
                Fate::Lost => Err(FeedError::Deadline),
                Fate::Stale(newest) => {
                    Ok(checkpoint(&self.registrar(newest).snapshot_now(), &the_key()))
                }
                Fate::Forged => Ok(checkpoint(&now, &forger())),
                Fate::Flipped(bit) => {
                    let bytes = flipped(checkpoint(&now, &the_key()).to_bytes(), bit);
                    Ok(Signed::from_bytes(&bytes).unwrap())
                }
                _ => Ok(checkpoint(&now, &the_key())),
            }
        })
    }

    fn after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
        assert_eq!(feed, the_feed());
        Box::pin(async move {
            let is_peaceful = self.fates.lock().unwrap().is_empty();
            if is_peaceful && number == self.changes.len() as u64 {
                tokio::time::sleep(wait).await;
            }
            let fate = self.next_fate();
            self.spoil(number, fate)
        })
    }
}

fn forger() -> SigningKey {
    SigningKey::from_seed(&[66; 32]).unwrap()
}

/// Everybody is led to the forger's own host.
fn forged(mut batch: Batch) -> Signed {
    for change in &mut batch.changes {
        change.address = Some(Address::parse("evil.example:1").unwrap());
    }
    Signed::of(&batch, &forger()).unwrap()
}

fn forged_snapshot(mut snapshot: Snapshot) -> Vec<u8> {
    for entry in &mut snapshot.entries {
        entry.address = Address::parse("evil.example:1").unwrap();
    }
    SignedSnapshot::of(&snapshot, Timestamp(9), &forger()).unwrap().to_bytes()
}

fn flipped(mut bytes: Vec<u8>, bit: usize) -> Vec<u8> {
    let at = bit % (bytes.len() * 8);
    bytes[at / 8] ^= 1 << (at % 8);
    bytes
}

fn check(changes: Vec<Change>, fates: Vec<(Fate, usize)>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path().join("file")).unwrap();
        let newest = changes.len() as u64;
        let carrier = Arc::new(Carrier {
            states: states(&changes),
            changes,
            fates: Mutex::new(fates),
            published: Mutex::new(0),
            seen: Mutex::new(0),
            directory: OnceLock::from(Arc::clone(&directory)),
        });
        let drain = Drain::new();
        let source = Arc::clone(&carrier) as Arc<dyn FeedSource>;
        let following =
            tokio::spawn(Arc::clone(&directory).follow(source, the_key().public(), drain.clone()));
        let is_there = directory.reached(newest, Duration::from_secs(3600)).await;
        assert!(is_there, "it never reached {newest}: {:?}", directory.status());
        carrier.look();
        // In peace, it asks what the registrar says about everything, and finds the same.
        tokio::time::sleep(Duration::from_secs(200)).await;
        carrier.look();
        assert_eq!(directory.status().checkpoint, Some(newest));
        drain.start();
        following.await.expect("every look was as it should be");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_carrier_converges_or_is_refused_and_never_goes_backwards(
        changes in changes(),
        fates in prop::collection::vec((fate(), 0..4_usize), 0..30),
    ) {
        check(changes, fates);
    }
}

#[test]
fn the_check_would_notice_a_batch_too_large() {
    let batch = Batch {
        feed: the_feed(),
        changes: (1..=10_001).map(|n| common::change(n, "alice", None, 1)).collect(),
        newest: 10_001,
        at: Timestamp(0),
    };
    struct Flood(Batch, Mutex<u32>);
    impl FeedSource for Flood {
        fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
            let empty = Snapshot { feed: the_feed(), number: 0, entries: Vec::new() };
            Box::pin(async move { Ok(signed_snapshot(&empty)) })
        }
        fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>> {
            Box::pin(async { Err(FeedError::Deadline) })
        }
        fn after(
            &self,
            _: FeedId,
            _: u64,
            _: Duration,
        ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
            *self.1.lock().unwrap() += 1;
            Box::pin(async { Ok(FeedAnswer::Batch(signed(&self.0))) })
        }
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::open(folder.path().join("file")).unwrap();
        let flood = Arc::new(Flood(batch, Mutex::new(0)));
        let source = Arc::clone(&flood) as Arc<dyn FeedSource>;
        let drain = Drain::new();
        tokio::spawn(Arc::clone(&directory).follow(source, the_key().public(), drain.clone()));
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(directory.status().number, 0, "refused");
        let asked = *flood.1.lock().unwrap();
        assert!((3..20).contains(&asked), "ever more slowly: {asked} times in a minute");
    });
}
