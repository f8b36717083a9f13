//! A directory, and what lies beyond it: what the fronts answer from.

use std::sync::Arc;

use protocol::{Address, AtSign, Epoch};

use crate::directory::Directory;
use crate::parent::{Parent, ParentError};

/// Names that are here are answered here and told to nobody; only what is not goes on to the parent,
/// if there is one.
#[derive(Debug, Clone)]
pub(crate) struct Horizon {
    pub(crate) directory: Arc<Directory>,
    pub(crate) parent: Option<Arc<Parent>>,
}

/// Where a name was found.
#[derive(Debug)]
pub(crate) enum Found {
    Here(Address, Epoch),
    /// The parent says so, which does not tell the epoch.
    Beyond(Address),
}

impl Horizon {
    /// Where an identity is; none if it is neither here nor beyond.
    pub(crate) async fn find(&self, name: &AtSign) -> Result<Option<Found>, ParentError> {
        let here = || self.directory.record(name).map(|(at, epoch)| Found::Here(at, epoch));
        if let Some(found) = here() {
            return Ok(Some(found));
        }
        let said = self.beyond(name).await;
        // It may have come here meanwhile.
        match here() {
            Some(found) => Ok(Some(found)),
            None => Ok(said?.map(Found::Beyond)),
        }
    }

    /// Whether the parent would be asked for this name.
    pub(crate) fn asks_beyond(&self, name: &AtSign) -> bool {
        self.parent.is_some() && self.directory.record(name).is_none()
    }

    /// What the parent says of a name that is not here; without one there is nothing beyond.
    pub(crate) async fn beyond(&self, name: &AtSign) -> Result<Option<Address>, ParentError> {
        let Some(parent) = &self.parent else { return Ok(None) };
        let said = parent.resolve(name).await;
        self.directory.counts.parent(match &said {
            Ok(Some(_)) => "found",
            Ok(None) => "unknown",
            Err(_) => "unanswered",
        });
        said
    }
}
