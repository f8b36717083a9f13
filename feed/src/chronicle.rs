//! What is known, in the registrar's own words: a snapshot, and the batches since.
//!
//! Whoever keeps one can hand it on to others, who need not believe him; can prove what he says; and
//! can follow the registrar's checkpoints, each of which must be what these words come to.

use std::collections::VecDeque;
use std::sync::Arc;

use atlas::Atlas;
use protocol::FeedId;
use protocol::control::feed::{Batch, Change};

use crate::changes::Latest;
use crate::checkpoint::Checkpoint;
use crate::renewal::Renewal;
use crate::signed::{Forged, Signed};
use crate::snapshot::{SignedSnapshot, SnapshotError};

/// A snapshot and what was said since, without a gap.
#[derive(Debug, Clone)]
pub struct Chronicle {
    checkpoint: Checkpoint,
    signed: Signed,
    /// All names as of the checkpoint; none from the moment when a [`Renewal`] has them.
    atlas: Option<Arc<Atlas>>,
    since: VecDeque<Piece>,
    /// What was said last, and be it that there is nothing new.
    latest: Option<Signed>,
    changes: usize,
}

/// What somebody gets who asks for news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A batch.
    Word(Signed),
    /// Nothing was said since the snapshot, not even that there is nothing new.
    NotYet,
    /// He follows another feed, or is too far behind.
    SnapshotNeeded,
}

/// A batch of which at least the last change was new.
#[derive(Debug, Clone)]
struct Piece {
    last: u64,
    changes: usize,
    signed: Signed,
}

impl Chronicle {
    /// Begins with a snapshot.
    #[must_use]
    pub fn new(base: SignedSnapshot) -> Self {
        let (checkpoint, signed, atlas) = base.into_parts();
        let since = VecDeque::new();
        Self { checkpoint, signed, atlas: Some(atlas), since, latest: None, changes: 0 }
    }

    /// Which feed it tells.
    #[must_use]
    pub fn feed(&self) -> FeedId {
        self.checkpoint.feed
    }

    /// The last change that it tells.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.since.back().map_or(self.checkpoint.number, |piece| piece.last)
    }

    /// What the registrar said of the snapshot with which it begins.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The same as it was signed.
    #[must_use]
    pub fn signed(&self) -> &Signed {
        &self.signed
    }

    /// The snapshot with which it begins; none while it is renewed.
    #[must_use]
    pub fn base(&self) -> Option<SignedSnapshot> {
        let atlas = Arc::clone(self.atlas.as_ref()?);
        Some(SignedSnapshot::from_parts(self.checkpoint, self.signed.clone(), atlas))
    }

    /// Changes in the batches since.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.changes
    }

    /// The batches since, in order.
    pub fn batches(&self) -> impl Iterator<Item = &Signed> {
        self.since.iter().map(|piece| &piece.signed)
    }

    /// Takes up a batch that was found to be signed, and to follow without a gap.
    pub fn add(&mut self, signed: &Signed, batch: &Batch) {
        match batch.changes.last().map(|change| change.number) {
            Some(last) if last > self.number() => {
                let changes = batch.changes.len();
                self.changes += changes;
                self.since.push_back(Piece { last, changes, signed: signed.clone() });
                self.latest = None;
            }
            _ if batch.newest == self.number() => self.latest = Some(signed.clone()),
            _ => {}
        }
    }

    /// For somebody who knows all changes up to `number`: the batch with the next one, or the newest
    /// word that there is none.
    #[must_use]
    pub fn after(&self, feed: FeedId, number: u64) -> News {
        if feed != self.feed() || number < self.checkpoint.number {
            return News::SnapshotNeeded;
        }
        let next = self.since.partition_point(|piece| piece.last <= number);
        let newest = || self.latest.as_ref().or(self.since.back().map(|piece| &piece.signed));
        let word = self.since.get(next).map(|piece| &piece.signed).or_else(newest);
        word.cloned().map_or(News::NotYet, News::Word)
    }

    /// The batch with a change after the snapshot.
    pub(crate) fn with(&self, number: u64) -> Option<Signed> {
        if number <= self.checkpoint.number {
            return None;
        }
        let at = self.since.partition_point(|piece| piece.last < number);
        self.since.get(at).map(|piece| piece.signed.clone())
    }

    /// The work that leads to the snapshot that a later checkpoint speaks of; none if that is not
    /// later than the one at hand, or later than all that is told here. From now on until it is
    /// [taken over](Self::rebase) there is no snapshot here, only what was said since.
    pub fn renewal(&mut self, signed: &Signed, checkpoint: &Checkpoint) -> Option<Renewal> {
        let reached = self.checkpoint.number + 1..=self.number();
        if checkpoint.feed != self.feed() || !reached.contains(&checkpoint.number) {
            return None;
        }
        let told = self.since.partition_point(|piece| piece.last < checkpoint.number) + 1;
        Some(Renewal {
            atlas: self.atlas.take()?,
            before: self.checkpoint.number,
            batches: self.since.iter().take(told).map(|piece| piece.signed.clone()).collect(),
            checkpoint: *checkpoint,
            signed: signed.clone(),
        })
    }

    /// Everything that is told here.
    ///
    /// # Errors
    /// [`SnapshotError`] if a batch that was taken up is none.
    pub fn atlas(&self) -> Result<Atlas, SnapshotError> {
        let atlas = self.atlas.as_ref().ok_or(SnapshotError::Renewed)?;
        let mut latest = Latest::default();
        self.each_change(|change| latest.add(change).map_err(SnapshotError::from))?;
        Ok(latest.merge(Atlas::clone(atlas), |_| {})?)
    }

    /// Shows the changes since the snapshot, in order; some may come twice.
    ///
    /// # Errors
    /// [`Forged`] if a batch that was taken up is none, or what `show` says.
    pub fn each_change<E: From<Forged>>(
        &self,
        mut show: impl FnMut(&Change) -> Result<(), E>,
    ) -> Result<(), E> {
        for signed in self.batches() {
            let batch: Batch = signed.stated()?;
            let news = |change: &&Change| change.number > self.checkpoint.number;
            batch.changes.iter().filter(news).try_for_each(&mut show)?;
        }
        Ok(())
    }

    /// Begins with this snapshot from now on, which a [`renewal`](Self::renewal) of this chronicle
    /// has made; false, and nothing, if there was another beginning meanwhile.
    pub fn rebase(&mut self, base: SignedSnapshot) -> bool {
        if self.atlas.is_some() || self.feed() != base.checkpoint().feed {
            return false;
        }
        let (checkpoint, signed, atlas) = base.into_parts();
        let told = self.since.partition_point(|piece| piece.last <= checkpoint.number);
        self.changes -= self.since.drain(..told).map(|piece| piece.changes).sum::<usize>();
        self.since.shrink_to_fit();
        (self.checkpoint, self.signed, self.atlas) = (checkpoint, signed, Some(atlas));
        true
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use protocol::control::feed::Snapshot;
    use protocol::{Address, AtSign, Epoch, Timestamp};

    use super::*;
    use crate::SigningKey;

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32]).unwrap()
    }

    fn feed() -> FeedId {
        FeedId::from_bytes([1; 16])
    }

    fn name(number: u64) -> AtSign {
        AtSign::parse(&format!("n{}", number % 7)).unwrap()
    }

    fn change(number: u64) -> Change {
        let address =
            (!number.is_multiple_of(5)).then(|| Address::parse(&format!("h:{number}")).unwrap());
        Change { number, identity: name(number), address, epoch: Epoch::FIRST }
    }

    fn batch(numbers: impl Iterator<Item = u64>, newest: u64) -> (Signed, Batch) {
        let changes = numbers.map(change).collect();
        let batch = Batch { feed: feed(), changes, newest, at: Timestamp(1) };
        (Signed::of(&batch, &key()).unwrap(), batch)
    }

    fn empty() -> SignedSnapshot {
        let snapshot = Snapshot { feed: feed(), number: 0, entries: Vec::new() };
        SignedSnapshot::of(&snapshot, Timestamp(0), &key()).unwrap()
    }

    /// All changes up to a number in one go.
    fn checkpoint(number: u64) -> SignedSnapshot {
        let changes: Vec<_> = (1..=number).map(change).collect();
        empty().with(&changes, number, Timestamp(2), &key()).unwrap()
    }

    fn told(pieces: &[std::ops::RangeInclusive<u64>]) -> Chronicle {
        let mut chronicle = Chronicle::new(empty());
        for piece in pieces {
            let (signed, batch) = batch(piece.clone(), *piece.end());
            chronicle.add(&signed, &batch);
        }
        chronicle
    }

    #[test]
    fn everybody_gets_the_batch_with_his_next_change() {
        let chronicle = told(&[1..=3, 4..=4, 3..=9]);
        assert_eq!((chronicle.number(), chronicle.changes()), (9, 11));
        for (known, last) in [(0, 3), (2, 3), (3, 4), (4, 9), (8, 9), (9, 9), (99, 9)] {
            let News::Word(word) = chronicle.after(feed(), known) else { panic!("{known}") };
            let batch: Batch = word.stated().unwrap();
            assert_eq!(batch.changes.last().unwrap().number, last, "after {known}");
        }
        assert_eq!(chronicle.after(FeedId::from_bytes([2; 16]), 3), News::SnapshotNeeded);
        assert_eq!(told(&[]).after(feed(), 0), News::NotYet);
    }

    #[test]
    fn the_newest_word_that_there_is_nothing_new_is_handed_on() {
        let mut chronicle = told(&[1..=3]);
        let (signed, nothing) = batch(std::iter::empty(), 3);
        chronicle.add(&signed, &nothing);
        assert_eq!(chronicle.after(feed(), 3), News::Word(signed.clone()));
        assert_ne!(chronicle.after(feed(), 2), News::Word(signed.clone()));
        let (old, _) = batch(1..=2, 2);
        chronicle.add(&old, &old.stated().unwrap());
        assert_eq!(chronicle.after(feed(), 3), News::Word(signed), "a repetition is no news");
    }

    #[test]
    fn a_checkpoint_is_reached_wherever_it_falls_and_the_batches_before_it_go() {
        for number in 1..=9 {
            let mut chronicle = told(&[1..=3, 4..=4, 5..=9]);
            let later = checkpoint(number);
            let renewal = chronicle.renewal(later.signed(), later.checkpoint()).unwrap();
            assert!(chronicle.base().is_none(), "it is in the renewal's hands");
            let other = chronicle.renewal(later.signed(), later.checkpoint());
            assert!(other.is_none(), "there is one under way");
            let base = renewal.run(|_| {}).unwrap();
            assert_eq!(base.atlas().root().unwrap(), later.checkpoint().root);
            assert!(chronicle.rebase(base.clone()));
            assert!(!chronicle.rebase(base), "it has a beginning");
            assert_eq!(chronicle.checkpoint(), later.checkpoint());
            assert_eq!(chronicle.number(), 9);
            let is_told = matches!(chronicle.after(feed(), number), News::Word(_));
            assert_eq!(is_told, number < 9);
            assert_eq!(chronicle.after(feed(), number - 1), News::SnapshotNeeded);
            let again = chronicle.renewal(later.signed(), later.checkpoint());
            assert!(again.is_none(), "it is there already");
            let last = checkpoint(9);
            let renewal = chronicle.renewal(last.signed(), last.checkpoint());
            assert_eq!(renewal.is_some(), number < 9, "the rest of a batch still counts");
            let root = renewal.map(|renewal| renewal.run(|_| {}).unwrap().checkpoint().root);
            assert!(root.is_none_or(|root| root == last.checkpoint().root));
        }
        let ahead = checkpoint(10);
        let mut chronicle = told(&[1..=9]);
        assert!(chronicle.renewal(ahead.signed(), ahead.checkpoint()).is_none());
        assert!(chronicle.base().is_some());
    }

    #[test]
    fn a_checkpoint_that_says_something_else_is_noticed() {
        let mut changes: Vec<_> = (1..=9).map(change).collect();
        changes.pop();
        let other = empty().with(&changes, 9, Timestamp(2), &key()).unwrap();
        let mut chronicle = told(&[1..=9]);
        let renewal = chronicle.renewal(other.signed(), other.checkpoint()).unwrap();
        assert!(matches!(renewal.run(|_| {}), Err(SnapshotError::OtherRoot)));
        assert_eq!((chronicle.number(), chronicle.checkpoint().number), (9, 0));
        assert!(matches!(chronicle.after(feed(), 3), News::Word(_)), "batches are still there");
    }
}
