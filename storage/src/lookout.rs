//! The look for a fence, for somebody who is not the one that uses the store.

use std::sync::Weak;

use crate::error::CommitError;
use crate::shared::Shared;

/// Looks whether a store's epoch is over. It keeps nothing open: of a store that is gone it says that
/// it is closed.
#[derive(Clone)]
pub struct Lookout(Weak<Shared>);

impl Lookout {
    pub(crate) fn new(shared: Weak<Shared>) -> Self {
        Self(shared)
    }

    /// As [`Store::check_epoch`](crate::Store::check_epoch); it blocks.
    ///
    /// # Errors
    /// [`CommitError::Stopped`], also if the look fails; [`CommitError::Closed`].
    pub fn check_epoch(&self) -> Result<(), CommitError> {
        self.0.upgrade().ok_or(CommitError::Closed)?.check_epoch()
    }
}
