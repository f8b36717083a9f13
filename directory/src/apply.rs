//! Which changes of a batch are new, and what is refused. Pure: it decides, the caller applies.

use std::collections::HashMap;

use atlas::Atlas;
use feed::Checkpoint;
use protocol::control::feed::{BATCH_CHANGES_MAX, Batch, Change};
use protocol::{AtSign, Epoch, FeedId, Timestamp};

/// How far a replica is in which feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) feed: FeedId,
    /// The last change that was applied.
    pub(crate) number: u64,
    /// When the registrar said the first snapshot of this feed that was taken over.
    pub(crate) began: Timestamp,
}

/// Why nothing of a batch or snapshot is applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It belongs to another feed.
    #[error("the feed is {got} now, not {known}")]
    ForeignFeed {
        /// Which we follow.
        known: FeedId,
        /// Whose it is.
        got: FeedId,
    },
    /// Changes are missing between what is known and what came.
    #[error("change {expected} is missing, {got} came")]
    Gap {
        /// The next number.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// The numbers inside a batch are not consecutive.
    #[error("changes are out of order: {got} after {last}")]
    Disorder {
        /// The number before.
        last: u64,
        /// The number that came.
        got: u64,
    },
    /// The registrar knows less than we do: it was restored from an old copy.
    #[error("the registrar is at change {got}, this directory already at {known}")]
    Backwards {
        /// Our last change.
        known: u64,
        /// Its newest.
        got: u64,
    },
    /// An identity's epoch would fall.
    #[error("the epoch of {identity} would fall from {known} to {got}")]
    LowerEpoch {
        /// Whose.
        identity: AtSign,
        /// The epoch it has.
        known: Epoch,
        /// The epoch that came.
        got: Epoch,
    },
    /// More changes than a batch may have.
    #[error("a batch has at most {BATCH_CHANGES_MAX} changes, not {0}")]
    TooMany(usize),
    /// A snapshot of a feed that had ended when the one began that we follow.
    #[error("feed {got} is older than the one that is followed")]
    OlderFeed {
        /// Whose snapshot it is.
        got: FeedId,
    },
    /// A snapshot holds what is no name.
    #[error("the snapshot has a name that is none")]
    Unreadable,
}

impl Refusal {
    /// Whether a snapshot can help. Where the registrar went backwards none may: it would take us
    /// along.
    pub(crate) fn needs_snapshot(&self) -> bool {
        matches!(self, Self::ForeignFeed { .. } | Self::Gap { .. } | Self::LowerEpoch { .. })
    }

    /// As it stands in the metrics.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::ForeignFeed { .. } => "foreign_feed",
            Self::Gap { .. } => "gap",
            Self::Disorder { .. } => "disorder",
            Self::Backwards { .. } => "backwards",
            Self::LowerEpoch { .. } => "lower_epoch",
            Self::TooMany(_) => "too_many",
            Self::OlderFeed { .. } => "older_feed",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The changes of `batch` that come after `known`, in order; those that are known already are left
/// out. `epoch_of` tells the epoch of whoever has an address.
pub(crate) fn news(
    known: Position,
    epoch_of: impl Fn(&AtSign) -> Option<Epoch>,
    batch: &Batch,
) -> Result<&[Change], Refusal> {
    check_feed(known, batch.feed)?;
    if batch.changes.len() > BATCH_CHANGES_MAX {
        return Err(Refusal::TooMany(batch.changes.len()));
    }
    if batch.newest < known.number {
        return Err(Refusal::Backwards { known: known.number, got: batch.newest });
    }
    check_order(&batch.changes)?;
    let old = batch.changes.iter().take_while(|change| change.number <= known.number).count();
    let news = batch.changes.get(old..).unwrap_or_default();
    let expected = known.number.saturating_add(1);
    if let Some(first) = news.first().filter(|first| first.number != expected) {
        return Err(Refusal::Gap { expected, got: first.number });
    }
    check_epochs(epoch_of, news)?;
    Ok(news)
}

/// Whether a snapshot may replace what is known. Of the same feed it must not be older, in its
/// number or in anybody's epoch; another feed counts its own numbers and epochs, but must have begun
/// later.
pub(crate) fn admit(
    known: Option<Position>,
    epoch_of: impl Fn(&[u8]) -> Option<Epoch>,
    checkpoint: &Checkpoint,
    atlas: &Atlas,
) -> Result<(), Refusal> {
    let Some(known) = known else { return Ok(()) };
    if known.feed != checkpoint.feed {
        let is_later = checkpoint.at > known.began;
        return if is_later { Ok(()) } else { Err(Refusal::OlderFeed { got: checkpoint.feed }) };
    }
    if checkpoint.number < known.number {
        return Err(Refusal::Backwards { known: known.number, got: checkpoint.number });
    }
    let mut rows = atlas.cursor();
    while let Some(row) = rows.next() {
        let row = row.map_err(|_| Refusal::Unreadable)?;
        let text = String::from_utf8_lossy(row.name);
        let identity = AtSign::parse(&text).map_err(|_| Refusal::Unreadable)?;
        not_lower(&identity, epoch_of(row.name), row.place.epoch)?;
    }
    Ok(())
}

fn check_feed(known: Position, got: FeedId) -> Result<(), Refusal> {
    match known.feed == got {
        true => Ok(()),
        false => Err(Refusal::ForeignFeed { known: known.feed, got }),
    }
}

fn check_order(changes: &[Change]) -> Result<(), Refusal> {
    let pairs = changes.iter().zip(changes.iter().skip(1));
    for (before, after) in pairs {
        if before.number.checked_add(1) != Some(after.number) {
            return Err(Refusal::Disorder { last: before.number, got: after.number });
        }
    }
    Ok(())
}

fn check_epochs(
    epoch_of: impl Fn(&AtSign) -> Option<Epoch>,
    news: &[Change],
) -> Result<(), Refusal> {
    let mut within: HashMap<&AtSign, Epoch> = HashMap::new();
    for change in news {
        let known = within.get(&change.identity).copied().or_else(|| epoch_of(&change.identity));
        not_lower(&change.identity, known, change.epoch)?;
        within.insert(&change.identity, change.epoch);
    }
    Ok(())
}

fn not_lower(identity: &AtSign, known: Option<Epoch>, got: Epoch) -> Result<(), Refusal> {
    match known {
        Some(known) if got < known => {
            Err(Refusal::LowerEpoch { identity: identity.clone(), known, got })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use protocol::Address;
    use protocol::control::feed::Entry;

    const KNOWN: u64 = 5;

    fn feed(byte: u8) -> FeedId {
        FeedId::from_bytes([byte; 16])
    }

    fn known() -> Position {
        Position { feed: feed(1), number: KNOWN, began: Timestamp(100) }
    }

    fn epoch(number: u64) -> Epoch {
        Epoch::from_number(number).unwrap()
    }

    fn alice() -> AtSign {
        AtSign::parse("alice").unwrap()
    }

    fn change(number: u64, at_epoch: u64) -> Change {
        Change { number, identity: alice(), address: None, epoch: epoch(at_epoch) }
    }

    fn batch(numbers: &[u64], newest: u64) -> Batch {
        let changes = numbers.iter().map(|number| change(*number, 3)).collect();
        Batch { feed: feed(1), changes, newest, at: Timestamp(0) }
    }

    fn numbers_of(batch: &Batch) -> Result<Vec<u64>, Refusal> {
        let news = news(known(), |_| Some(epoch(3)), batch)?;
        Ok(news.iter().map(|change| change.number).collect())
    }

    #[test]
    fn what_is_known_is_left_out_and_what_is_new_is_taken() {
        for (numbers, new) in [
            (&[][..], &[][..]),
            (&[6], &[6]),
            (&[6, 7, 8], &[6, 7, 8]),
            (&[4, 5, 6, 7], &[6, 7]),
            (&[5], &[]),
            (&[1, 2, 3], &[]),
        ] {
            assert_eq!(numbers_of(&batch(numbers, 9)).as_deref(), Ok(new), "{numbers:?}");
        }
    }

    #[test]
    fn gaps_disorder_and_a_registrar_that_went_back_are_refused() {
        for (numbers, newest, refusal) in [
            (&[7][..], 9, Refusal::Gap { expected: 6, got: 7 }),
            (&[u64::MAX], 9, Refusal::Gap { expected: 6, got: u64::MAX }),
            (&[6, 8], 9, Refusal::Disorder { last: 6, got: 8 }),
            (&[7, 6], 9, Refusal::Disorder { last: 7, got: 6 }),
            (&[6, 6], 9, Refusal::Disorder { last: 6, got: 6 }),
            (&[4, 6], 9, Refusal::Disorder { last: 4, got: 6 }),
            (&[u64::MAX, 0], 9, Refusal::Disorder { last: u64::MAX, got: 0 }),
            (&[], 4, Refusal::Backwards { known: 5, got: 4 }),
        ] {
            assert_eq!(numbers_of(&batch(numbers, newest)), Err(refusal), "{numbers:?}");
        }
        let foreign = Batch { feed: feed(2), ..batch(&[6], 9) };
        let refusal = Refusal::ForeignFeed { known: feed(1), got: feed(2) };
        assert_eq!(numbers_of(&foreign), Err(refusal));
        let numbers: Vec<u64> = (6..).take(BATCH_CHANGES_MAX + 1).collect();
        let refused = numbers_of(&batch(&numbers, u64::MAX));
        assert_eq!(refused, Err(Refusal::TooMany(BATCH_CHANGES_MAX + 1)));
    }

    #[test]
    fn an_epoch_may_rise_but_not_fall_not_even_inside_a_batch() {
        let epochs = |all: &[u64]| {
            let changes = (6..).zip(all).map(|(number, epoch)| change(number, *epoch)).collect();
            let batch = Batch { feed: feed(1), changes, newest: 9, at: Timestamp(0) };
            news(known(), |_| Some(epoch(3)), &batch).map(<[Change]>::len)
        };
        let fallen = |from, to| {
            Err(Refusal::LowerEpoch { identity: alice(), known: epoch(from), got: epoch(to) })
        };
        assert_eq!(epochs(&[3, 3, 4]), Ok(3));
        assert_eq!(epochs(&[2]), fallen(3, 2));
        assert_eq!(epochs(&[3, 5, 4]), fallen(5, 4));
    }

    #[test]
    fn a_snapshot_may_be_newer_or_of_a_later_feed_but_not_older() {
        let admit = |feed, number, at_epoch: u64, at| {
            let address = Address::parse("localhost:1").unwrap();
            let entry = Entry { identity: alice(), address, epoch: epoch(at_epoch) };
            let atlas = ::feed::pack(&[entry]).unwrap();
            let (root, at) = (atlas.root().unwrap(), Timestamp(at));
            let checkpoint = Checkpoint { feed, number, root, at };
            admit(Some(known()), |_| Some(epoch(3)), &checkpoint, &atlas)
        };
        assert_eq!(admit(feed(1), 5, 3, 1), Ok(()));
        assert_eq!(admit(feed(1), 9, 4, 1), Ok(()));
        assert_eq!(admit(feed(2), 1, 1, 101), Ok(()));
        assert_eq!(admit(feed(2), 99, 9, 100), Err(Refusal::OlderFeed { got: feed(2) }));
        assert_eq!(admit(feed(1), 4, 3, 999), Err(Refusal::Backwards { known: 5, got: 4 }));
        let lower = Refusal::LowerEpoch { identity: alice(), known: epoch(3), got: epoch(2) };
        assert_eq!(admit(feed(1), 9, 2, 999), Err(lower));
    }
}
