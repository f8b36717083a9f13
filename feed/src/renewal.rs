//! A snapshot is brought up to date where it stands.

use std::sync::Arc;

use atlas::Atlas;
use protocol::control::feed::Batch;

use crate::changes::Latest;
use crate::checkpoint::Checkpoint;
use crate::signed::Signed;
use crate::snapshot::{SignedSnapshot, SnapshotError};

/// All names as of one checkpoint, on the way to a later one. It has them from the chronicle, which
/// has none meanwhile: so what is old goes as soon as what is new stands in its place, and memory
/// need not hold both.
#[derive(Debug)]
pub struct Renewal {
    pub(crate) atlas: Arc<Atlas>,
    /// The last change that the atlas contains.
    pub(crate) before: u64,
    pub(crate) batches: Vec<Signed>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) signed: Signed,
}

impl Renewal {
    /// Does it. `show` gets what there is on the way: a part is as of the later checkpoint, the rest
    /// as before; whoever shows that to others keeps the changes in front of it. Memory is spared
    /// if the one before is let go by then. Takes seconds where there are millions of names.
    ///
    /// # Errors
    /// [`SnapshotError::OtherRoot`] if all this comes to something else than the checkpoint says;
    /// then what was shown last has all the changes that were signed one by one, and nobody has
    /// signed the whole.
    pub fn run(self, mut show: impl FnMut(Arc<Atlas>)) -> Result<SignedSnapshot, SnapshotError> {
        let mut latest = Latest::default();
        for signed in &self.batches {
            let batch: Batch = signed.stated()?;
            let told = self.before + 1..=self.checkpoint.number;
            let mut changes = batch.changes.iter().filter(|change| told.contains(&change.number));
            changes.try_for_each(|change| latest.add(change))?;
        }
        drop(self.batches);
        let atlas = Arc::unwrap_or_clone(self.atlas);
        let atlas = latest.merge(atlas, |step| show(Arc::new(step.clone())))?;
        SignedSnapshot::matching(self.signed, self.checkpoint, Arc::new(atlas))
    }
}
