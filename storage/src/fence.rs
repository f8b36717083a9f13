//! Fences: how a writer learns that its epoch is over, on whichever machine the next one was opened.
//!
//! Whoever opens a higher epoch makes a file with the epoch for a name, and makes that name durable,
//! before it reads anything (*planting*). A writer looks at the folder's names after each sync and
//! before it acknowledges (*the look*). So either the look came before the fence was durable, and what
//! was synced before it is read by the opener; or it finds the fence, and nothing is acknowledged. The
//! whole argument is ADR 0006.

use std::fmt;
use std::io;

use protocol::Epoch;

use crate::error::Failure;
use crate::limits::FENCES_KEPT;
use crate::volume::{SegmentName, Volume};

/// The name of a fence's file, which is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FenceName(Epoch);

impl FenceName {
    fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix(".fence")?.parse().ok()?;
        let name = Self(Epoch::from_number(number)?);
        // Only the one spelling that this program writes.
        (name.to_string() == text).then_some(name)
    }
}

impl fmt::Display for FenceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}.fence", self.0.number())
    }
}

/// What one look at a volume's folder shows.
pub(crate) struct Names {
    /// In the order of the log.
    pub(crate) segments: Vec<SegmentName>,
    fences: Vec<Epoch>,
}

impl Names {
    /// Sorts out names; other files are not ours to judge.
    pub(crate) fn new(texts: &[String]) -> Self {
        let mut segments: Vec<_> = texts.iter().filter_map(|t| SegmentName::parse(t)).collect();
        segments.sort_unstable();
        let fences = texts.iter().filter_map(|text| Some(FenceName::parse(text)?.0)).collect();
        Self { segments, fences }
    }

    /// The highest epoch that anybody opened, or began to.
    pub(crate) fn highest(&self) -> Option<Epoch> {
        let segments = self.segments.iter().map(|name| name.epoch);
        segments.chain(self.fences.iter().copied()).max()
    }
}

impl Volume {
    /// Makes the fence of an epoch; false if it was there. It is planted once the folder is synced, and
    /// only then may the epoch read what the lower ones wrote.
    pub(crate) fn make_fence(&self, epoch: Epoch) -> io::Result<bool> {
        let path = self.path().join(FenceName(epoch).to_string());
        match self.disk().create(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether nobody opened a higher epoch. It opens the folder and reads its names, since that is
    /// what network mounts answer from the server: a look-up of one name that isn't there may be
    /// answered from a cache.
    pub(crate) fn look(&self, own: Epoch) -> Result<(), Failure> {
        let texts = self.texts()?;
        match Names::new(&texts).highest().filter(|highest| *highest > own) {
            Some(opened) => Err(Failure::Fenced { own, opened }),
            None => Ok(()),
        }
    }

    /// Removes all fences but the newest: these are enough for any look.
    pub(crate) fn prune_fences(&self, names: &Names) {
        let mut fences = names.fences.clone();
        fences.sort_unstable();
        let old = fences.len().saturating_sub(FENCES_KEPT);
        for epoch in fences.into_iter().take(old) {
            let path = self.path().join(FenceName(epoch).to_string());
            if let Err(error) = self.disk().remove_file(&path) {
                tracing::debug!(volume = %self.id, %error, "an old fence stays");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_one_spelling_of_a_fences_name_is_read() {
        let name = FenceName(Epoch::from_number(12).unwrap());
        assert_eq!(name.to_string(), "00000012.fence");
        assert_eq!(FenceName::parse("00000012.fence"), Some(name));
        for other in ["12.fence", "00000000.fence", "00000012.fences", "+0000012.fence", ".fence"] {
            assert_eq!(FenceName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn segments_and_fences_both_say_which_epoch_is_the_highest() {
        let highest = |texts: &[&str]| {
            let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
            Names::new(&texts).highest().map(Epoch::number)
        };
        assert_eq!(highest(&["notes.txt"]), None);
        assert_eq!(highest(&["00000003.fence", "00000002-00000007.log"]), Some(3));
        assert_eq!(highest(&["00000003.fence", "00000004-00000001.log"]), Some(4));
    }
}
