//! Identities as they are now.

use protocol::control::names::CellId;
use protocol::control::placement::Placement;
use protocol::{Address, AtSign, Epoch, Timestamp};
use serde::Serialize;

use crate::error::LedgerError;
use crate::limits::LIST_MAX;
use crate::names::NameRecord;
use crate::records;
use crate::registrar::Registrar;
use crate::secret::ActivationSecret;
use crate::state::State;
use crate::tier::Tier;

/// An identity as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Whose name.
    pub identity: AtSign,
    /// Where it stands.
    pub state: State,
    /// Where its server is or will be; the directory answers with it once it is published.
    pub address: Option<Address>,
    /// The cell that runs it, if that is not this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cell: Option<CellId>,
    /// What kind of cell was asked for, if it is not shared.
    #[serde(skip_serializing_if = "Tier::is_shared")]
    pub tier: Tier,
    /// Its epoch; each move to another cell is another one.
    pub epoch: Epoch,
    /// When it came into its state, in milliseconds since 1970.
    pub since: Timestamp,
}

/// Some identities, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// Those after the one that was named.
    pub identities: Vec<Identity>,
    /// Name this one to get the next page; none at the end.
    pub next: Option<AtSign>,
}

impl Registrar {
    /// All servers that should exist on the host now. Reads every record: blocking.
    ///
    /// # Errors
    /// [`LedgerError`] if a record cannot be read.
    pub fn placements(&self) -> Result<Vec<Placement>, LedgerError> {
        let mut placements = Vec::new();
        self.ledger.all(records::NAME_PREFIX, |key, record: NameRecord| {
            let name = records::name_of(key)?;
            if let Some(home) = record.home().filter(|_| record.state().has_server()) {
                placements.push(self.placement(&name, home)?);
            }
            Ok(())
        })?;
        Ok(placements)
    }

    /// One identity; none if the name is free.
    ///
    /// # Errors
    /// [`LedgerError`] if its record cannot be read.
    pub async fn show(&self, name: &AtSign) -> Result<Option<Identity>, LedgerError> {
        if self.book().line(name).is_none() {
            return Ok(None);
        }
        let record = self.ledger.name(name).await?;
        Ok(record.and_then(|record| self.identity(name, &record)))
    }

    /// The identities after `after` in the order of their names, at most `limit` of them.
    ///
    /// # Errors
    /// [`LedgerError`] if a record cannot be read.
    pub async fn list(&self, after: Option<&AtSign>, limit: usize) -> Result<Page, LedgerError> {
        let limit = limit.clamp(1, LIST_MAX);
        let mut names = self.book().page(after, limit + 1);
        let has_more = names.len() > limit;
        names.truncate(limit);
        let next = names.last().filter(|_| has_more).cloned();
        let mut identities = Vec::with_capacity(names.len());
        for name in &names {
            identities.extend(self.show(name).await?);
        }
        Ok(Page { identities, next })
    }

    /// The activation secret of a published identity. It opens nothing once its owner has
    /// activated her identity.
    ///
    /// # Errors
    /// [`LedgerError`] if the record cannot be read.
    pub async fn activation(
        &self,
        name: &AtSign,
    ) -> Result<Option<(Address, ActivationSecret)>, LedgerError> {
        match self.ledger.name(name).await? {
            Some(NameRecord::Published(home)) => {
                Ok(Some((self.address(name, &home)?, self.secret(name, &home))))
            }
            _ => Ok(None),
        }
    }

    fn identity(&self, name: &AtSign, record: &NameRecord) -> Option<Identity> {
        (record.state() != State::Retired).then(|| Identity {
            identity: name.clone(),
            state: record.state(),
            address: record.home().and_then(|home| self.addressing.address(name, home.port)),
            cell: record.home().and_then(|home| home.cell),
            tier: record.claim().map(|claim| claim.tier).unwrap_or_default(),
            epoch: record.epoch(),
            since: record.since(),
        })
    }
}
