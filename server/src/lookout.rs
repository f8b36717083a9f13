//! Knowing that nobody else has opened the store: what answers from memory rest on.
//!
//! A write looks for itself before it is acknowledged. An answer that is read may leave only a short
//! time after a look that found no fence, or after a look of its own; so a process that was paused,
//! or a host that no longer looks, gives out nothing that it decided from an old memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use storage::{CommitError, Failure};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout};

use crate::limits::{LOOK_AGE_MAX, LOOK_DEADLINE};

/// Looks now and then whether a server's store was opened elsewhere, and knows when it last did.
pub struct Lookout {
    store: storage::Lookout,
    since: Instant,
    /// Microseconds after `since` at which the last good look began.
    looked: AtomicU64,
    is_fenced: AtomicBool,
    /// Held by whoever looks, to the end of the look, though nobody waits for it any more.
    turn: Arc<Mutex<()>>,
}

impl Lookout {
    /// For a store whose opening, which looked as well, began at `looked`.
    pub(crate) fn new(store: storage::Lookout, looked: Instant) -> Self {
        let (looked_micros, is_fenced) = (AtomicU64::new(0), AtomicBool::new(false));
        let turn = Arc::default();
        Self { store, since: looked, looked: looked_micros, is_fenced, turn }
    }

    /// Looks, unless somebody is at it. An error means that the store serves nobody any more;
    /// [`Lookout::is_fenced`] says why.
    ///
    /// # Errors
    /// What the store says.
    pub async fn renew(&self) -> Result<(), CommitError> {
        match Arc::clone(&self.turn).try_lock_owned() {
            Ok(turn) => self.look(turn).await,
            Err(_) => Ok(()),
        }
    }

    async fn look(&self, turn: OwnedMutexGuard<()>) -> Result<(), CommitError> {
        let began = Instant::now().saturating_duration_since(self.since);
        let store = self.store.clone();
        let looking = move || {
            let looked = store.check_epoch();
            drop(turn);
            looked
        };
        let looked = tokio::task::spawn_blocking(looking).await;
        let looked = looked.unwrap_or(Err(CommitError::Closed));
        match &looked {
            Ok(()) => {
                let micros = u64::try_from(began.as_micros()).unwrap_or(u64::MAX);
                self.looked.fetch_max(micros, Ordering::SeqCst);
            }
            Err(CommitError::Stopped(Failure::Fenced { .. })) => self.set_fenced(),
            Err(_) => {}
        }
        looked
    }

    /// Whether the store was opened with a higher epoch.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.is_fenced.load(Ordering::SeqCst)
    }

    pub(crate) fn set_fenced(&self) {
        self.is_fenced.store(true, Ordering::SeqCst);
    }

    /// Whether something that is known now may be given out; looks if the last look is too old.
    /// Several who ask wait for one look.
    pub(crate) async fn holds(&self) -> bool {
        if self.is_fresh() {
            return true;
        }
        let look = async {
            let turn = Arc::clone(&self.turn).lock_owned().await;
            self.is_fresh() || (!self.is_fenced() && self.look(turn).await.is_ok())
        };
        timeout(LOOK_DEADLINE, look).await.unwrap_or(false)
    }

    fn is_fresh(&self) -> bool {
        let looked = self.since + Duration::from_micros(self.looked.load(Ordering::SeqCst));
        !self.is_fenced() && looked.elapsed() <= LOOK_AGE_MAX
    }
}

impl std::fmt::Debug for Lookout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookout").field("is_fenced", &self.is_fenced()).finish_non_exhaustive()
    }
}
