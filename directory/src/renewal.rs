//! The atlas takes over what changed since its checkpoint, part by part, while it is asked.
//!
//! Until the end nobody has vouched for the whole: lookups are answered from what was signed change
//! by change, and who wants a snapshot or a proof waits.

use std::io;
use std::sync::Arc;

use feed::{Checkpoint, Signed, SignedSnapshot, SnapshotError};
use net::background::in_background;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::Instant;

use crate::directory::Directory;
use crate::limits::{CHECKPOINT_CHANGES, CHECKPOINT_NAMES_EACH, TOLD_CHANGES_MAX, TOLD_NAMES_EACH};
use crate::table::Table;

/// Why a renewal came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenewalError {
    /// What came out is not what the registrar has signed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The system gives no thread for it.
    #[error("there is no thread to renew the atlas in")]
    Thread(#[from] io::Error),
    /// It did not come to its end.
    #[error("the renewal of the atlas broke off")]
    Broken(#[from] JoinError),
}

impl Directory {
    /// Takes over a checkpoint that is as late as what is known, or earlier: what was told since the
    /// last one must come to the same. One that is of no use is left alone.
    pub(crate) async fn renew(
        self: Arc<Self>,
        signed: Signed,
        checkpoint: Checkpoint,
    ) -> Result<(), RenewalError> {
        let _turn = self.turn().await;
        let Some((table, renewal)) = self.renewal(&signed, &checkpoint).await else {
            return Ok(());
        };
        let began = Instant::now();
        let shown = Arc::clone(&table);
        // It takes its time, and gives way to whoever answers.
        let run = move || in_background(move || renewal.run(|atlas| shown.show(atlas)));
        let base = spawn_blocking(run).await???;
        let this = Arc::clone(&self);
        spawn_blocking(move || this.settle(base, &table)).await?;
        let (number, millis) = (checkpoint.number, began.elapsed().as_millis());
        tracing::info!(number, millis, "took over the registrar's checkpoint");
        Ok(())
    }

    fn settle(&self, base: SignedSnapshot, table: &Table) {
        let number = base.checkpoint().number;
        // Before the changes go: who finds none of a name looks into the snapshot.
        let is_ours = self.told().as_mut().is_some_and(|told| told.rebase(base));
        if is_ours {
            table.retire(number);
        }
    }
}

/// Whether so many changes are worth a renewal of so many names at once.
pub(crate) fn is_worth_it(changes: usize, names: usize) -> bool {
    changes >= CHECKPOINT_CHANGES.max(names / CHECKPOINT_NAMES_EACH)
}

/// Whether so many changes are more than are kept beside so many names.
pub(crate) fn is_too_much(changes: usize, names: usize) -> bool {
    changes > TOLD_CHANGES_MAX.max(names / TOLD_NAMES_EACH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_names_decides_in_a_large_directory_and_the_number_in_a_small_one() {
        for (names, least) in [(0, 65_536), (1_000_000, 65_536), (100_000_000, 781_250)] {
            assert!(!is_worth_it(least - 1, names) && is_worth_it(least, names), "{names}");
        }
        for (names, most) in [(0, 1_000_000), (10_000_000, 1_000_000), (100_000_000, 6_250_000)] {
            assert!(!is_too_much(most, names) && is_too_much(most + 1, names), "{names}");
        }
    }
}
