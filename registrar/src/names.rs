//! What is known of a name in each of its states, as values. Pure.

use std::num::NonZeroU16;

use protocol::control::names::CellId;
use protocol::{Epoch, RegistrationId, Timestamp, VolumeId};
use serde::{Deserialize, Serialize};

use crate::state::State;
use crate::tier::Tier;

/// What is kept of one name: each state with what is known in it, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum NameRecord {
    /// See [`State::Reserved`].
    Reserved(Claim),
    /// See [`State::Placed`].
    Placed(Home),
    /// See [`State::Created`].
    Created(Home),
    /// See [`State::Started`].
    Started(Home),
    /// See [`State::Reachable`].
    Reachable(Home),
    /// See [`State::Published`].
    Published(Home),
    /// See [`State::Deleting`].
    Deleting(Home),
    /// See [`State::Retired`].
    Retired(Tombstone),
}

/// Who asked for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Asking again with the same id continues, with another one is refused.
    pub registration: RegistrationId,
    /// With which the name is placed.
    pub epoch: Epoch,
    /// When the name came into its state.
    pub since: Timestamp,
    /// What kind of cell was asked for.
    #[serde(default, skip_serializing_if = "Tier::is_shared")]
    pub tier: Tier,
}

/// A claim that has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// Who asked.
    #[serde(flatten)]
    pub claim: Claim,
    /// The server's own port; none where she is reached by name alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// The server's sealed log.
    pub volume: VolumeId,
    /// The cell that runs it; none for the one cell in the registrar's own process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<CellId>,
    /// The epoch with which she was placed there, if she was moved since she came; above the claim's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed: Option<Epoch>,
}

/// What is left of a name that nobody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// The highest epoch the name ever had.
    pub epoch: Epoch,
    /// When it was retired.
    pub since: Timestamp,
}

/// A name's epochs are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name was registered or moved so often that no epoch is left")]
pub struct NoEpochLeft;

impl NameRecord {
    /// A claim on a name that is free: never taken, or retired.
    ///
    /// # Errors
    /// [`NoEpochLeft`].
    pub fn reserve(
        last: Option<Tombstone>,
        registration: RegistrationId,
        tier: Tier,
        now: Timestamp,
    ) -> Result<Self, NoEpochLeft> {
        let epoch = match last {
            None => Epoch::FIRST,
            Some(tombstone) => tombstone.epoch.next().ok_or(NoEpochLeft)?,
        };
        Ok(Self::Reserved(Claim { registration, epoch, since: now, tier }))
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Reserved(_) => State::Reserved,
            Self::Placed(_) => State::Placed,
            Self::Created(_) => State::Created,
            Self::Started(_) => State::Started,
            Self::Reachable(_) => State::Reachable,
            Self::Published(_) => State::Published,
            Self::Deleting(_) => State::Deleting,
            Self::Retired(_) => State::Retired,
        }
    }

    /// Who asked for the name; none once it is retired.
    #[must_use]
    pub fn claim(&self) -> Option<&Claim> {
        match self {
            Self::Reserved(claim) => Some(claim),
            Self::Retired(_) => None,
            other => other.home().map(|home| &home.claim),
        }
    }

    /// Where the server is, if the name has a place.
    #[must_use]
    pub fn home(&self) -> Option<&Home> {
        match self {
            Self::Reserved(_) | Self::Retired(_) => None,
            Self::Placed(home)
            | Self::Created(home)
            | Self::Started(home)
            | Self::Reachable(home)
            | Self::Published(home)
            | Self::Deleting(home) => Some(home),
        }
    }

    /// The name's epoch, its last one if it is retired.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.stamp().0
    }

    /// When the name came into its state.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.stamp().1
    }

    fn stamp(&self) -> (Epoch, Timestamp) {
        match self {
            Self::Retired(tombstone) => (tombstone.epoch, tombstone.since),
            Self::Reserved(claim) => (claim.epoch, claim.since),
            Self::Placed(home)
            | Self::Created(home)
            | Self::Started(home)
            | Self::Reachable(home)
            | Self::Published(home)
            | Self::Deleting(home) => (home.epoch(), home.claim.since),
        }
    }

    /// The same in another cell, under the next epoch; none where there is no cell yet or any more.
    ///
    /// # Errors
    /// [`NoEpochLeft`].
    pub fn moved_into(&self, cell: CellId) -> Result<Option<Self>, NoEpochLeft> {
        let moved = |home: &Home| home.moved_into(cell);
        Ok(Some(match self {
            Self::Reserved(_) | Self::Retired(_) => return Ok(None),
            Self::Placed(home) => Self::Placed(moved(home)?),
            Self::Created(home) => Self::Created(moved(home)?),
            Self::Started(home) => Self::Started(moved(home)?),
            Self::Reachable(home) => Self::Reachable(moved(home)?),
            Self::Published(home) => Self::Published(moved(home)?),
            Self::Deleting(home) => Self::Deleting(moved(home)?),
        }))
    }
}

impl Claim {
    /// The claim with a place.
    #[must_use]
    pub fn place(self, port: Option<NonZeroU16>, volume: VolumeId, now: Timestamp) -> Home {
        Home { claim: Self { since: now, ..self }, port, volume, cell: None, placed: None }
    }

    /// What is left when the name is given up.
    #[must_use]
    pub fn retire(self, now: Timestamp) -> NameRecord {
        NameRecord::Retired(Tombstone { epoch: self.epoch, since: now })
    }
}

impl Home {
    /// The same home, as it stands from `now` on.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { claim: Claim { since: now, ..self.claim }, ..self }
    }

    /// The same home in a cell of its own.
    #[must_use]
    pub fn in_cell(self, cell: Option<CellId>) -> Self {
        Self { cell, ..self }
    }

    /// The epoch with which her cell opens the volume.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.placed.unwrap_or(self.claim.epoch)
    }

    /// The same volume in another cell, under the next epoch: the old cell is shut out.
    ///
    /// # Errors
    /// [`NoEpochLeft`].
    pub fn moved_into(self, cell: CellId) -> Result<Self, NoEpochLeft> {
        let placed = Some(self.epoch().next().ok_or(NoEpochLeft)?);
        Ok(Self { cell: Some(cell), placed, ..self })
    }

    /// What is left when the name is given up.
    #[must_use]
    pub fn retire(self, now: Timestamp) -> NameRecord {
        Claim { epoch: self.epoch(), ..self.claim }.retire(now)
    }

    /// The same volume at another port.
    #[must_use]
    pub fn moved_to(self, port: NonZeroU16, now: Timestamp) -> Self {
        Self { port: Some(port), ..self }.at(now)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn id(byte: u8) -> RegistrationId {
        RegistrationId::from_bytes([byte; 16])
    }

    #[test]
    fn a_name_that_is_claimed_again_gets_a_higher_epoch() {
        let now = Timestamp(5);
        let first = NameRecord::reserve(None, id(1), Tier::Shared, now).unwrap();
        assert_eq!(first.epoch(), Epoch::FIRST);
        let NameRecord::Retired(tombstone) = first.claim().unwrap().retire(now) else { panic!() };
        let second = NameRecord::reserve(Some(tombstone), id(2), Tier::Shared, now).unwrap();
        assert_eq!(Some(second.epoch()), Epoch::FIRST.next());
        let last = Tombstone { epoch: Epoch::from_number(u64::MAX).unwrap(), since: now };
        assert_eq!(NameRecord::reserve(Some(last), id(3), Tier::Shared, now), Err(NoEpochLeft));
    }

    #[test]
    fn a_move_takes_the_next_epoch_and_leaves_all_else_as_it_is() {
        let (claim, now) = (claim(), Timestamp(10));
        let port = NonZeroU16::new(25_000).unwrap();
        let home = claim.place(Some(port), VolumeId::from_bytes([1; 16]), now);
        let (two, three) = (CellId::from_number(2).unwrap(), CellId::from_number(3).unwrap());
        let record = NameRecord::Published(home.in_cell(Some(CellId::FIRST)));
        let moved = record.moved_into(two).unwrap().unwrap();
        assert_eq!(
            (moved.epoch(), moved.state()),
            (Epoch::FIRST.next().unwrap(), State::Published)
        );
        let again = moved.moved_into(three).unwrap().unwrap();
        let twice = *again.home().unwrap();
        assert_eq!((twice.cell, twice.epoch().number()), (Some(three), 3));
        assert_eq!(Home { cell: home.cell, placed: None, ..twice }, home);
        let NameRecord::Retired(tombstone) = twice.retire(now) else { panic!() };
        assert_eq!(tombstone.epoch.number(), 3, "who comes next has a higher one than any before");
        let last = Home { placed: Epoch::from_number(u64::MAX), ..home };
        assert_eq!(NameRecord::Created(last).moved_into(two), Err(NoEpochLeft));
        for none in [NameRecord::Reserved(claim), claim.retire(now)] {
            assert_eq!(none.moved_into(two), Ok(None));
        }
    }

    fn claim() -> Claim {
        let (registration, since) = (id(7), Timestamp(9));
        Claim { registration, epoch: Epoch::FIRST, since, tier: Tier::Shared }
    }

    #[test]
    fn a_record_survives_its_text() {
        let claim = claim();
        let port = NonZeroU16::new(25_000).unwrap();
        let home = claim.place(Some(port), VolumeId::from_bytes([1; 16]), Timestamp(10));
        for record in [
            NameRecord::Reserved(claim),
            NameRecord::Reserved(Claim { tier: Tier::Dedicated, ..claim }),
            NameRecord::Published(home),
            NameRecord::Published(Home { port: None, ..home }),
            NameRecord::Published(home.in_cell(CellId::from_number(7))),
            NameRecord::Deleting(home.moved_to(port, Timestamp(11))),
            NameRecord::Published(home.moved_into(CellId::FIRST).unwrap()),
            claim.retire(Timestamp(12)),
        ] {
            let text = serde_json::to_string(&record).unwrap();
            assert!(text.starts_with(&format!("{{\"state\":\"{}\"", record.state())), "{text}");
            assert_eq!(serde_json::from_str::<NameRecord>(&text).unwrap(), record);
        }
    }
}
