//! That the registrar said where a name is: for somebody who trusts its key, and not whom he asks.

use atlas::{Proof, ProofError};
use protocol::control::feed::Batch;
use protocol::{Address, AtSign, Epoch, FeedId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoint;
use crate::chronicle::Chronicle;
use crate::key::FeedKey;
use crate::signed::{Forged, Signed};
use crate::snapshot::SnapshotError;

/// The registrar's word about one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Evidence {
    /// It was there when everything was.
    Checkpoint {
        /// The checkpoint.
        signed: Signed,
        /// From the name to its root.
        proof: Proof,
    },
    /// It has changed since.
    Batch {
        /// The batch with the change.
        signed: Signed,
    },
}

/// What evidence proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Where the name is; none if it was given up.
    pub address: Option<Address>,
    /// Under which epoch.
    pub epoch: Epoch,
    /// The feed that says so.
    pub feed: FeedId,
    /// The change as of which it is so. Whoever was asked may hide a later one.
    pub number: u64,
    /// When the registrar said so.
    pub at: Timestamp,
}

/// Why evidence proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The registrar did not say it.
    #[error(transparent)]
    Forged(#[from] Forged),
    /// It does not lead from the name to what the registrar said.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl Evidence {
    /// What it proves about this name.
    ///
    /// # Errors
    /// [`EvidenceError`] if it proves nothing about it.
    pub fn check(&self, key: &FeedKey, name: &AtSign) -> Result<Proven, EvidenceError> {
        match self {
            Self::Checkpoint { signed, proof } => {
                let Checkpoint { feed, number, root, at } = signed.open(key)?;
                let (address, epoch) = proof.check(&root, name)?;
                Ok(Proven { address: Some(address), epoch, feed, number, at })
            }
            Self::Batch { signed } => {
                let Batch { feed, changes, at, .. } = signed.open(key)?;
                let change = changes.into_iter().rev().find(|change| change.identity == *name);
                let change = change.ok_or(ProofError::OtherName)?;
                let (address, epoch, number) = (change.address, change.epoch, change.number);
                Ok(Proven { address, epoch, feed, number, at })
            }
        }
    }
}

impl Chronicle {
    /// The evidence for a name that changed last with change `changed`, or not since the snapshot;
    /// none if nobody has or had it.
    ///
    /// # Errors
    /// [`SnapshotError::Renewed`] if it is not in a batch and the snapshot is being renewed,
    /// [`SnapshotError::Damaged`] if the snapshot's names cannot be read.
    pub fn evidence(
        &self,
        name: &AtSign,
        changed: Option<u64>,
    ) -> Result<Option<Evidence>, SnapshotError> {
        if let Some(signed) = changed.and_then(|number| self.with(number)) {
            return Ok(Some(Evidence::Batch { signed }));
        }
        let base = self.base().ok_or(SnapshotError::Renewed)?;
        let proof = base.atlas().prove(name.bare().as_bytes())?;
        Ok(proof.map(|proof| Evidence::Checkpoint { signed: base.signed().clone(), proof }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use protocol::control::feed::{Change, Entry, Snapshot};

    use super::*;
    use crate::{SignedSnapshot, SigningKey};

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32]).unwrap()
    }

    fn name(text: &str) -> AtSign {
        AtSign::parse(text).unwrap()
    }

    fn told() -> Chronicle {
        let feed = FeedId::from_bytes([1; 16]);
        let at = |text: &str| Address::parse(text).unwrap();
        let entry = |who: &str| Entry {
            identity: name(who),
            address: at("one.example:1"),
            epoch: Epoch::FIRST,
        };
        let entries = ["alice", "bob", "carol"].map(entry).to_vec();
        let snapshot = Snapshot { feed, number: 3, entries };
        let base = SignedSnapshot::of(&snapshot, Timestamp(5), &key()).unwrap();
        let mut told = Chronicle::new(base);
        let epoch = Epoch::FIRST.next().unwrap();
        let bob =
            Change { number: 4, identity: name("bob"), address: Some(at("two.example:2")), epoch };
        let carol = Change { number: 5, identity: name("carol"), address: None, epoch };
        let batch = Batch { feed, changes: vec![bob, carol], newest: 5, at: Timestamp(6) };
        told.add(&Signed::of(&batch, &key()).unwrap(), &batch);
        told
    }

    #[test]
    fn what_was_there_what_changed_and_what_went_is_proven() {
        let told = told();
        for (who, changed, address, number) in [
            ("alice", None, Some("one.example:1"), 3),
            ("bob", Some(4), Some("two.example:2"), 4),
            ("carol", Some(5), None, 5),
        ] {
            let evidence = told.evidence(&name(who), changed).unwrap().unwrap();
            let json = serde_json::to_string(&evidence).unwrap();
            let evidence: Evidence = serde_json::from_str(&json).unwrap();
            let proven = evidence.check(&key().public(), &name(who)).unwrap();
            assert_eq!(proven.address.map(|at| at.to_string()).as_deref(), address);
            assert_eq!(proven.number, number);
            let other = SigningKey::from_seed(&[2; 32]).unwrap().public();
            let refused = evidence.check(&other, &name(who));
            assert_eq!(refused, Err(EvidenceError::Forged(Forged::Signature)));
            let refused = evidence.check(&key().public(), &name("mallory"));
            assert_eq!(refused, Err(EvidenceError::Proof(ProofError::OtherName)));
        }
        assert_eq!(told.evidence(&name("nobody"), None).unwrap(), None);
    }

    #[test]
    fn a_proof_from_another_time_does_not_fit_the_checkpoint() {
        let told = told();
        let Some(Evidence::Checkpoint { proof, .. }) = told.evidence(&name("alice"), None).unwrap()
        else {
            unreachable!("alice did not change")
        };
        let snapshot = Snapshot { feed: told.feed(), number: 9, entries: Vec::new() };
        let later = SignedSnapshot::of(&snapshot, Timestamp(9), &key()).unwrap();
        let mixed = Evidence::Checkpoint { signed: later.signed().clone(), proof };
        let refused = mixed.check(&key().public(), &name("alice"));
        assert_eq!(refused, Err(EvidenceError::Proof(ProofError::OtherRoot)));
    }
}
