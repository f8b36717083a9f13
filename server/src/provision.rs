//! What the registrar has a server's store begin with.

use protocol::{AtSign, Timestamp};
use storage::Store;

use crate::commit::Counters;
use crate::draft::Draft;
use crate::keys;
use crate::notify::outbox::Queues;
use crate::server::{Server, ServerError};

impl Server {
    /// Stores the activation secret of a new identity, before its server is opened. Blocks until it
    /// is durable. Doing it again changes nothing, and once the owner has deleted the secret it does
    /// not come back.
    ///
    /// # Errors
    /// [`ServerError`] if the store cannot be read or written.
    pub fn provision(
        store: &Store,
        identity: &AtSign,
        activation_secret: &str,
        now: Timestamp,
    ) -> Result<(), ServerError> {
        let unreadable = |_| ServerError::Store(identity.clone());
        let counters = Counters::read(store).map_err(unreadable)?;
        let queues = Queues::default();
        let mut draft = Draft::new(store, identity, now, &queues, counters);
        let is_deleted = draft.view.record(keys::SECRET_DELETED).map_err(unreadable)?.is_some();
        let known = draft.view.value(keys::SECRET, now).map_err(unreadable)?;
        if is_deleted || known.as_deref() == Some(activation_secret) {
            return Ok(());
        }
        keys::secret()
            .and_then(|key| draft.put_own(&key, activation_secret.to_owned()))
            .map_err(unreadable)?;
        if let Some(outcome) = draft.finish() {
            store
                .commit_blocking(outcome.batch)
                .map_err(|source| ServerError::Write { identity: identity.clone(), source })?;
        }
        Ok(())
    }
}
