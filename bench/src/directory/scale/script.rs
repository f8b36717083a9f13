//! What the registrar is going to say, signed beforehand: so the run measures the replica, and not
//! the making of its feed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use atlas::Atlas;
use directory::snapshot_file::{self, Head};
use feed::{Checkpoint, FeedKey, Signed, SignedSnapshot, SigningKey};
use protocol::control::feed::{Batch, Change};
use protocol::{Address, AtSign, Epoch, FeedId, Timestamp};
use testkit::Random;

use super::population::host_name;
use crate::directory::names::HOSTS;

/// Time between two batches.
pub const PACE: Duration = Duration::from_millis(50);

/// All that will be said.
pub struct Script {
    pub key: FeedKey,
    /// The word that there is nothing yet, and the checkpoint of the beginning.
    pub silence: Vec<u8>,
    pub beginning: Vec<u8>,
    pub entries: Vec<Entry>,
    /// Where everybody is in the end who changed; none for who is gone.
    pub newest: HashMap<String, Option<String>>,
    pub checkpoints: usize,
}

/// What is published at once.
pub struct Entry {
    pub last: u64,
    pub batch: Vec<u8>,
    /// The word that there is nothing after it.
    pub word: Vec<u8>,
    /// A checkpoint that is as late.
    pub checkpoint: Option<Vec<u8>>,
    /// Somebody who moves with it, and where to.
    pub moved: (String, String),
}

struct Writer {
    key: SigningKey,
    feed: FeedId,
    random: Random,
    snapshot: SignedSnapshot,
    /// Changes that are not in the snapshot.
    since: Vec<Change>,
    number: u64,
    newest: HashMap<String, Option<String>>,
}

/// Writes the replica's file, and then what is to happen: so many batches of so many changes each,
/// and a checkpoint after each `checkpoint_every`.
pub fn write(
    file: &Path,
    atlas: Atlas,
    names: &[String],
    batches: usize,
    changes_each: usize,
    checkpoint_every: usize,
) -> Script {
    let key = SigningKey::from_seed(&[9; 32]).expect("a seed");
    let feed = FeedId::from_bytes([9; 16]);
    let root = atlas.root().expect("sound names");
    let checkpoint = Checkpoint { feed, number: 0, root, at: now() };
    let signed = Signed::of(&checkpoint, &key).expect("short");
    let atlas = Arc::new(atlas);
    let head = Head::of(&atlas, feed, 0, now(), now());
    snapshot_file::save(file, &head, &atlas, std::slice::from_ref(&signed)).expect("saved");
    let snapshot = SignedSnapshot::stored(signed.clone(), atlas).expect("a checkpoint");
    let mut writer = Writer {
        key,
        feed,
        random: Random::new(2),
        snapshot,
        since: Vec::new(),
        number: 0,
        newest: HashMap::new(),
    };
    let silence = writer.sign(Vec::new());
    let mut names = names.iter().cycle();
    let entries: Vec<_> =
        (0..batches).map(|_| writer.entry(&mut names, changes_each, checkpoint_every)).collect();
    Script {
        key: writer.key.public(),
        silence,
        beginning: signed.to_bytes(),
        checkpoints: entries.iter().filter(|entry| entry.checkpoint.is_some()).count(),
        entries,
        newest: writer.newest,
    }
}

impl Writer {
    fn entry<'a>(
        &mut self,
        names: &mut impl Iterator<Item = &'a String>,
        changes: usize,
        checkpoint_every: usize,
    ) -> Entry {
        let changes: Vec<_> = names.take(changes).map(|name| self.change(name)).collect();
        let moved = changes.iter().rev().find_map(|change| {
            let address = change.address.as_ref()?.to_string();
            Some((change.identity.bare().to_owned(), address))
        });
        self.since.extend(changes.iter().cloned());
        let batch = self.sign(changes);
        let word = self.sign(Vec::new());
        let is_due = self.since.len() >= checkpoint_every;
        let checkpoint = is_due.then(|| self.checkpoint());
        let moved = moved.expect("most changes are moves");
        Entry { last: self.number, batch, word, checkpoint, moved }
    }

    /// Of twenty, one is somebody new, one somebody who goes; the others move.
    fn change(&mut self, name: &str) -> Change {
        self.number += 1;
        let (host, port) = (self.random.below(HOSTS), 20_000 + self.random.below(40_000));
        let address = Address::parse(&format!("{}:{port}", host_name(host))).expect("an address");
        // No syllable begins with an x, so nobody has that name.
        let (name, address) = match self.number % 20 {
            7 => (name.to_owned(), None),
            13 => (format!("{name}x"), Some(address)),
            _ => (name.to_owned(), Some(address)),
        };
        self.newest.insert(name.clone(), address.as_ref().map(ToString::to_string));
        let identity = AtSign::parse(&name).expect("a name");
        Change { number: self.number, identity, address, epoch: Epoch::FIRST }
    }

    fn sign(&self, changes: Vec<Change>) -> Vec<u8> {
        let batch = Batch { feed: self.feed, changes, newest: self.number, at: now() };
        Signed::of(&batch, &self.key).expect("not too long").to_bytes()
    }

    fn checkpoint(&mut self) -> Vec<u8> {
        let since = std::mem::take(&mut self.since);
        self.snapshot =
            self.snapshot.with(&since, self.number, now(), &self.key).expect("sound names");
        self.snapshot.signed().to_bytes()
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp(i64::try_from(since.as_millis()).expect("a time"))
}
