//! From a name that somebody has to a free one: the directory stops answering first, the epoch
//! stays for ever.

use std::sync::Arc;

use protocol::{AtSign, Epoch};

use crate::error::{DeleteError, RegisterError};
use crate::names::{Home, NameRecord, Tombstone};
use crate::registrar::Registrar;
use crate::swarm::Step;

/// How far a deletion came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// The name is free, its server and volume are gone.
    Done,
    /// The directory no longer answers with it, but the host could not remove the server now; that
    /// goes on by itself.
    Unfinished,
}

impl Registrar {
    /// Deletes an identity with all its data. With `epoch`, only the registration that has it, or had
    /// it before it was moved: a name that was registered anew meanwhile stays.
    ///
    /// # Errors
    /// [`DeleteError`]; nothing is deleted then, unless it is [`LedgerError::OutOfReach`]: what was
    /// begun goes on with the store.
    ///
    /// [`LedgerError::OutOfReach`]: crate::LedgerError::OutOfReach
    pub async fn delete(
        self: &Arc<Self>,
        name: AtSign,
        epoch: Option<Epoch>,
    ) -> Result<Deletion, DeleteError> {
        self.ledger.in_reach()?;
        let this = Arc::clone(self);
        let task = tokio::spawn(async move { this.delete_in_turn(&name, epoch).await });
        tokio::select! {
            biased;
            outcome = task => outcome.map_err(|_| DeleteError::Stopping)?,
            // It goes on when the store does.
            error = self.ledger.out_of_reach() => Err(error.into()),
        }
    }

    async fn delete_in_turn(
        &self,
        name: &AtSign,
        epoch: Option<Epoch>,
    ) -> Result<Deletion, DeleteError> {
        let _turn = self.turns.take(name).await.ok_or(DeleteError::Busy)?;
        let record = match self.ledger.name(name).await? {
            None | Some(NameRecord::Retired(_)) => return Err(DeleteError::Unknown(name.clone())),
            Some(record) => record,
        };
        let first = record.claim().map_or(record.epoch(), |claim| claim.epoch);
        let is_hers = |epoch: &Epoch| (first..=record.epoch()).contains(epoch);
        if let Some(expected) = epoch.filter(|epoch| !is_hers(epoch)) {
            let (identity, found) = (name.clone(), record.epoch());
            return Err(DeleteError::OtherEpoch { identity, found, expected });
        }
        let now = self.clock.now();
        let home = match (record, record.home()) {
            (NameRecord::Deleting(home), _) => home,
            (_, Some(home)) => {
                let home = home.at(now);
                self.write::<DeleteError>(name, |_| Ok(NameRecord::Deleting(home))).await?;
                home
            }
            // Nothing exists yet but the claim.
            (_, None) => {
                let retired = NameRecord::Retired(Tombstone { epoch: record.epoch(), since: now });
                self.write::<DeleteError>(name, |_| Ok(retired)).await?;
                return Ok(Deletion::Done);
            }
        };
        match self.finish_deletion(name, home).await {
            Ok(()) => Ok(Deletion::Done),
            Err(RegisterError::Ledger(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(identity = %name, %error, "the deletion is left unfinished for now");
                Ok(Deletion::Unfinished)
            }
        }
    }

    /// Ends the server of a name that no longer resolves. The caller has the name's turn.
    pub(crate) async fn finish_deletion(
        &self,
        name: &AtSign,
        home: Home,
    ) -> Result<(), RegisterError> {
        self.insist(Step::Stop, name, &home).await?;
        self.insist(Step::Remove, name, &home).await?;
        let now = self.clock.now();
        self.write::<RegisterError>(name, |_| Ok(home.retire(now))).await?;
        if let Some(fleet) = &self.fleet {
            fleet.leave(home.volume);
        }
        Ok(())
    }
}
