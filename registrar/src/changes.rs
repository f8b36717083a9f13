//! The newest changes of the feed, numbered without a gap. Pure.

use std::collections::VecDeque;

use protocol::control::feed::{BATCH_CHANGES_MAX, Batch, Change};
use protocol::{FeedId, Timestamp};

use crate::addresses::Addressing;
use crate::limits::CHANGES_KEPT_MAX;
use crate::records::{ChangeRecord, Left};

/// What a follower of the feed gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedAnswer {
    /// The changes after the number that was asked for; none if there were none in time.
    Batch(Batch),
    /// The follower knows another feed, or is too far behind or ahead: it must take a snapshot.
    SnapshotNeeded,
}

/// The newest changes, at most [`CHANGES_KEPT_MAX`].
pub struct Changes {
    feed: FeedId,
    kept: VecDeque<ChangeRecord>,
    newest: u64,
}

impl Changes {
    /// The changes of a feed whose kept ones end with `newest`.
    #[must_use]
    pub fn new(feed: FeedId, kept: VecDeque<ChangeRecord>, newest: u64) -> Self {
        Self { feed, kept, newest }
    }

    /// Which feed this is.
    #[must_use]
    pub fn feed(&self) -> FeedId {
        self.feed
    }

    /// The number of the newest change; 0 before the first.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// The number that has to go when one more is added.
    #[must_use]
    pub fn outdated(&self) -> Option<u64> {
        (self.kept.len() >= CHANGES_KEPT_MAX).then(|| self.before_kept() + 1)
    }

    /// Adds a change, which gets the next number.
    pub fn push(&mut self, change: ChangeRecord) {
        if self.outdated().is_some() {
            self.kept.pop_front();
        }
        self.kept.push_back(change);
        self.newest += 1;
    }

    /// What a follower of `feed` that knows all changes up to `number` gets, as long as only those
    /// up to `durable` may be told.
    #[must_use]
    pub fn after(
        &self,
        feed: FeedId,
        number: u64,
        durable: u64,
        addressing: &Addressing,
        now: Timestamp,
    ) -> FeedAnswer {
        let before = self.before_kept();
        if feed != self.feed || number > durable || number < before {
            return FeedAnswer::SnapshotNeeded;
        }
        let skipped = usize::try_from(number - before).unwrap_or(usize::MAX);
        let told = usize::try_from(durable - number).unwrap_or(usize::MAX).min(BATCH_CHANGES_MAX);
        let numbered = (number + 1..).zip(self.kept.iter().skip(skipped).take(told));
        let changes = numbered.map(|(number, change)| numbered_change(number, change, addressing));
        FeedAnswer::Batch(Batch { feed, changes: changes.collect(), newest: durable, at: now })
    }

    /// The last number that is no longer kept.
    fn before_kept(&self) -> u64 {
        self.newest - self.kept.len() as u64
    }
}

fn numbered_change(number: u64, change: &ChangeRecord, addressing: &Addressing) -> Change {
    let address = match change.left {
        Left::Gone => None,
        Left::There(port) => addressing.address(&change.identity, port),
    };
    Change { number, identity: change.identity.clone(), address, epoch: change.epoch }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::num::NonZeroU16;

    use protocol::{AtSign, Epoch, HostName};

    use super::*;

    const FEED: [u8; 16] = [3; 16];

    fn changes(count: u16) -> Changes {
        let mut changes = Changes::new(FeedId::from_bytes(FEED), VecDeque::new(), 0);
        for number in 1..=count {
            changes.push(ChangeRecord {
                identity: AtSign::parse(&format!("n{number}")).unwrap(),
                left: Left::There(NonZeroU16::new(number)),
                epoch: Epoch::FIRST,
            });
        }
        changes
    }

    fn after(changes: &Changes, number: u64, durable: u64) -> Option<Vec<u64>> {
        let host = Addressing::ByPort(HostName::parse("localhost").unwrap());
        match changes.after(FeedId::from_bytes(FEED), number, durable, &host, Timestamp(0)) {
            FeedAnswer::Batch(batch) => {
                assert_eq!(batch.newest, durable);
                for change in &batch.changes {
                    assert_eq!(change.identity.bare(), format!("n{}", change.number));
                }
                Some(batch.changes.iter().map(|change| change.number).collect())
            }
            FeedAnswer::SnapshotNeeded => None,
        }
    }

    #[test]
    fn a_follower_gets_every_later_change_in_order() {
        let changes = changes(5);
        assert_eq!(after(&changes, 0, 5), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(after(&changes, 3, 5), Some(vec![4, 5]));
        assert_eq!(after(&changes, 5, 5), Some(vec![]));
    }

    #[test]
    fn a_change_that_is_not_durable_yet_is_not_told() {
        let changes = changes(5);
        assert_eq!(after(&changes, 2, 3), Some(vec![3]));
        assert_eq!(after(&changes, 4, 3), None, "nobody can know change 4 yet");
    }

    #[test]
    fn who_follows_another_feed_or_is_too_far_behind_takes_a_snapshot() {
        let kept = u64::try_from(CHANGES_KEPT_MAX).unwrap();
        let changes = changes(u16::try_from(CHANGES_KEPT_MAX).unwrap() + 2);
        assert_eq!(changes.kept.len(), CHANGES_KEPT_MAX);
        assert_eq!(changes.outdated(), Some(3));
        assert_eq!(after(&changes, 1, kept + 2), None);
        assert_eq!(after(&changes, 2, kept + 2).map(|told| told.len()), Some(CHANGES_KEPT_MAX));
        let host = Addressing::ByPort(HostName::parse("localhost").unwrap());
        let other = changes.after(FeedId::from_bytes([4; 16]), 5, 5, &host, Timestamp(0));
        assert_eq!(other, FeedAnswer::SnapshotNeeded);
    }
}
