//! What is known, in the registrar's own words: a snapshot, and the batches since.
//!
//! Whoever keeps one can hand it on to others, who need not believe him; can prove what he says; and
//! can follow the registrar's checkpoints, each of which must be what these words come to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use atlas::{Atlas, MergeError, Patch, Place};
use protocol::control::feed::{Batch, Change};
use protocol::{AtSign, FeedId};

use crate::checkpoint::Checkpoint;
use crate::signed::{Forged, Signed};
use crate::snapshot::{SignedSnapshot, SnapshotError};

/// A snapshot and what was said since, without a gap.
#[derive(Debug, Clone)]
pub struct Chronicle {
    base: SignedSnapshot,
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
        Self { base, since: VecDeque::new(), latest: None, changes: 0 }
    }

    /// Which feed it tells.
    #[must_use]
    pub fn feed(&self) -> FeedId {
        self.base.checkpoint().feed
    }

    /// The last change that it tells.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.since.back().map_or(self.base.checkpoint().number, |piece| piece.last)
    }

    /// The snapshot with which it begins.
    #[must_use]
    pub fn base(&self) -> &SignedSnapshot {
        &self.base
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
        if feed != self.feed() || number < self.base.checkpoint().number {
            return News::SnapshotNeeded;
        }
        let next = self.since.partition_point(|piece| piece.last <= number);
        let newest = || self.latest.as_ref().or(self.since.back().map(|piece| &piece.signed));
        let word = self.since.get(next).map(|piece| &piece.signed).or_else(newest);
        word.cloned().map_or(News::NotYet, News::Word)
    }

    /// The batch with a change after the snapshot.
    pub(crate) fn with(&self, number: u64) -> Option<Signed> {
        if number <= self.base.checkpoint().number {
            return None;
        }
        let at = self.since.partition_point(|piece| piece.last < number);
        self.since.get(at).map(|piece| piece.signed.clone())
    }

    /// The snapshot that a later checkpoint speaks of; none if it is not later than the one at hand,
    /// or later than all that is told here.
    ///
    /// # Errors
    /// [`SnapshotError::OtherRoot`] if these words come to something else.
    pub fn reach(
        &self,
        signed: &Signed,
        checkpoint: &Checkpoint,
    ) -> Result<Option<SignedSnapshot>, SnapshotError> {
        let reached = self.base.checkpoint().number + 1..=self.number();
        if checkpoint.feed != self.feed() || !reached.contains(&checkpoint.number) {
            return Ok(None);
        }
        let atlas = self.atlas_at(checkpoint.number)?;
        SignedSnapshot::matching(signed.clone(), *checkpoint, Arc::new(atlas)).map(Some)
    }

    /// Everything that is told here.
    ///
    /// # Errors
    /// [`SnapshotError`] if a batch that was taken up is none.
    pub fn atlas(&self) -> Result<Atlas, SnapshotError> {
        self.atlas_at(self.number())
    }

    fn atlas_at(&self, number: u64) -> Result<Atlas, SnapshotError> {
        let mut changes = self.news()?;
        changes.retain(|change| change.number <= number);
        Ok(merged(self.base.atlas(), &changes)?)
    }

    /// The changes since the snapshot, in order; some may be there twice.
    ///
    /// # Errors
    /// [`Forged`] if a batch that was taken up is none.
    pub fn news(&self) -> Result<Vec<Change>, Forged> {
        let mut changes = Vec::new();
        for signed in self.batches() {
            let batch: Batch = signed.stated()?;
            changes.extend(batch.changes);
        }
        let before = self.base.checkpoint().number;
        changes.retain(|change| change.number > before);
        Ok(changes)
    }

    /// Begins with this snapshot from now on, which [`reach`](Self::reach) gave.
    pub fn rebase(&mut self, base: SignedSnapshot) {
        let number = base.checkpoint().number;
        self.base = base;
        let told = self.since.partition_point(|piece| piece.last <= number);
        self.changes -= self.since.drain(..told).map(|piece| piece.changes).sum::<usize>();
    }
}

/// An atlas with these changes, in the order of their numbers.
pub(crate) fn merged(atlas: &Atlas, changes: &[Change]) -> Result<Atlas, MergeError> {
    let latest: BTreeMap<&AtSign, &Change> =
        changes.iter().map(|change| (&change.identity, change)).collect();
    let patches: Vec<_> = latest
        .into_iter()
        .map(|(name, change)| Patch {
            name: name.bare().as_bytes(),
            place: change.address.as_ref().map(|address| Place {
                host: (&address.host).into(),
                port: address.port,
                epoch: change.epoch,
            }),
        })
        .collect();
    atlas.merge(&patches, |_| {})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use protocol::control::feed::Snapshot;
    use protocol::{Address, Epoch, Timestamp};

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
            let base = chronicle.reach(later.signed(), later.checkpoint()).unwrap().unwrap();
            assert_eq!(base.atlas().root().unwrap(), later.checkpoint().root);
            chronicle.rebase(base);
            assert_eq!(chronicle.number(), 9);
            let is_told = matches!(chronicle.after(feed(), number), News::Word(_));
            assert_eq!(is_told, number < 9);
            assert_eq!(chronicle.after(feed(), number - 1), News::SnapshotNeeded);
            let again = chronicle.reach(later.signed(), later.checkpoint()).unwrap();
            assert!(again.is_none(), "it is there already");
            let last = checkpoint(9);
            let reached = chronicle.reach(last.signed(), last.checkpoint()).unwrap();
            assert_eq!(reached.is_some(), number < 9, "the rest of a batch still counts");
        }
        let ahead = checkpoint(10);
        assert!(told(&[1..=9]).reach(ahead.signed(), ahead.checkpoint()).unwrap().is_none());
    }

    #[test]
    fn a_checkpoint_that_says_something_else_is_noticed() {
        let mut changes: Vec<_> = (1..=9).map(change).collect();
        changes.pop();
        let other = empty().with(&changes, 9, Timestamp(2), &key()).unwrap();
        let reached = told(&[1..=9]).reach(other.signed(), other.checkpoint());
        assert!(matches!(reached, Err(SnapshotError::OtherRoot)));
    }
}
